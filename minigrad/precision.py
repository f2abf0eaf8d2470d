"""Types of numbers: what meets what in an op, and mixed precision (Micikevicius et al. 2018).

Which types an op takes, and what becomes of whole numbers, is declared where it is defined: `@op(types=...)`.

Mixed precision: which ops compute in a 16-bit type within `with autocast(dtype):`.

What an op wants is declared where it is defined, `@op(autocast=...)`, by one of the functions below; `@op` alone is
`widest`. The casts are ops of the graph: the gradient of a float32 weight arrives in float32, though a 16-bit copy of
it was multiplied.
"""

import functools
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

import numpy as np

_low_type: ContextVar = ContextVar("low_type", default=None)
_copies: ContextVar = ContextVar("copies", default=MappingProxyType({}))  # of weights in the 16-bit type, by id
LOW_TYPES = "float16", "bfloat16"


def autocast_type():
    """The 16-bit type in force, or None."""
    return _low_type.get()


@contextmanager
def autocast(dtype, weights=()):
    """Within this block, products (convolution, linear, matmul) and what lies between them compute in a 16-bit type.

    dtype: "float16" or "bfloat16" (or their NumPy types), or None for none. Products add up in float32; losses,
    softmax, sums and the like get float32 inputs; batch norm keeps its statistics, gamma and beta in float32. Weights
    stay as they are. Wrap the forward pass and the loss; backward() and the optimizer's step belong outside. float16
    needs a GradScaler. ValueError for another type; RuntimeError for bfloat16 where ml_dtypes is not installed.

    weights: tensors whose copies in 16 bits are all made now, in one launch, rather than one by one where an op wants
    them; they must stay as they are within the block.
    """
    low = None if dtype is None else low_type(dtype)
    tokens = (_low_type, _low_type.set(low)), (_copies, _copies.set(copies_of(weights, low)))
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def copies_of(weights, low):
    """{id of a tensor: (the tensor, its numbers in the 16-bit type)} of those in float32."""
    weights = [t for t in weights if t.dtype == np.float32] if low else []
    if not weights or low.name not in getattr(weights[0].device.kernels, "LOW_TYPES", ()):
        return {}
    made = weights[0].device.kernels.cast_all([t.data for t in weights], low)
    return {id(t): pair for t, pair in zip(weights, zip(weights, made))}


def low_type(dtype):
    """The NumPy type of a name or type of 16 bits."""
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in LOW_TYPES:
        raise ValueError(f"autocast: dtype must be one of {', '.join(LOW_TYPES)}; got {dtype!r}")
    return bfloat16() if name == "bfloat16" else np.dtype(name)


@functools.cache
def bfloat16():
    """NumPy has no bfloat16 of its own."""
    try:
        import ml_dtypes
    except ImportError:
        raise RuntimeError("bfloat16 needs the package ml_dtypes; pip install ml_dtypes") from None
    return np.dtype(ml_dtypes.bfloat16)


def is_floating_point(dtype):
    """Is it a type of real numbers? (NumPy calls the kind of bfloat16, which came later, V.)"""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def plain(name, data):
    """data as it is, but for NumPy's classes of array whose numbers mean something else.

    TypeError for a masked array, whose mask nothing here would look at. A matrix becomes an array on its memory, for
    its * is a product of matrices.
    """
    if type(data) is np.ndarray or not isinstance(data, np.ndarray):
        return data
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{name}: a masked array's mask would be ignored; fill its gaps with .filled(number)")
    return np.asarray(data) if isinstance(data, np.matrix) else data


def is_real(dtype):
    """Is it a type of real numbers, whole numbers or booleans?"""
    return dtype.kind in "fiub" or dtype.name == "bfloat16"


def at_least_float32(dtype):
    """The type for statistics and sums of numbers of this type: float32 for 16-bit types, else the type itself."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


# What an op may declare: from the 16-bit type and the op's floating-point inputs to a type for each of them


def products(low, inputs):
    """All in 16 bits: their products are what tensor cores are for."""
    return [low] * len(inputs)


def sums(low, inputs):
    """All in float32: sums of many numbers, and functions that stretch a small error."""
    return [np.dtype(np.float32)] * len(inputs)


def norms(low, inputs):
    """Images and filters in 16 bits, vectors (gamma, beta) in float32: the kernels compute in float32 between."""
    return [low if t.ndim > 1 else np.dtype(np.float32) for t in inputs]


def widest(low, inputs):
    """As they come; float32 if they differ."""
    types = {t.dtype for t in inputs}
    return [types.pop() if len(types) == 1 else np.dtype(np.float32)] * len(inputs)


# What an op may declare of whole numbers: types(name, names of its arguments, inputs, convert) gives the inputs, with
# convert(tensor, dtype) for tensors of whole numbers. Floating-point types are left to autocast and to one_type.


def as_given(name, names, inputs, convert):
    """As they come."""
    return inputs


def floats(name, names, inputs, convert):
    """Floating-point numbers."""
    for i, t in enumerate(inputs):
        if t is not None and not is_floating_point(t.dtype):
            argument = names[min(i, len(names) - 1)]
            raise TypeError(
                f"{name}: {argument} must hold floating-point numbers, but is {t.dtype}; convert the array, for "
                "instance with .astype(np.float32)"
            )
    return inputs


def promoted(name, names, inputs, convert):
    """Whole numbers beside floating-point ones become such, others the widest of theirs: as in torch."""
    types = [t.dtype for t in inputs if t is not None]
    if len(set(types)) < 2:
        return inputs
    return converted(inputs, next(filter(is_floating_point, types), None) or np.result_type(*types), convert)


def floated(name, names, inputs, convert):
    """As promoted; whole numbers alone become float32."""
    inputs = promoted(name, names, inputs, convert)
    if any(t is not None and is_floating_point(t.dtype) for t in inputs):
        return inputs
    return converted(inputs, np.dtype(np.float32), convert)


def converted(inputs, dtype, convert):
    """The inputs, those of whole numbers in this type."""
    stays = [t is None or t.dtype == dtype or is_floating_point(t.dtype) for t in inputs]
    return tuple(t if same else convert(t, dtype) for t, same in zip(inputs, stays))


def one_type(name, inputs):
    """The inputs as they are. TypeError unless their floating-point types are the same."""
    types = {t.dtype for t in inputs if t is not None}
    types = {dtype for dtype in types if is_floating_point(dtype)} if len(types) > 1 else types
    if len(types) > 1:
        raise TypeError(f"{name}: inputs have different types ({', '.join(sorted(map(str, types)))}); convert one")
    return inputs


def autocasted(name, inputs, policy, device, cast):
    """An op's inputs in the types that its policy wants; None without autocast, and where there is a float64.

    cast(tensor, dtype, made) is the op that converts; made: what it gives, where that is there already. TypeError where
    there are no kernels for the 16-bit type.
    """
    low = _low_type.get()
    if low is None or any(t is not None and t.dtype == np.float64 for t in inputs):
        return None
    if low.name not in getattr(device.kernels, "LOW_TYPES", ()):
        where = device.kernels.__name__
        raise TypeError(f"{name}: autocast to {low} needs a GPU; {where} has no kernels for 16-bit types")
    floats = [(i, t) for i, t in enumerate(inputs) if t is not None and is_floating_point(t.dtype)]
    changed = list(inputs)
    for (i, t), dtype in zip(floats, policy(low, [t for _, t in floats])):
        if t.dtype != dtype:
            changed[i] = cast(t, dtype, _copies.get().get(id(t), (t, None))[1] if dtype == low else None)
    return tuple(changed)
