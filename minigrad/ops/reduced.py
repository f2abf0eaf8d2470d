"""What losses of one number an element share: the same shapes, the reduction, constants among the settings."""

from kernels.reference.arrays import exact_mean, exact_sum

from ..tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def alike(name, x, target):
    """Refuse a target of another shape: broadcasting one would compare what doesn't belong together."""
    if x.shape != target.shape:
        raise ValueError(f"{name}: x and target must have the same shape; got {x.shape} and {target.shape}")


def checked_reduction(name, reduction, known=REDUCTIONS):
    if reduction not in known:
        raise ValueError(f"{name}: reduction must be one of {known}; got {reduction!r}")


def reduced(name, loss, reduction):
    """(what is left of an array of losses, the weight of each of them in it)."""
    checked_reduction(name, reduction)
    if reduction == "none":
        return loss, 1.0
    total = exact_sum if reduction == "sum" else exact_mean
    return total(loss, tuple(range(loss.ndim))), 1.0 if reduction == "sum" else 1 / max(loss.size, 1)


def constant(ctx, name, what, value, dtype):
    """A setting (tensor, array, list, number or None) as an array. ValueError if it wants a gradient: it gets none."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(f"{name}: {what} is a constant and gets no gradient; pass {what}.detach()")
        value = value.data
    return None if value is None else ctx.xp.asarray(value, dtype)


def reduced_tensor(name, loss, reduction):
    """reduced, of a tensor of losses."""
    checked_reduction(name, reduction)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def beside(x, value):
    """A constant (tensor, array or list) as an array on the device of the tensor x."""
    return value.data if isinstance(value, Tensor) else x.device.xp.asarray(value)
