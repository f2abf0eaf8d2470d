"""Weights from elsewhere, and files for elsewhere.

Files have an origin (torch, keras, caffe, minigrad), and conversion belongs to the origin: layout of filters, order
before a flatten, padding, eps, what the images have to be like. Shapes that fit prove nothing (`layout`, `styles`).
"""

from .errors import WeightsError as WeightsError
from .loading import Loaded as Loaded
from .loading import load_weights as load_weights
from .preprocessing import Preprocessing as Preprocessing
from .reading import read as read
