"""How often weights are right: `python -m minigrad.verify`, and `score(classifier, dataset)` from Python."""

from .scoring import Score as Score
from .scoring import score as score
