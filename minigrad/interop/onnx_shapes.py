"""ONNX's operators that move numbers and reduce them; those on shapes run on NumPy arrays of integers."""

import numpy as np

from .. import ops
from ..nn import functional as F
from ..tensor import Tensor
from .onnx_values import Image, first, last

LARGEST = 1 << 28  # numbers in an array that a graph makes of a shape alone


def is_array(x):
    return not isinstance(x, Tensor | Image)


def integers(value):
    """A shape's or a list's numbers as ints."""
    value = value.numpy() if isinstance(value, Tensor) else value
    return tuple(int(n) for n in np.asarray(value).reshape(-1))


def argument(step, inputs, place, name, default=None):
    """What newer opsets give as an input and older ones as an attribute, as a tuple of ints; default if neither."""
    given = inputs[place] if len(inputs) > place and inputs[place] is not None else step.get(name)
    return default if given is None else integers(given)


def identity(step, inputs, training):
    return inputs[0]


def constant(step, inputs, training):
    from onnx import numpy_helper

    for name in ("value_float", "value_floats", "value_int", "value_ints"):
        if name in step.attributes:
            kind = np.float32 if "float" in name else np.int64
            return as_value(np.array(step.get(name), kind))
    value = step.attributes.get("value")
    if value is None or not hasattr(value, "dims"):
        raise ValueError("only dense constants of numbers are supported")
    return as_value(numpy_helper.to_array(value))


def as_value(array):
    return Tensor(np.array(array)) if array.dtype.kind == "f" else np.asarray(array)


def constant_of_shape(step, inputs, training):
    from onnx import numpy_helper

    shape = integers(inputs[0])
    if np.prod(shape, dtype=object) > LARGEST:
        raise ValueError(f"shape {shape} is larger than {LARGEST:,} numbers")
    value = step.attributes.get("value")
    filling = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return as_value(np.full(shape, filling[0]))


def shape(step, inputs, training):
    found = first(inputs[0]).shape
    return np.array(found[slice(step.get("start", 0), step.get("end"))], np.int64)


def reshape(step, inputs, training):
    x, wanted = first(inputs[0]), argument(step, inputs, 1, "shape")
    if not step.get("allowzero", 0):
        wanted = tuple(x.shape[i] if n == 0 else n for i, n in enumerate(wanted))
    return x.reshape(wanted) if is_array(x) else ops.reshape(x, shape=wanted)


def flatten(step, inputs, training):
    x = first(inputs[0])
    axis = step.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return ops.reshape(x, shape=(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))


def transpose(step, inputs, training):
    x = first(inputs[0])
    order = step.get("perm") or tuple(range(x.ndim))[::-1]
    return x.transpose(order) if is_array(x) else ops.transpose(x, axes=order)


def concat(step, inputs, training):
    axis = step.get("axis")
    if all(map(is_array, inputs)):
        return np.concatenate(inputs, axis)
    if all(isinstance(x, Image) for x in inputs) and axis in (1, -3):
        return Image(F.concat(*(x.last for x in inputs)))
    return ops.concat(*map(first, inputs), dim=axis)


