"""What is a function of the package as well as a method of Tensor, or that only: minigrad.where, minigrad.stack ..."""

from . import arithmetic, arrangement, elementwise, joining, lookup, shape, similarity
from .by_position import by_position
from .einsum import einsum as einsum_op
from .methods import METHODS
from .named import ONE_LINE
from .verbs import VERBS


def cat(tensors, dim=0):
    """Tensors joined along one axis. See ops.concat."""
    return joining.concat(*tensors, dim=dim)


def stack(tensors, dim=0):
    """Tensors of one shape side by side along a new axis."""
    return arrangement.stack(*tensors, dim=dim)


def einsum(equation, *tensors):
    """Einstein's sums: einsum("nhd,nwd->nhw", q, k). See ops.einsum."""
    return einsum_op(*tensors, equation=equation)


def var_mean(x, dim=None, *, correction=1, keepdim=False):
    """(the variance, the mean) over dim."""
    return VERBS["var"](x, dim, correction=correction, keepdim=keepdim), METHODS["mean"](x, dim, keepdim)


def std_mean(x, dim=None, *, correction=1, keepdim=False):
    """(the standard deviation, the mean) over dim."""
    return VERBS["std"](x, dim, correction=correction, keepdim=keepdim), METHODS["mean"](x, dim, keepdim)


def meshgrid(*vectors, indexing="ij"):
    """Vectors as the coordinates of a grid: for each a tensor of all their lengths, constant along the other axes.

    indexing: "ij": vector i runs along axis i; "xy": the first two change places, as in pictures. Else ValueError.
    """
    vectors = vectors[0] if len(vectors) == 1 and isinstance(vectors[0], tuple | list) else vectors
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy'; got {indexing!r}")
    sizes = [v.shape[0] if v.ndim == 1 else 1 for v in vectors]
    grids = [
        arrangement.expand(shape.reshape(v, shape=[-1 if i == j else 1 for j in range(len(sizes))]), shape=sizes)
        for i, v in enumerate(vectors)
    ]
    turn = indexing == "xy" and len(sizes) > 1
    return tuple(METHODS["transpose"](g, 0, 1) if turn else g for g in grids)


METHODS_TOO = """sum mean max amax any all reshape transpose swapaxes permute flatten exp log sqrt eq ne lt le gt
ge""".split()
FUNCTIONS = {
    **VERBS,
    **{name: METHODS[name] for name in METHODS_TOO},
    **dict(matmul=arithmetic.matmul, add=arithmetic.add, sub=arithmetic.sub, mul=arithmetic.mul, div=arithmetic.div),
    **dict(where=elementwise.where, stack=stack, cat=cat, concat=cat, einsum=einsum, one_hot=lookup.one_hot),
    **dict(cosine_similarity=by_position(similarity.cosine_similarity), concatenate=cat, broadcast_to=VERBS["expand"]),
    **dict(neg=arithmetic.neg, square=ONE_LINE["square"], meshgrid=meshgrid, var_mean=var_mean, std_mean=std_mean),
}
