"""Looking at a net from outside: the graph that it recorded, the arrays in it, runs that leave the net as it was."""

from contextlib import contextmanager
from typing import Any

import numpy as np

from kernels.virtual import VirtualKernels, virtual

from ..device import use_kernels
from ..tensor import Tensor


@contextmanager
def unchanged(model):
    """Afterwards every module has the attributes, and every buffer the numbers, that it has now."""
    modules = [(m, dict(vars(m))) for m in model.modules()]
    buffers = [(b.data, b.data.copy()) for b in model.buffers()]
    try:
        yield
    finally:
        for module, attributes in modules:
            vars(module).clear()
            vars(module).update(attributes)
        for data, numbers in buffers:
            data[...] = numbers


@contextmanager
def shapes_only(model):
    """Within this block weights have no memory and kernels do no arithmetic; yields the VirtualKernels."""
    tensors = [(t, t.data) for t in (*model.parameters(), *model.buffers())]
    with unchanged(model):
        try:
            for t, data in tensors:
                t.data = virtual(data.shape, data.dtype)
            with use_kernels(VirtualKernels()) as kernels:
                yield kernels
        finally:
            for t, data in tensors:
                t.data = data


def tensors_in(value):
    """The tensors in a result: itself, or what its tuples, lists and dicts hold."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item)


def nodes_below(outputs):
    """The nodes of the graph that ends in these outputs, a tensor or whatever holds tensors; a set."""
    stack, seen = [t.node for t in tensors_in(outputs)], set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(node.parents)
    return seen


def arrays_in(value):
    """The arrays in what a node saved, those of tensors included."""
    if isinstance(value, Tensor):
        yield value.data
    elif isinstance(value, list | tuple):
        for item in value:
            yield from arrays_in(item)
    elif hasattr(value, "strides") and not isinstance(value, np.generic):
        yield value


def memory_of(array: Any) -> Any:
    """The array that owns the memory which this one is a view of; itself if it is no view."""
    while isinstance(getattr(array, "base", None), type(array)):
        array = array.base
    return array
