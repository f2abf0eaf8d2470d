"""CPU kernels: the reference, with the hot functions overridden by Numba. A name not listed below is the reference."""

from ..reference import *  # noqa: F403
from .activation import add_relu_forward as add_relu_forward
from .activation import relu_backward as relu_backward
from .activation import relu_forward as relu_forward
from .dropout import dropout_forward as dropout_forward
from .joining import concat_forward as concat_forward
from .optim import adam_step as adam_step
from .optim import sgd_step as sgd_step
