"""What is a function of the package as well as a method of Tensor, or that only: minigrad.where, minigrad.stack ..."""

from . import arithmetic, arrangement, elementwise, joining, lookup, similarity
from .by_position import by_position
from .einsum import einsum as einsum_op
from .methods import METHODS
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


METHODS_TOO = "sum mean max amax any all reshape transpose permute flatten exp log sqrt".split()
FUNCTIONS = {
    **VERBS,
    **{name: METHODS[name] for name in METHODS_TOO},
    **dict(matmul=arithmetic.matmul, add=arithmetic.add, sub=arithmetic.sub, mul=arithmetic.mul, div=arithmetic.div),
    **dict(where=elementwise.where, stack=stack, cat=cat, concat=cat, einsum=einsum, one_hot=lookup.one_hot),
    **dict(cosine_similarity=by_position(similarity.cosine_similarity)),
}
