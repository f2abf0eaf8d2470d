"""Methods of Tensor by torch's names for what has a sign, or needs one line."""

import numpy as np

from ..device import get_device
from ..random import generator
from ..tensor import Tensor
from . import arithmetic, elementwise, shape


def to(self, where):
    """This tensor on a device ("cpu", "cuda") or in another type; itself if it is so.

    Gradients flow back, but through whole numbers and booleans.
    """
    if isinstance(where, str) or hasattr(where, "kernels"):
        device = get_device(where)
        return self if device is self.device else shape.copy_to(self, device=device)
    if self.dtype == where:
        return self
    whole = np.dtype(where).kind in "iub"
    return Tensor(self.data.astype(where)) if whole else shape.cast(self, dtype=where)


def cpu(self):
    """This tensor on the CPU."""
    return to(self, "cpu")


def cuda(self):
    """This tensor on the GPU."""
    return to(self, "cuda")


def cast(self, dtype, made=None):
    """This tensor in another floating-point type."""
    return shape.cast(self, dtype=dtype, made=made)


def converted(dtype):
    """A method that gives the tensor in this type."""

    def method(self):
        return to(self, dtype)

    method.__doc__ = f"This tensor in {np.dtype(dtype)}; itself if it is so. See to."
    return method


def type_as(self, other):
    """This tensor in the type of another one; itself if it is so."""
    return to(self, other.dtype)


def where(self, condition, other):
    """This tensor's elements where condition, elsewhere those of other (a tensor or a number)."""
    return elementwise.where(condition, self, other)


def square(self):
    """x * x"""
    return arithmetic.mul(self, self)


def t(self):
    """The transpose of a matrix; what has fewer axes as it is. ValueError for more axes."""
    if self.ndim > 2:
        raise ValueError(f"t: expects at most 2 axes; got shape {self.shape}; transpose and permute take more")
    return shape.transpose(self)


def fill_(self, value):
    """Overwrite all numbers with this one."""
    if not isinstance(value, int | float | np.generic):
        raise TypeError(f"fill_: value must be a number; got {type(value).__name__}")
    return self.copy_(value)


def normal_(self, mean=0.0, std=1.0):
    """Overwrite all numbers with normal random ones of this mean and standard deviation."""
    return self.copy_(self.device.asarray(generator().normal(mean, std, self.shape).astype(self.dtype)))


def uniform_(self, low=0.0, high=1.0):
    """Overwrite all numbers with random ones, uniform in [low, high)."""
    return self.copy_(self.device.asarray(generator().uniform(low, high, self.shape).astype(self.dtype)))


def zero_(self):
    """Overwrite all numbers with 0."""
    return self.copy_(0)


TYPES = dict(half=np.float16, float=np.float32, double=np.float64, int=np.int32, long=np.int64, bool=np.bool_)
ONE_LINE = {
    **{name: converted(dtype) for name, dtype in TYPES.items()},
    **dict(to=to, cast=cast, cpu=cpu, cuda=cuda),
    **dict(neg=arithmetic.neg, matmul=arithmetic.matmul, where=where, square=square, t=t, type_as=type_as),
    **dict(fill_=fill_, zero_=zero_, normal_=normal_, uniform_=uniform_),
}
