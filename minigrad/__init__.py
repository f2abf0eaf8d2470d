"""minigrad: a deep-learning framework written from scratch on NumPy, Numba and CuPy."""

from numpy import bool_ as bool  # noqa: F401
from numpy import float16 as float16
from numpy import float16 as half  # noqa: F401
from numpy import float32 as float  # noqa: F401
from numpy import float32 as float32
from numpy import float64 as double  # noqa: F401
from numpy import float64 as float64
from numpy import int8 as int8
from numpy import int16 as int16
from numpy import int32 as int  # noqa: F401
from numpy import int32 as int32
from numpy import int64 as int64
from numpy import int64 as long  # noqa: F401
from numpy import uint8 as uint8

from . import namesake as namesake
from . import nn as nn
from . import optim as optim
from .autograd import enable_grad as enable_grad
from .autograd import inference_mode as inference_mode
from .autograd import is_grad_enabled as is_grad_enabled
from .autograd import no_grad as no_grad
from .autograd import set_grad_enabled as set_grad_enabled
from .creation import arange as arange
from .creation import as_tensor as as_tensor
from .creation import empty as empty
from .creation import empty_like as empty_like
from .creation import eye as eye
from .creation import from_numpy as from_numpy
from .creation import full as full
from .creation import full_like as full_like
from .creation import is_tensor as is_tensor
from .creation import linspace as linspace
from .creation import ones as ones
from .creation import ones_like as ones_like
from .creation import rand as rand
from .creation import rand_like as rand_like
from .creation import randint as randint
from .creation import randn as randn
from .creation import randn_like as randn_like
from .creation import randperm as randperm
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .derivatives import grad as grad
from .device import allow_tf32 as allow_tf32
from .device import get_device as get_device
from .device import get_num_threads as get_num_threads
from .device import set_num_threads as set_num_threads
from .device import use_kernels as use_kernels
from .optim import GradScaler as GradScaler
from .precision import autocast as autocast
from .random import manual_seed as manual_seed
from .recompute import checkpoint as checkpoint
from .replay import capture as capture
from .saving import save as save
from .tensor import Tensor as Tensor
from .tensor import op as op
from .tensor import tensor as tensor

__version__ = "0.1.0"


def load(path, arch=None, preprocessing=None, classes=None, map_location="cpu", **options):
    """What minigrad.save wrote: see minigrad.saving.load.

    With arch, and of any other file of weights, a net ready for inference, whose .predict(images) names what is in
    pictures: see minigrad.predict.load.
    """
    from . import predict, saving

    if arch is None and saving.wrote(path):
        return saving.load(path, map_location)
    return predict.load(path, arch, preprocessing, classes, **options)


def __getattr__(name):
    """Tensor's verbs as functions (minigrad.where, minigrad.stack, minigrad.softmax ...), and the type bfloat16."""
    from .ops.functions import FUNCTIONS
    from .precision import bfloat16

    if name == "bfloat16":
        return bfloat16()
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


# `from minigrad import *` leaves Python's own int, float and bool alone, as torch's does.
__all__ = [name for name in globals() if not name.startswith("_") and name not in ("bool", "float", "int")]
