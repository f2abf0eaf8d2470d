"""Layers and nets: the public face follows torch.nn, with channels last."""

from . import functional as functional
from . import init as init
from .containers import ModuleList as ModuleList
from .containers import Sequential as Sequential
from .folding import conv_norm as conv_norm
from .layers import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from .layers import AvgPool2d as AvgPool2d
from .layers import BatchNorm2d as BatchNorm2d
from .layers import Conv2d as Conv2d
from .layers import ConvTranspose2d as ConvTranspose2d
from .layers import CrossEntropyLoss as CrossEntropyLoss
from .layers import Dropout as Dropout
from .layers import Flatten as Flatten
from .layers import Identity as Identity
from .layers import LeakyReLU as LeakyReLU
from .layers import Linear as Linear
from .layers import LocalResponseNorm as LocalResponseNorm
from .layers import MaxPool2d as MaxPool2d
from .layers import ReLU as ReLU
from .layers import Sigmoid as Sigmoid
from .layers import Tanh as Tanh
from .layers import reseed as reseed
from .module import Buffer as Buffer
from .module import Module as Module
from .module import Parameter as Parameter
from .summary import summary as summary