def squeeze(step, inputs, training):
    x = first(inputs[0])
    axes = argument(step, inputs, 1, "axes")
    gone = {a % x.ndim for a in axes} if axes is not None else {i for i, n in enumerate(x.shape) if n == 1}
    if any(x.shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of shape {x.shape} are not all of length 1")
    kept = tuple(n for i, n in enumerate(x.shape) if i not in gone)
    return x.reshape(kept) if is_array(x) else ops.reshape(x, shape=kept)


def unsqueeze(step, inputs, training):
    x, axes = first(inputs[0]), argument(step, inputs, 1, "axes")
    new = {a % (x.ndim + len(axes)) for a in axes}
    old = iter(x.shape)
    wanted = tuple(1 if i in new else next(old) for i in range(x.ndim + len(axes)))
    return x.reshape(wanted) if is_array(x) else ops.reshape(x, shape=wanted)


def gather(step, inputs, training):
    x, index = first(inputs[0]), np.asarray(inputs[1])
    axis = step.get("axis", 0) % x.ndim
    if is_array(x):
        return np.take(x, index, axis)
    index = np.where(index < 0, index + x.shape[axis], index)
    return x[(slice(None),) * axis + (index,)]


def slice_(step, inputs, training):
    x = first(inputs[0])
    starts, ends = argument(step, inputs, 1, "starts"), argument(step, inputs, 2, "ends")
    axes = argument(step, inputs, 3, "axes", tuple(range(len(starts))))
    steps = argument(step, inputs, 4, "steps", (1,) * len(starts))
    index = [slice(None)] * x.ndim
    for start, end, axis, stride in zip(starts, ends, axes, steps):
        end = None if stride < 0 and end < -x.shape[axis] else end
        index[axis] = slice(start, end, stride)
    return x[tuple(index)]


def pad(step, inputs, training):
    x = first(inputs[0])
    if step.get("mode", "constant") != "constant":
        raise ValueError(f"mode {step.get('mode')} is not supported")
    pads = argument(step, inputs, 1, "pads")
    value = step.get("value", 0.0) if len(inputs) < 3 or inputs[2] is None else float(np.asarray(scalar(inputs[2])))
    axes = argument(step, inputs, 3, "axes", tuple(range(x.ndim)))
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        pairs[axis] = pads[i], pads[i + len(axes)]
    if min(n for pair in pairs for n in pair) < 0:
        inner = tuple(slice(-min(a, 0), n + min(b, 0)) for (a, b), n in zip(pairs, x.shape))
        x, pairs = x[inner], [(max(a, 0), max(b, 0)) for a, b in pairs]
    return F.pad(x, tuple(pairs), value=value)


def scalar(value):
    return value.numpy() if isinstance(value, Tensor) else value


def cast(step, inputs, training):
    from onnx import helper

    x, dtype = inputs[0], helper.tensor_dtype_to_np_dtype(step.get("to"))
    if dtype.type.__module__ != "numpy":
        raise ValueError(f"the type {dtype} is not supported")
    if isinstance(x, Image) or not is_array(x):
        if dtype.kind != "f":
            return first(x).numpy().astype(dtype)
        return Image(ops.cast(x.last, dtype=dtype)) if isinstance(x, Image) else ops.cast(x, dtype=dtype)
    return as_value(x.astype(dtype))


def expand(step, inputs, training):
    x, wanted = first(inputs[0]), integers(inputs[1])
    return x + Tensor(np.zeros(wanted, x.dtype))


def reduction(function):
    def run(step, inputs, training):
        x, axes = first(inputs[0]), argument(step, inputs, 1, "axes") or None
        if axes is None and step.get("noop_with_empty_axes", 0):
            return x
        return function(x, dim=axes, keepdim=bool(step.get("keepdims", 1)))

    return run


def minimum(x, dim, keepdim):
    return -ops.max(-x, dim=dim, keepdim=keepdim)


def resize(step, inputs, training):
    """Nearest neighbours by whole factors, which repeats pixels."""
    x = last(inputs[0])
    scales = np.asarray(scalar(inputs[1 if step.op == "Upsample" else 2] if len(inputs) < 4 else inputs[2]))
    if step.get("mode", "nearest") != "nearest" or scales.size != 4 or any(s != int(s) or s < 1 for s in scales):
        raise ValueError("only the nearest pixel by whole factors is supported")
    names = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    how = tuple(step.get(name, usual) for name, usual in names.items())
    if step.op == "Resize" and how not in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")):
        raise ValueError(f"coordinates {how} are not supported")
    rows, columns = (np.repeat(np.arange(n), int(s)) for n, s in zip(x.shape[1:3], scales[2:]))
    return Image(x[:, rows][:, :, columns])
