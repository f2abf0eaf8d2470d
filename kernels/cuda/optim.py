"""Optimizer steps, in place, of all arrays in one launch."""

import numpy as np

from .. import reference
from ..reference.arrays import array_module
from .loader import FLAGS, Kernel

TYPES = ("float", "double")
SGD_STEP = Kernel("optim.cu", "sgd_step", TYPES, FLAGS, FLAGS)
ADAM_STEP = Kernel("optim.cu", "adam_step", TYPES)
SCALE_ALL = Kernel("optim.cu", "scale_all", TYPES)
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


def launch(kernel, flags, settings, ws, dws, ms, vs, *more):
    """Launch over all arrays. What the kernel reads is sent in one piece: the settings, then the table; then `more`."""
    xp, dws = array_module(ws[0]), [array_module(dw).ascontiguousarray(dw) for dw in dws]
    table, blocks = tensor_table(ws, dws, ms, vs)
    sent = xp.asarray(np.concatenate([np.array(settings, np.float64).view(np.int64), table.ravel()]))
    if blocks:
        arguments = sent[: len(settings)].view(np.float64), sent[len(settings) :], len(ws)
        kernel((ws[0].dtype, *flags), (blocks,), (THREADS,), *arguments, *more)


def sgd_step(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov):
    """v = momentum v + (1 - dampening) g   with g = dw + weight_decay w;   w -= lr v   (nesterov: lr (g + momentum v))

    vs is None without momentum. A first step is one with dampening 0 and v = 0.
    """
    if not updatable(ws, dws, *([] if vs is None else [vs])):
        reference.sgd_step(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov)
        return
    settings = lr, momentum, 1 - dampening, weight_decay
    launch(SGD_STEP, (vs is not None, bool(nesterov)), settings, ws, dws, None, vs)


def adam_step(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """Adam (Kingma & Ba 2015, algorithm 1); decoupled: AdamW (Loshchilov & Hutter 2019). step counts from 1."""
    if not updatable(ws, dws, ms, vs):
        reference.adam_step(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled)
        return
    shrink, l2 = (1 - lr * weight_decay, 0) if decoupled else (1, weight_decay)
    unbias1, unbias2 = 1 - beta1**step, (1 - beta2**step) ** -0.5
    settings = beta1, 1 - beta1, beta2, 1 - beta2, shrink, l2, unbias2, lr / unbias1, eps
    launch(ADAM_STEP, (), settings, ws, dws, ms, vs)


def scale_all(arrays, factor):
    """Multiply each array by a number, in place. Are all numbers finite then? (An array without axes.)"""
    if not updatable(arrays, arrays):
        return reference.scale_all(arrays, factor)
    finite = array_module(arrays[0]).ones((), bool)
    launch(SCALE_ALL, (), (factor,), arrays, arrays, None, None, finite)
    return finite
