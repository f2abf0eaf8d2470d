"""How alike vectors are: cosine similarity, vectors of length 1, and the losses made of them."""

from ..precision import floated, sums
from ..tensor import op
from .arithmetic import unbroadcast
from .checks import axis
from .elementwise import clamp, where
from .reduced import beside, reduced_tensor
from .statistics import norm


@op(autocast=sums, types=floated)
def cosine_similarity(ctx, a, b, *, dim=-1, eps=1e-8):
    """y = sum a b / (|a| |b|) over one axis (the channels, unless told otherwise), lengths at least eps

        da = dy (b / (|a| |b|) - y a / |a|^2),   db likewise

    a and b broadcast; da and db are summed over their broadcast axes. (torch's dim is 1 unless told otherwise: the
    channels there, and for (M, C) the same axis.)
    """
    xp = ctx.xp
    along = axis("cosine_similarity", a if a.ndim >= b.ndim else b, dim)

    def parts():
        """y with its axis kept, and the lengths of a and b."""
        wide = xp.broadcast_arrays(a, b)
        sizes = [xp.maximum(xp.sqrt((v * v).sum(along, keepdims=True)), eps) for v in wide]
        return (wide[0] * wide[1]).sum(along, keepdims=True) / (sizes[0] * sizes[1]), sizes

    def backward(dy):
        y, (size_a, size_b) = parts()
        dy = dy.reshape(y.shape)
        da = dy * (b / (size_a * size_b) - y * a / size_a**2 * (size_a > eps))
        db = dy * (a / (size_a * size_b) - y * b / size_b**2 * (size_b > eps))
        return unbroadcast(da, a.shape), unbroadcast(db, b.shape)

    return parts()[0].squeeze(along), backward


def normalize(x, *, p=2, dim=-1, eps=1e-12):
    """x / max(|x|, eps) along one axis (the channels, unless told otherwise). A composition of norm, clamp and /."""
    return x / clamp(norm(x, p=p, dim=dim, keepdim=True), min=eps)


def cosine_embedding_loss(a, b, target, *, margin=0.0, reduction="mean"):
    """1 - cosine_similarity(a, b) of rows whose target is 1, max(0, it - margin) where it is -1. A composition."""
    y = cosine_similarity(a, b)
    target = beside(y, target)
    return reduced_tensor("cosine_embedding_loss", where(target == 1, 1 - y, clamp(y - margin, min=0)), reduction)
