"""Processes that hold parts of one layer's maps, and exchange them: what "model parallel" nets are made with."""

from ..nn import Module
from ..precision import floats, sums
from ..tensor import op


@op(autocast=sums, types=floats)
def gather_channels(ctx, x, *, group, shared=False):
    """The channels of all processes, in the order of ranks.

        x (..., C)   ->   y (..., group.size C) = [x of process 0, x of process 1 ...], the same bits in each

        dx = the own part of the sum of dy over all processes, each of which used y for filters of its own

    shared: all processes compute the same from y, the loss at last, and so have the same dy; then dx = its own part.
    """
    c = x.shape[-1]
    own = slice(group.rank * c, (group.rank + 1) * c)
    y = ctx.xp.zeros((*x.shape[:-1], group.size * c), x.dtype)
    y[..., own] = x

    def backward(dy):
        return ((dy if shared else group.all_reduce(dy.copy()))[..., own].copy(),)

    return group.all_reduce(y), backward


class GatherChannels(Module):
    """This process's maps -> those of all. group, shared: as of gather_channels."""

    def __init__(self, group, shared=False):
        self.group, self.shared = group, shared

    def forward(self, x):
        return gather_channels(x, group=self.group, shared=self.shared)
