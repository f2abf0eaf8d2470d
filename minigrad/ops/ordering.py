"""Which is where: gather by index, sort, the k largest, and the places of the largest and smallest."""

from typing import NamedTuple

from ..precision import widest
from ..tensor import Tensor, op
from .checks import axis, is_whole, long_axis


class Ordered(NamedTuple):
    """What sort and topk return: values (differentiable) and the places along the axis that they come from."""

    values: Tensor
    indices: Tensor


def integers(ctx, name, index):
    """An index (tensor, array or list) as an array of the device. TypeError unless it holds integers."""
    index = ctx.xp.asarray(index.data if isinstance(index, Tensor) else index)
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: index must hold integers; got {index.dtype}")
    return index


@op(autocast=widest)
def gather(ctx, x, *, dim, index):
    """y[.., i, ..] = x[.., index[.., i, ..], ..] along one axis;   dx = sum of dy over the places that took x

        index: integers, of as many axes as x and no longer than x along the other axes   ->   y of index's shape

    ValueError for another shape, or an index outside [0, length of the axis).
    """
    (along, length), xp, shape = long_axis("gather", x, dim), ctx.xp, x.shape
    index = integers(ctx, "gather", index)
    if index.ndim != x.ndim or any(n > m for i, (n, m) in enumerate(zip(index.shape, shape)) if i != along):
        raise ValueError(f"gather: index must fit into x {shape} beside axis {along}; got {index.shape}")
    if not ctx.device.capturing() and index.size and not 0 <= int(index.min()) <= int(index.max()) < length:
        raise ValueError(
            f"gather: index must be from 0 to {length - 1}; found {int(index.min())} to {int(index.max())}"
        )
    places = [xp.arange(n).reshape([-1 if i == j else 1 for j in range(x.ndim)]) for i, n in enumerate(index.shape)]
    places = (*places[:along], index, *places[along + 1 :])

    def backward(dy):
        dx = xp.zeros(shape, dy.dtype)
        xp.add.at(dx, places, dy)
        return (dx,)

    return x[places], backward


def order(x, dim, descending):
    """The places of x's elements in sorted order along an axis; equal elements keep theirs. NaN counts as largest."""
    xp = x.device.xp
    if not descending:
        return xp.argsort(x.data, axis=dim, kind="stable")
    return x.shape[dim] - 1 - xp.flip(xp.argsort(xp.flip(x.data, dim), axis=dim, kind="stable"), dim)


def sort(x, *, dim=-1, descending=False):
    """(values, indices) in ascending order along one axis; equal elements keep their order.

    y = x in that order;   dx = dy, put back
    """
    along, _ = long_axis("sort", x, dim)
    indices = order(x, along, descending)
    return Ordered(gather(x, dim=along, index=indices), Tensor(indices))


def topk(x, *, k, dim=-1, largest=True):
    """(values, indices) of the k largest (or smallest) along one axis, in order.

    y = x at those places;   dx = dy there, else 0.   ValueError unless k is from 0 to the axis's length.
    """
    along, length = long_axis("topk", x, dim)
    if not is_whole(k, 0) or k > length:
        raise ValueError(f"topk: k must be an int from 0 to {length}, the length of axis {along}; got {k!r}")
    indices = order(x, along, largest)[(slice(None),) * along + (slice(k),)]
    return Ordered(gather(x, dim=along, index=indices), Tensor(indices))


def argsort(x, *, dim=-1, descending=False):
    """The indices of sort, as a tensor of integers."""
    return Tensor(order(x, long_axis("argsort", x, dim)[0], descending))


def argmax(x, *, dim=None, keepdim=False):
    """The place of the largest element along one axis (None: in the flat tensor), the first of several: integers."""
    return extreme("argmax", x, dim, keepdim)


def argmin(x, *, dim=None, keepdim=False):
    """The place of the smallest element along one axis (None: in the flat tensor), the first of several: integers."""
    return extreme("argmin", x, dim, keepdim)


def extreme(name, x, dim, keepdim):
    along = None if dim is None or not x.ndim else axis(name, x, dim)
    if not (x.size if along is None else x.shape[along]):
        raise ValueError(f"{name}: an empty tensor has no such element; x {x.shape}")
    index = x.device.xp.asarray(getattr(x.data, name)(along))
    kept = (1,) * x.ndim if along is None else (*x.shape[:along], 1, *x.shape[along + 1 :])
    return Tensor(index.reshape(kept) if keepdim else index)
