"""What is asked of numbers, and has no gradient: booleans for each element, places, counts, and one answer for all."""

from ..precision import is_floating_point as is_float
from ..tensor import Tensor, common_device, lift


def isnan(x):
    """Which elements are NaN: booleans."""
    return Tensor(x.data != x.data)


def isinf(x):
    """Which elements are infinite, of either sign: booleans."""
    return Tensor(x.device.xp.isinf(x.data))


def isfinite(x):
    """Which elements are neither NaN nor infinite: booleans."""
    return Tensor(x.device.xp.isfinite(x.data))


def logical_not(x):
    """Which elements are 0 (False): booleans."""
    return Tensor(x.data == 0)


def logical(name):
    """A function of two tensors, or a tensor and a number, taken as booleans: 0 is False."""

    def call(x, other):
        other = other if isinstance(other, Tensor) else lift(name, other, x)
        device = common_device(name, (x, other))
        return Tensor(device.xp.asarray(getattr(device.xp, name)(x.data != 0, other.data != 0)))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{name.removeprefix('logical_')} of each element and that of other, 0 being False: booleans."
    return call


def nonzero(x, as_tuple=False):
    """Where x isn't 0: (count, axes) integers, a row for each place; as_tuple: one tensor an axis, to index with."""
    places = x.device.xp.nonzero(x.data if x.ndim else x.data.reshape(1))
    if as_tuple:
        return tuple(Tensor(p) for p in places)
    return Tensor(x.device.xp.stack(places, -1)[:, : x.ndim])


def count_nonzero(x, dim=None):
    """How many elements are not 0, over an axis, several (a tuple) or all (None): integers."""
    return Tensor(x.device.xp.asarray((x.data != 0).sum(tuple(dim) if isinstance(dim, list) else dim)))


def is_floating_point(x):
    """Does x hold floating-point numbers?"""
    return is_float(x.dtype)


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Which elements of a are within atol + rtol |b| of b's? Equal infinities are; NaNs only with equal_nan."""
    same = (a.data == b.data) | (equal_nan & (a.data != a.data) & (b.data != b.data))
    finite = a.device.xp.isfinite(b.data)
    near = a.device.xp.where(finite, b.data, 0)
    return Tensor(same | (finite & (abs(a.data - near) <= atol + rtol * abs(near))))


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Are all elements of a within atol + rtol |b| of b's? See isclose."""
    return bool(isclose(a, b, rtol, atol, equal_nan).data.all())


def equal(a, b):
    """Have a and b one shape and the same numbers?"""
    return a.shape == b.shape and bool((a.data == b.data).all())


QUERIES = {
    **dict(isnan=isnan, isinf=isinf, isfinite=isfinite, logical_not=logical_not, nonzero=nonzero, equal=equal),
    **{name: logical(name) for name in ("logical_and", "logical_or", "logical_xor")},
    **dict(count_nonzero=count_nonzero, isclose=isclose, allclose=allclose, is_floating_point=is_floating_point),
}
