"""Ourselves, one op at a time."""

import numpy as np
from op_cases import table

import minigrad
from minigrad import Tensor


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
    return lambda: y.node.backward(dy)
