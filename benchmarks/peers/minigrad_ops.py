"""Ourselves, one op at a time."""

import numpy as np
from op_cases import table

import minigrad
from minigrad import Tensor
from minigrad.autograd import Leaf


def differentiated(part, count):
    """For each input: does this pass compute its gradient?"""
    only = {"dx": 0, "dw": 1}.get(part)
    return [part != "forward" and only in (None, i) for i in range(count)]


def build(net, batch, row, part, threads):
    """part: "forward", or which gradients: "backward" (all), "dx" (of the first input), "dw" (of the second)."""
    minigrad.set_num_threads(threads)
    case = table(net, batch)[row].case
    needs = differentiated(part, len(case.shapes))
    inputs = [Tensor(a, requires_grad=need) for a, need in zip(case.arrays(np.float32), needs)]
    if part == "forward":
        return lambda: case.run(inputs)
    y = case.run(inputs)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    if all(parent is None or isinstance(parent, Leaf) for parent in y.node.parents):
        return lambda: y.node.backward(dy)
    return lambda: whole_backward(inputs, y, dy)


def whole_backward(inputs, y, dy):
    """The backward passes of all ops of a composition."""
    for t in inputs:
        t.grad = None
    y.backward(dy, retain_graph=True)
