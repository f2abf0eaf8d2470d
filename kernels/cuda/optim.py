"""Optimizer steps, in place, of all arrays in one launch; what is done to gradients before."""

from typing import NamedTuple

import numpy as np

from .. import reference
from ..reference.arrays import array_module
from .loader import FLAGS, Kernel

TYPES = ("float", "double")
SGD_STEP = Kernel("optim.cu", "sgd_step", TYPES, FLAGS, FLAGS)
ADAM_STEP = Kernel("optim.cu", "adam_step", TYPES)
SCALE_ALL = Kernel("optim.cu", "scale_all", TYPES)
SQUARE_SUMS = Kernel("optim.cu", "square_sums", TYPES)
THREADS, CHUNK = 256, 4096  # of a block: threads, and elements that they work on
FIELDS = 6  # of Tensor in optim.cu


def updatable(*columns):
    """Whether all arrays have one type that the kernels know, and the written ones (all but dw) are contiguous."""
    dtype = columns[0][0].dtype
    return dtype in (np.float32, np.float64) and all(
        a.dtype == dtype and (i == 1 or a.flags.c_contiguous) for i, column in enumerate(columns) for a in column
    )


def tensor_table(ws, dws, ms, vs):
    """The Tensors of optim.cu (count x 6 int64 on the host), and how many blocks they need."""
    table, blocks = np.zeros((len(ws), FIELDS), np.int64), 0
    for row, w, dw, m, v in zip(table, ws, dws, ms or [None] * len(ws), vs or [None] * len(ws)):
        row[:] = w.data.ptr, address(m), address(v), dw.data.ptr, w.size, blocks
        blocks += -(-w.size // CHUNK)
    return table, blocks


def address(a):
    return 0 if a is None else a.data.ptr


def launch(kernel, flags, settings, ws, dws, ms, vs, *more, send=None):
    """Launch over all arrays. What the kernel reads is sent in one piece: the settings, then the table; then `more`.

    send: what moves an array to the device. Returns where the settings are.
    """
    dws = [array_module(dw).ascontiguousarray(dw) for dw in dws]
    table, blocks = tensor_table(ws, dws, ms, vs)
    sent = (send or array_module(ws[0]).asarray)(
        np.concatenate([np.array(settings, np.float64).view(np.int64), table.ravel()])
    )
    settings = sent[: len(settings)].view(np.float64)
    if blocks:
        kernel((ws[0].dtype, *flags), (blocks,), (THREADS,), settings, sent[len(settings) :], len(ws), *more)
    return settings


class Update(NamedTuple):
    """The arguments of `launch` for a step, as far as they don't depend on who makes it."""

    kernel: Kernel
    flags: tuple
    settings: tuple
    ws: list
    dws: list
    ms: list | None
    vs: list | None

    def is_possible(self):
        return updatable(self.ws, self.dws, *(column for column in (self.ms, self.vs) if column is not None))


def sgd_update(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov):
    settings = lr, momentum, 1 - dampening, weight_decay
    return Update(SGD_STEP, (vs is not None, bool(nesterov)), settings, ws, dws, None, vs)


def adam_update(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    shrink, l2 = (1 - lr * weight_decay, 0) if decoupled else (1, weight_decay)
    unbias1, unbias2 = 1 - beta1**step, (1 - beta2**step) ** -0.5
    settings = beta1, 1 - beta1, beta2, 1 - beta2, shrink, l2, unbias2, lr / unbias1, eps
    return Update(ADAM_STEP, (), settings, ws, dws, ms, vs)


def sgd_step(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov):
    """v = momentum v + (1 - dampening) g   with g = dw + weight_decay w;   w -= lr v   (nesterov: lr (g + momentum v))

    vs is None without momentum. A first step is one with dampening 0 and v = 0.
    """
    arguments = ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov
    update = sgd_update(*arguments)
    if update.is_possible():
        launch(*update, None)
    else:
        reference.sgd_step(*arguments)


def adam_step(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """Adam (Kingma & Ba 2015, algorithm 1); decoupled: AdamW (Loshchilov & Hutter 2019). step counts from 1."""
    arguments = ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled
    update = adam_update(*arguments)
    if update.is_possible():
        launch(*update, None)
    else:
        reference.adam_step(*arguments)


def scale_all(arrays, factor):
    """Multiply each array by a number, in place. Are all numbers finite then? (An array without axes.)"""
    return scale_updatable(arrays, factor) if updatable(arrays, arrays) else reference.scale_all(arrays, factor)


def scale_updatable(arrays, factor, send=None):
    """scale_all of updatable arrays. send: as of `launch`."""
    finite = array_module(arrays[0]).ones((), bool)
    launch(SCALE_ALL, (), (factor,), arrays, arrays, None, None, finite, send=send)
    return finite


def squared_norm(arrays):
    """The sum of the squares of all numbers, in float64, array after array. (An array without axes.)"""
    return norm_updatable(arrays) if updatable(arrays, arrays) else reference.squared_norm(arrays)


def norm_updatable(arrays, send=None):
    """squared_norm of updatable arrays. send: as of `launch`."""
    xp = array_module(arrays[0])
    table, blocks = tensor_table(arrays, arrays, None, None)
    sums = xp.empty(blocks, np.float64)
    if blocks:
        tensors = (send or xp.asarray)(table.ravel())
        SQUARE_SUMS((arrays[0].dtype,), (blocks,), (THREADS,), tensors, len(arrays), sums)
    return sums.sum()
