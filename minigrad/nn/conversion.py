"""Devices and types of a module's tensors."""

import numpy as np

from ..device import Device, get_device
from ..precision import bfloat16, is_floating_point
from ..tensor import Tensor

TYPES = "float16", "bfloat16", "float32", "float64"


def device_and_type(where, device=None, dtype=None):
    """(Device or None, dtype or None) of the arguments of Module.to: devices, types and tensors in any order."""
    for value in (*where, device, dtype):
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, Device) or (isinstance(value, str) and value not in TYPES):
            device = get_device(value)
        elif value is not None:
            dtype = floating_type(value)
    return device, dtype


def floating_type(value):
    """A dtype from its name or type. TypeError for what is none, ValueError for one without fractions."""
    try:
        dtype = bfloat16() if value == "bfloat16" else np.dtype(value)
    except TypeError:
        raise TypeError(f"to: takes a device, a floating-point type or a tensor; got {described(value)}") from None
    if not is_floating_point(dtype):
        raise ValueError(f"to: parameters hold floating-point numbers; got type {dtype}")
    return dtype


def convert(module, device, dtype):
    """Move all parameters and buffers, with their gradients, and change the type of floating-point ones, in place."""
    for t in (*module.parameters(), *module.buffers()):
        grad, data = t.grad, converted(t.data, device, dtype)
        if data is not t.data:
            t.data = data
            t.version[0] += 1
            t.grad = None if grad is None else converted(grad, device, dtype)


def converted(array, device, dtype):
    """The array itself where nothing changes."""
    array = array if device is None else device.asarray(array)
    return array.astype(dtype, copy=False) if dtype is not None and is_floating_point(array.dtype) else array


def described(value):
    """A value in an error: "the class ReLU", "the function relu", "a value of type list"."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    is_function = callable(value) and hasattr(value, "__name__")
    return f"the function {value.__name__}" if is_function else f"a value of type {type(value).__name__}"
