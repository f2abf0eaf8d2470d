"""Layers, with torch's names and arguments. Images are channels last: (N, H, W, C).

Layers that have weights take `rng`, a numpy Generator for their initial values; without it they differ each time.
Letters in shapes: N images, H x W pixels, C channels in, K channels out, P x Q pixels out, R x S a filter's size.
"""

from .activation import LeakyReLU as LeakyReLU
from .activation import ReLU as ReLU
from .activation import Sigmoid as Sigmoid
from .activation import Tanh as Tanh
from .conv import Conv2d as Conv2d
from .conv import ConvTranspose2d as ConvTranspose2d
from .dropout import Dropout as Dropout
from .dropout import reseed as reseed
from .linear import Linear as Linear
from .loss import CrossEntropyLoss as CrossEntropyLoss
from .norm import BatchNorm2d as BatchNorm2d
from .norm import LocalResponseNorm as LocalResponseNorm
from .pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from .pooling import AvgPool2d as AvgPool2d
from .pooling import MaxPool2d as MaxPool2d
from .reshaping import Flatten as Flatten
from .reshaping import Identity as Identity
from .reshaping import Unflatten as Unflatten
