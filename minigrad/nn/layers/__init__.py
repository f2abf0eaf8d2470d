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
from .dropout import Dropout2d as Dropout2d
from .dropout import reseed as reseed
from .elementwise import ELU as ELU
from .elementwise import GELU as GELU
from .elementwise import SELU as SELU
from .elementwise import Hardsigmoid as Hardsigmoid
from .elementwise import Hardswish as Hardswish
from .elementwise import Hardtanh as Hardtanh
from .elementwise import LogSigmoid as LogSigmoid
from .elementwise import LogSoftmax as LogSoftmax
from .elementwise import Mish as Mish
from .elementwise import PReLU as PReLU
from .elementwise import ReLU6 as ReLU6
from .elementwise import SiLU as SiLU
from .elementwise import Softmax as Softmax
from .elementwise import Softplus as Softplus
from .linear import Linear as Linear
from .loss import CrossEntropyLoss as CrossEntropyLoss
from .losses import BCELoss as BCELoss
from .losses import BCEWithLogitsLoss as BCEWithLogitsLoss
from .losses import CosineEmbeddingLoss as CosineEmbeddingLoss
from .losses import CosineSimilarity as CosineSimilarity
from .losses import HuberLoss as HuberLoss
from .losses import KLDivLoss as KLDivLoss
from .losses import L1Loss as L1Loss
from .losses import MSELoss as MSELoss
from .losses import NLLLoss as NLLLoss
from .losses import SmoothL1Loss as SmoothL1Loss
from .norm import BatchNorm1d as BatchNorm1d
from .norm import BatchNorm2d as BatchNorm2d
from .norm import LocalResponseNorm as LocalResponseNorm
from .pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from .pooling import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from .pooling import AvgPool2d as AvgPool2d
from .pooling import MaxPool2d as MaxPool2d
from .reshaping import Flatten as Flatten
from .reshaping import Identity as Identity
from .reshaping import Unflatten as Unflatten
from .resizing import CircularPad2d as CircularPad2d
from .resizing import ConstantPad2d as ConstantPad2d
from .resizing import PixelShuffle as PixelShuffle
from .resizing import PixelUnshuffle as PixelUnshuffle
from .resizing import ReflectionPad2d as ReflectionPad2d
from .resizing import ReplicationPad2d as ReplicationPad2d
from .resizing import Upsample as Upsample
from .resizing import ZeroPad2d as ZeroPad2d
from .sample_norm import GroupNorm as GroupNorm
from .sample_norm import InstanceNorm2d as InstanceNorm2d
from .sample_norm import LayerNorm as LayerNorm
from .signals import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from .signals import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from .signals import AvgPool1d as AvgPool1d
from .signals import Conv1d as Conv1d
from .signals import Embedding as Embedding
from .signals import MaxPool1d as MaxPool1d
