"""Dropout."""

from ..tensor import op


@op
def dropout(ctx, x, *, p=0.5, seed):
    """Zero each element with probability p and scale the rest (Srivastava et al. 2014).

        y  = x m / (1 - p)   with m = 0 with probability p, else 1
        dx = dy m / (1 - p)

    What is dropped depends on seed and position alone, so backward needs nothing but the seed. ValueError unless p
    is from 0 to 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be a probability from 0 to 1; got {p}")
    k = ctx.kernels

    def backward(dy):
        return (k.dropout_forward(dy, p, seed),)

    return k.dropout_forward(x, p, seed), backward
