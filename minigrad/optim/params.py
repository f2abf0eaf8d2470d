"""The parameters that are handed over: as a list, in groups, and their gradients."""

from collections.abc import Iterator

from ..tensor import Tensor


def members(name, params):
    """A parameter, or an iterable of them, as a list; one that is there twice once.

    TypeError for anything else, ValueError for an iterator that gives nothing, as one does that was used before.
    """
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, dict | str) or not hasattr(params, "__iter__"):
        hint = "; pass its parameters()" if hasattr(params, "parameters") else ""
        raise TypeError(f"{name}: params must be parameters in a list; got {type(params).__name__}{hint}")
    found = list(params)
    for p in found:
        if not isinstance(p, Tensor):
            hint = "; pass parameters(), without names" if isinstance(p, tuple) else ""
            raise TypeError(f"{name}: params must hold leaf tensors (parameters); got {type(p).__name__}{hint}")
    if not found and isinstance(params, Iterator):
        raise ValueError(f"{name}: params is an iterator that gives nothing, or was used before; pass a list")
    return found


def once(params):
    """Each of them once, in order."""
    return list({id(p): p for p in params}.values())


def grads_of(name, params):
    """The gradients that there are, as arrays that can be changed in place, each on memory of its own."""
    params, seen = [p for p in once(members(name, params)) if p.grad is not None], set()
    for p in params:
        grad = p.device.xp.asarray(p.grad)  # NumPy's full reductions give scalars
        fixed = not getattr(grad.flags, "writeable", True) or not grad.flags.c_contiguous
        p.grad = grad.copy(order="C") if fixed or id(grad) in seen else grad
        seen.add(id(p.grad))
    return [p.grad for p in params]


def parameter_groups(model, weight_decay, norm_weight_decay=None):
    """Parameter groups for an optimizer: all parameters with weight_decay, or two groups.

    With norm_weight_decay (0, as a rule) the vectors, which are batch norm's gamma and beta and all biases, get that
    instead: shrinking them regularises nothing (He et al. 2019, "Bag of tricks", section 3.1).
    """
    if norm_weight_decay is None:
        return [{"params": list(model.parameters()), "weight_decay": weight_decay}]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    weights = [p for p in model.parameters() if p.ndim > 1]
    groups = ({"params": weights, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": norm_weight_decay})
    return [group for group in groups if group["params"]]
