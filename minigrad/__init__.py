"""minigrad: a deep-learning framework written from scratch on NumPy, Numba and CuPy."""

from . import namesake as namesake
from . import nn as nn
from . import optim as optim
from .autograd import enable_grad as enable_grad
from .autograd import no_grad as no_grad
from .device import allow_tf32 as allow_tf32
from .device import get_device as get_device
from .device import get_num_threads as get_num_threads
from .device import set_num_threads as set_num_threads
from .device import use_kernels as use_kernels
from .optim import GradScaler as GradScaler
from .precision import autocast as autocast
from .recompute import checkpoint as checkpoint
from .tensor import Tensor as Tensor
from .tensor import op as op
from .tensor import tensor as tensor

__version__ = "0.1.0"


def load(path, arch=None, preprocessing=None, classes=None, **options):
    """A net with the weights in a file, ready for inference: see minigrad.predict.load. Then .predict(images)."""
    from . import predict

    return predict.load(path, arch, preprocessing, classes, **options)
