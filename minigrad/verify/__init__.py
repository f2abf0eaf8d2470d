"""Results beside published ones: `python -m minigrad.verify` for recipes and weights, `score` for a classifier."""

from .scoring import Score as Score
from .scoring import score as score
