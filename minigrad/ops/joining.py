"""Nodes where branches meet: concat. (add is in arithmetic; add_relu in fused.)"""

from itertools import accumulate

from ..tensor import op


@op
def concat(ctx, *xs, dim=-1):
    """y = the xs joined along one axis (the channels, unless told otherwise);   dxs[i] = its own slice of dy

    (Inception modules: Szegedy et al. 2014. Dense blocks: Huang et al. 2017.)
    """
    if not xs:
        raise ValueError("concat: there must be at least one tensor")
    first, axis = xs[0].shape, dim % xs[0].ndim
    for i, x in enumerate(xs):
        if x.ndim != len(first) or x.shape[:axis] + x.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"concat: xs[{i}] has shape {x.shape}, which differs from {first} beyond axis {axis}")
    ends = list(accumulate(x.shape[axis] for x in xs))
    slices = [(slice(None),) * axis + (slice(start, end),) for start, end in zip([0, *ends], ends)]

    def backward(dy):
        return tuple(dy[s] for s in slices)

    channels = axis == len(first) - 1
    return ctx.kernels.concat_forward(xs) if channels else ctx.xp.concatenate(xs, axis), backward
