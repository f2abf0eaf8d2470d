"""Checks that ops share. Each error names the op, the argument, the value and the rule."""

from numbers import Integral

from kernels.shapes import window_counts


def is_whole(value, least):
    """Is it an int >= least, Python's or NumPy's? (True and False count as no numbers.)"""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def whole(name, what, value, least=1) -> int:
    """A whole number >= least, Python's or NumPy's, as an int. ValueError for anything else."""
    if not is_whole(value, least):
        raise ValueError(f"{name}: {what} must be an int >= {least}; got {value!r}")
    return int(value)


def pair(name, what, value, least) -> tuple[int, int]:
    """A number or a (vertical, horizontal) pair as a pair of ints >= least."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(is_whole(v, least) for v in both):
        raise ValueError(f"{name}: {what} must be an int >= {least} or a pair of them; got {value!r}")
    return int(both[0]), int(both[1])


def images(name, x, what="x"):
    """Refuse anything but (N, H, W, C)."""
    if x.ndim != 4:
        raise ValueError(f"{name}: {what} must have 4 axes (N, H, W, C), channels last; got shape {x.shape}")


def windows(name, x, size, stride, padding, dilation=(1, 1), ceil_mode=False):
    """(P, Q) for a window that slides over x (N, H, W, C); refuse one that does not fit even once."""
    counts = window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode)
    if min(counts) < 1:
        span = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size))
        room = tuple(n + 2 * p for n, p in zip(x.shape[1:3], padding))
        raise ValueError(f"{name}: a window of {span} does not fit into the padded image of {room}; x {x.shape}")
    return counts


def channels(name, x, **vectors):
    """Refuse a per-channel vector whose length is not x's number of channels."""
    for what, v in vectors.items():
        if v is not None and v.shape != x.shape[-1:]:
            raise ValueError(f"{name}: {what} must have shape {x.shape[-1:]}, x's channels (last axis); got {v.shape}")


def axis(name, x, dim):
    """One axis of x as a number from 0; refuse what is none. A tensor without axes has axis 0, as in torch."""
    most = max(x.ndim, 1)
    if not is_whole(dim, -most) or dim >= most:
        raise ValueError(f"{name}: dim must be an axis of x {x.shape}, from {-most} to {most - 1}; got {dim!r}")
    return int(dim) % most


def long_axis(name, x, dim):
    """axis, and how long it is. ValueError for a tensor without axes."""
    if not x.ndim:
        raise ValueError(f"{name}: x must have an axis; it is a single number, of shape ()")
    at = axis(name, x, dim)
    return at, x.shape[at]


def fits(shape, wide):
    """Does this shape broadcast to `wide`?"""
    lengths = zip(reversed(shape), reversed(wide))
    return len(shape) <= len(wide) and all(n in (1, m) for n, m in lengths)
