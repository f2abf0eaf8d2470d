"""Einstein's sum convention: products and sums of arrays by the names of their axes."""

import string

from kernels.reference.arrays import exact_sum

from ..precision import promoted, sums
from ..tensor import op


def parsed(equation, ndims):
    """([axes of each input], axes of the output) as strings of letters; an ellipsis is spelt out in capitals."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {equation!r} names {len(terms)} tensors; got {len(ndims)}")
    extra = [n - len(t.replace("...", "")) for t, n in zip(terms, ndims)]
    if any(e < 0 or (e > 0 and "..." not in t) for t, e in zip(terms, extra)):
        raise ValueError(f"einsum: {equation!r} does not name the {', '.join(map(str, ndims))} axes of its tensors")
    spare = [c for c in string.ascii_letters[::-1] if c not in equation]
    wide = spare[: max(extra)]
    terms = [t.replace("...", "".join(wide[len(wide) - e :])) for t, e in zip(terms, extra)]
    if not arrow:
        right = "..." + "".join(sorted(c for c in set(left) - set(".,") if left.count(c) == 1))
    right = right.replace("...", "".join(wide))
    if any(len(set(t)) < len(t) for t in (*terms, right)):
        raise ValueError(f"einsum: {equation!r} names an axis of one tensor twice; take the diagonal by an index first")
    if not set(right) <= set("".join(terms)):
        raise ValueError(f"einsum: {equation!r} has an axis on the right that no tensor has")
    return terms, right


def check_lengths(equation, terms, shapes):
    """Refuse tensors that don't agree on the length of an axis."""
    found = {}
    for term, shape in zip(terms, shapes):
        for name, n in zip(term, shape):
            if found.setdefault(name, n) != n:
                raise ValueError(f"einsum: axis {name!r} of {equation!r} is {found[name]} and {n} long; {shapes}")


@op(autocast=sums, types=promoted)
def einsum(ctx, *xs, equation):
    """y = the sum, over all axes that the output lacks, of the product of the xs, axes by name: "nhd,nwd->nhw"

    dxs[i] = the einsum of dy and the other xs with xs[i]'s axes as output (stretched along axes that xs[i] alone has)

    "..." stands for leading axes; without "->" the output has the axes named once, in alphabetical order, as in torch.
    ValueError for an equation that does not fit, lengths that differ, or an axis named twice in one tensor.
    """
    xp, needs = ctx.xp, ctx.needs
    terms, right = parsed(equation, [x.ndim for x in xs])
    check_lengths(equation, terms, [x.shape for x in xs])

    def backward(dy):
        return tuple(one_gradient(xp, dy, xs, terms, right, i) if need else None for i, need in enumerate(needs))

    return product(xp, terms, xs, right), backward


def product(xp, terms, arrays, right):
    """The einsum of arrays. What one of them alone has is summed first, exactly: NumPy's einsum adds one by one."""
    summed = [without_lone_axes(i, terms, a, right) for i, a in enumerate(arrays)]
    return xp.einsum(f"{','.join(term for term, _ in summed)}->{right}", *(a for _, a in summed), optimize=True)


def without_lone_axes(i, terms, array, right):
    """(axes, array) of the i-th input, summed over the axes that nothing else has."""
    others = right.join(terms[:i] + terms[i + 1 :]) + right
    lone = tuple(at for at, name in enumerate(terms[i]) if name not in others)
    return "".join(c for c in terms[i] if c in others), exact_sum(array, lone) if lone else array


def one_gradient(xp, dy, xs, terms, right, i):
    """dxs[i]"""
    rest = [(x, term) for j, (x, term) in enumerate(zip(xs, terms)) if j != i]
    inputs = [right, *(term for _, term in rest)]
    reached = "".join(c for c in terms[i] if any(c in term for term in inputs))
    dx = product(xp, inputs, [dy, *(x for x, _ in rest)], reached)
    lone = tuple(n if c in reached else 1 for c, n in zip(terms[i], xs[i].shape))
    return xp.broadcast_to(dx.reshape(lone), xs[i].shape)
