"""What a module owns besides other modules: parameters, which training changes, and buffers, which it doesn't."""

import numpy as np

from ..tensor import Tensor, tensor


class Parameter(Tensor):
    """A tensor that training changes: a leaf that requires a gradient.

    data: an array or a tensor of floating-point numbers, whose memory it shares; memory that can't be written or lies
    in a file is copied, and so are numbers and lists, whose floats become float32. TypeError for integers.
    requires_grad: False for a frozen one; may be set at any time.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        source = as_tensor(data)
        super().__init__(source.data, requires_grad, version=source.version)


class Buffer(Tensor):
    """A tensor that belongs to the module's state but has no gradient, as batch norm's running statistics.

    data: as Parameter's, and of any type.
    """

    __slots__ = ()

    def __init__(self, data):
        source = as_tensor(data)
        super().__init__(source.data, version=source.version)


def as_tensor(data):
    """A tensor on the memory of an array or a tensor, or on a copy where that is nobody's to write."""
    array = data.data if isinstance(data, Tensor) else data
    if not hasattr(array, "strides") or not is_own(array):
        return tensor(data)
    return data if isinstance(data, Tensor) else Tensor(data)


def is_own(array):
    """May the memory be written, and is it no file's? CuPy's always is one's own."""
    if isinstance(array, np.ndarray | np.generic):
        base = array
        while isinstance(base, np.ndarray):
            if isinstance(base, np.memmap):
                return False
            base = base.base
        return type(array) is np.ndarray and array.flags.writeable
    return True
