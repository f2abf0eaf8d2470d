"""Photographs classified: `python -m minigrad.predict`, and from Python `minigrad.load(path).predict(images)`."""

from .classifier import Classifier as Classifier
from .classifier import Prediction as Prediction
from .files import load as load
