"""Parts of a tensor, and its axes in another order, under torch's names: each an index, a transpose or a reshape."""

from ..tensor import Tensor
from .checks import axis, is_whole, long_axis
from .elementwise import boolean
from .ordering import gather, integers
from .reduction import normalised
from .shape import getitem, reshape, transpose


def index_select(x, dim, index):
    """x at these places along one axis, in this order."""
    at = axis("index_select", x, dim)
    return getitem(x, index=(slice(None),) * at + (integers(x.device, "index_select", index),))


def narrow(x, dim, start, length):
    """x from start on, so many places along one axis. ValueError where they are not in x."""
    at, size = long_axis("narrow", x, dim)
    if not is_whole(start, -size) or not is_whole(length, 0) or start % max(size, 1) + length > size:
        raise ValueError(f"narrow: start {start!r} and length {length!r} must lie in axis {at} of x {x.shape}")
    start = start % max(size, 1)
    return getitem(x, index=(slice(None),) * at + (slice(start, start + length),))


def select(x, dim, index):
    """x at one place along an axis, which is dropped. ValueError for a place that is not in x."""
    at, size = long_axis("select", x, dim)
    if not is_whole(index, -size) or index >= size:
        raise ValueError(f"select: index must be from {-size} to {size - 1}, axis {at} of x {x.shape}; got {index!r}")
    return getitem(x, index=(slice(None),) * at + (int(index),))


def masked_select(x, mask):
    """The elements where the mask is True, in a row. mask: booleans that broadcast with x."""
    xp = x.device.xp
    mask = boolean(x.device, "masked_select", "mask", mask)
    shape = xp.broadcast(x.data, mask).shape
    places = xp.broadcast_to(xp.arange(x.size).reshape(x.shape), shape)[xp.broadcast_to(mask, shape)]
    return getitem(reshape(x, shape=(-1,)), index=places)


def take_along_dim(x, indices, dim=None):
    """x at these places along an axis, one for each element of indices; None: in the flat tensor. See gather."""
    if dim is None:
        x, dim = reshape(x, shape=(-1,)), 0
        indices = indices.data if isinstance(indices, Tensor) else x.device.xp.asarray(indices)
        indices = indices.reshape(-1)
    return gather(x, dim=dim, index=indices)


def movedim(x, source, destination):
    """Axes moved to other places, the others in their order: numbers, or as many in tuples."""
    given = [tuple(d) if isinstance(d, tuple | list) else (d,) for d in (source, destination)]
    away, to = (normalised("movedim", d, x.ndim) if d else () for d in given)
    if len(away) != len(to):
        raise ValueError(f"movedim: source and destination must be as many axes; got {source} and {destination}")
    rest = iter(i for i in range(x.ndim) if i not in away)
    places = dict(zip(to, away))
    return transpose(x, axes=tuple(places[i] if i in places else next(rest) for i in range(x.ndim)))


def ravel(x):
    """All numbers in a row."""
    return reshape(x, shape=(-1,))


def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of each matrix that two axes make, as the last axis. offset: 0 is the main one, 1 the one above."""
    x = movedim(x, (dim1, dim2), (-2, -1))
    rows, columns = x.shape[-2:]
    row, column = max(-offset, 0), max(offset, 0)
    i = x.device.xp.arange(max(min(rows - row, columns - column), 0))
    return getitem(x, index=(..., i + row, i + column))


PARTS = dict(
    index_select=index_select, narrow=narrow, select=select, masked_select=masked_select, movedim=movedim,
    moveaxis=movedim, take_along_dim=take_along_dim, ravel=ravel, diagonal=diagonal,
)  # fmt: skip
