"""Loading a state dict: all is looked at before anything is written."""

import numpy as np

from ..precision import is_floating_point
from ..tensor import Tensor

WIDTH = 100  # characters in a line of a list of names


def load_state(module, own, state, strict):
    """Copy arrays into own {name: tensor}: (missing, unexpected). ValueError, with nothing changed, as told there."""
    state = {name: as_array(value) for name, value in state.items()}
    there = {id(t) for name, t in own.items() if name in state}  # a tensor with two names needs one of them
    missing = [name for name, t in own.items() if id(t) not in there]
    unexpected = [name for name in state if name not in own]
    both = [(name, own[name], state[name]) for name in own if name in state]
    faults = {
        "missing": missing if strict else [],
        "unexpected": unexpected if strict else [],
        "shapes": [f"{n}: {a.shape} in the file, {t.shape} in the model" for n, t, a in both if a.shape != t.shape],
        "types": [f"{n}: {a.dtype} in the file, {t.dtype} in the model" for n, t, a in both if not fits(a, t)],
        "different, though one in the model": list(contradictions(both)),
    }
    if any(faults.values()):
        parts = (f"\n{what} ({len(names)}):\n{in_columns(names)}" for what, names in faults.items() if names)
        raise ValueError(f"load_state_dict: the state does not fit {type(module).__name__}{''.join(parts)}")
    for _, t, array in both:
        t.data[...] = t.device.asarray(array)
        t.version[0] += 1
    return missing, unexpected


def as_array(value):
    value = value.data if isinstance(value, Tensor) else value
    return value if hasattr(value, "strides") else np.asarray(value)


def fits(array, t):
    """Are the numbers of a kind that t can hold?"""
    whole = array.dtype.kind in "iub"
    return whole or (is_floating_point(array.dtype) and is_floating_point(t.dtype))


def contradictions(both):
    """The second names of tensors that have two, whose numbers differ in the file."""
    first = {}
    for name, t, array in both:
        known, other = first.setdefault(id(t), (name, array))
        if other is not array and (other.shape != array.shape or not bool((other == array).all())):
            yield f"{known}, {name}"


def in_columns(names):
    """Names below each other, in as many columns as there is room for."""
    wide = max(map(len, names)) + 2
    columns = max(1, min(WIDTH // wide, -(-len(names) // 4)))
    rows = -(-len(names) // columns)
    lines = ("".join(name.ljust(wide) for name in names[row::rows]).rstrip() for row in range(rows))
    return "\n".join(f"  {line}" for line in lines)
