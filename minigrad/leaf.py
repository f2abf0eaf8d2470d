"""What may be written into a leaf besides its numbers: whether it wants a gradient, and the gradient itself."""

from typing import Any

from .autograd import Form, Leaf
from .device import device_of
from .precision import is_floating_point, is_real, plain


def leaf_node(array):
    """A new Leaf for a tensor of this array. TypeError unless it is of a floating-point type."""
    if not is_floating_point(array.dtype):
        raise TypeError(f"Tensor: only floating-point tensors can require a gradient; this one is {array.dtype}")
    return Leaf(form=Form.of(array))


def replace_data(t, array):
    """Put another array in the place of t's, as t.data = array does. From then on a leaf's gradient has its form."""
    if not hasattr(array, "strides"):
        raise TypeError(f"data: must be an array; got {type(array).__name__}")
    if not is_real(array.dtype):
        raise TypeError(f"data: must hold real numbers or booleans; got {array.dtype}")
    t._data = array = plain("data", array)
    if isinstance(t.node, Leaf):
        t.node.form = Form.of(array)


def set_requires_grad(t, wanted):
    """Want a gradient for the leaf t from now on, or no longer, which forgets the one that it has, and its hooks.

    TypeError for anything but True and False, and for integers; RuntimeError for what an op made.
    """
    if not isinstance(wanted, bool):
        raise TypeError(f"requires_grad: must be True or False; got {wanted!r}")
    if wanted == (t.node is not None):
        return
    if not t.is_leaf:
        raise RuntimeError("requires_grad: an op made this tensor; detach() it to have it without a gradient")
    t.node = leaf_node(t.data) if wanted else None


def fitting_gradient(t, value: Any):
    """A value for t.grad as an array of t's shape, type and device; itself where it is one.

    TypeError for what holds no real numbers, ValueError for another shape or device.
    """
    array = getattr(value, "data", value) if hasattr(value, "node") else value
    dtype = getattr(array, "dtype", None)
    if dtype is None or not (is_floating_point(dtype) or dtype.kind in "iub"):
        raise TypeError(
            f"grad: must be an array or a tensor of real numbers, or None; got {dtype or type(value).__name__}"
        )
    if device_of(array) is not t.device:
        raise ValueError(f"grad: is on {device_of(array).name}, but the tensor is on {t.device.name}")
    if array.shape != t.shape:
        raise ValueError(f"grad: shape {array.shape} does not match the tensor's {t.shape}")
    return array if array.dtype == t.dtype else array.astype(t.dtype)
