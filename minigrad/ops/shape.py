"""Moving numbers without computing: reshape, transpose, slice, pad, copy between devices, convert between types."""

from ..device import device_of
from ..precision import is_floating_point
from ..tensor import op
from .checks import axis


@op
def reshape(ctx, x, *, shape):
    """y = x under another shape, in the same order;   dx = dy under the old one. One axis may be -1."""
    shape, old = (shape,) if isinstance(shape, int) else tuple(shape), x.shape
    try:
        y = x.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {x.size} elements of shape {old} do not fill shape {shape}") from None

    def backward(dy):
        return (dy.reshape(old),)

    return y, backward


@op
def transpose(ctx, x, *, axes=None):
    """y = x with its axes in another order: y's axis i is x's axis axes[i] (None: reversed);   dx = dy, put back"""
    axes = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis("transpose", x, a) for a in axes)
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {axes} are not an order of the {x.ndim} axes of shape {x.shape}")
    inverse = sorted(range(x.ndim), key=axes.__getitem__)

    def backward(dy):
        return (dy.transpose(inverse),)

    return x.transpose(axes), backward


@op
def getitem(ctx, x, *, index):
    """y = x[index]; dx is dy at those places (summed where one was taken twice), else 0"""
    shape, xp = x.shape, ctx.xp
    simple = all(
        isinstance(i, int | slice | type(...) | None) for i in (index if isinstance(index, tuple) else (index,))
    )

    def backward(dy):
        dx = xp.zeros(shape, dy.dtype)
        if simple:  # each element at most once
            dx[index] = dy
        else:
            xp.add.at(dx, index, dy)
        return (dx,)

    return x[index], backward


@op
def pad(ctx, x, *, pads, value=0.0):
    """y = x with `value` around it,   dx = the inner part of dy. pads: (before, after) for each axis, first first."""
    if len(pads) != x.ndim or any(n < 0 for pair in pads for n in pair):
        raise ValueError(f"pad: pads must be a (before, after) pair >= 0 for each of {x.ndim} axes; got {pads}")
    inner = tuple(slice(before, before + n) for (before, _), n in zip(pads, x.shape))

    def backward(dy):
        return (dy[inner],)

    y = ctx.xp.full([before + n + after for (before, after), n in zip(pads, x.shape)], value, x.dtype)
    y[inner] = x
    return y, backward


@op
def copy_to(ctx, x, *, device):
    """y = x on another device,   dx = dy on x's own"""
    home = device_of(x)

    def backward(dy):
        return (home.asarray(dy),)

    return device.asarray(x), backward


@op(wide=True)
def cast(ctx, x, *, dtype, made=None):
    """y = x in another floating-point type,   dx = dy in x's own. TypeError for a dtype that is none.

    made: y, where there is one already. dy may have a wider type than y: that of the sums that it was computed with.
    """
    own, y = x.dtype, x.astype(dtype) if made is None else made
    if not is_floating_point(y.dtype):
        raise TypeError(f"cast: dtype must be a floating-point type; got {y.dtype}")

    def backward(dy):
        return (dy.astype(own, copy=False),)

    return y, backward
