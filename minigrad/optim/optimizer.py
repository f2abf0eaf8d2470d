"""Optimizer: what SGD and Adam share. Parameter groups, the walk over parameters, and the state to resume from."""

import math
from numbers import Real

import numpy as np

from ..device import CPU, device_of, get_device
from ..tensor import Tensor
from .params import members


class Optimizer:
    """Changes parameters by their gradients. Subclasses define `update`, the step of some parameters.

    params: tensors, or groups of them: dicts with "params" and the settings that differ from the defaults.
    param_groups: the groups with all their settings; whoever changes group["lr"] changes the next step.
    maximize: climb instead of descend, which is to step by the negated gradients.
    state_names: what `update` keeps for each parameter: arrays of its shape, and ints; optional_names: of these, what
    only some settings need.
    """

    state_names: tuple = ()
    optional_names: tuple = ()
    not_negative: tuple = ("lr", "weight_decay", "momentum", "eps")

    def __init__(self, params, maximize=False, **defaults):
        self.defaults = {**defaults, "maximize": maximize}
        self.param_groups, self.params, self.state = [], [], []
        name = type(self).__name__
        groups = params if isinstance(params, Tensor | dict) or not hasattr(params, "__iter__") else list(params)
        is_grouped = isinstance(groups, list) and any(isinstance(g, dict) for g in groups)
        for group in groups if is_grouped else [{"params": groups}]:
            self.add_param_group(group)
        if not self.params:
            raise ValueError(f"{name}: params is empty; pass model.parameters()")

    def add_param_group(self, group):
        """One more group: a dict with "params" and the settings that differ from the defaults. Refused as in init."""
        name = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{name}: a group must be a dict with 'params'; got {type(group).__name__}")
        if unknown := group.keys() - self.defaults.keys() - {"params"}:
            raise ValueError(f"{name}: unknown settings {sorted(unknown)}; known: {', '.join(self.defaults)}")
        group = {**self.defaults, **group, "params": members(name, group["params"])}
        self.check(group)
        for p in group["params"]:
            if not p.is_leaf:
                raise TypeError(f"{name}: params must hold leaf tensors (parameters); got a tensor that an op made")
        ids = [id(p) for p in (*self.params, *group["params"])]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{name}: params holds the same parameter twice")
        self.param_groups.append(group)
        self.params += group["params"]
        self.state += [{} for _ in group["params"]]

    def check(self, group):
        """Refuse settings out of range; NumPy's numbers become Python's. Called before each step, too."""
        name = type(self).__name__
        for setting in self.not_negative:
            if setting in group:
                group[setting] = number(name, setting, group[setting])
                if not 0 <= group[setting] < math.inf:
                    rule = ">= 0" if group[setting] < 0 else "a finite number"
                    raise ValueError(f"{name}: {setting} must be {rule}; got {group[setting]}")

    def update(self, ws, dws, states, group):
        """One step of the weights ws, in place, by their gradients dws. states: what step after step belongs to each.

        All are of one type on one device, and either all states are empty or all are at the same step.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def step(self):
        """Change every parameter that has a gradient. Backward passes that need the old numbers are refused."""
        there = [p for g in self.param_groups for p in g["params"]]
        if len(there) != len(self.params) or any(p is not q for p, q in zip(there, self.params)):
            raise RuntimeError(f"{type(self).__name__}: the groups' params were changed; use add_param_group")
        state = iter(self.state)
        for group in self.param_groups:
            self.check(group)
            together = {}
            for p in group["params"]:
                own = next(state)
                if p.grad is not None:
                    check_arrays(type(self).__name__, p, own)
                    together.setdefault((p.dtype, p.device, own.get("step"), not own), []).append((p, own))
            for ready in together.values():
                self.update_together(ready, group)

    def update_together(self, ready, group):
        """`update` of (parameter, state) of one type on one device, and the parameters' counts of writes."""
        params, states = zip(*ready)
        dws = [p.device.xp.asarray(-p.grad if group.get("maximize") else p.grad) for p in params]  # no NumPy scalars
        self.update([p.data for p in params], dws, states, group)
        for p in params:
            p.version[0] += 1

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters; set_to_none=False: keep those that there are, as zeros."""
        for p in self.params:
            if p.grad is not None:
                p.grad = None if set_to_none else p.device.xp.zeros_like(p.grad)

    # State

    def to(self, device):
        """Move the state to a device, after the parameters: optimizer.to("cuda"). Returns self."""
        device = get_device(device)
        for own in self.state:
            own.update({name: device.asarray(value) for name, value in own.items() if np.ndim(value)})
        return self

    def state_dict(self):
        """All that a resumed run needs to take the same steps bit for bit.

        {"state": {"3.momentum_buffer": array, ...} by position of the parameter (the arrays themselves, not copies),
        "param_groups": [settings of each group, "params" being positions]}: arrays for a safetensors file, and JSON.
        """
        arrays = {f"{i}.{n}": CPU.asarray(v) for i, own in enumerate(self.state) for n, v in own.items()}
        position = {id(p): i for i, p in enumerate(self.params)}
        groups = [{**g, "params": [position[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": arrays, "param_groups": groups}

    def load_state_dict(self, saved):
        """Take up where the optimizer that returned `saved` was. ValueError, and nothing changed, if it doesn't fit."""
        sizes = [len(g["params"]) for g in saved["param_groups"]]
        own_sizes = [len(g["params"]) for g in self.param_groups]
        if sizes != own_sizes:
            raise ValueError(f"load_state_dict: groups of {sizes} parameters saved, but this optimizer has {own_sizes}")
        self.state = self._loaded_state(saved["state"])
        for group, settings in zip(self.param_groups, saved["param_groups"]):
            group.update({n: v for n, v in settings.items() if n != "params"})

    def _loaded_state(self, arrays):
        state = [{} for _ in self.params]
        for key, value in arrays.items():
            index, _, name = key.partition(".")
            if name not in self.state_names or not index.isdecimal() or int(index) >= len(state):
                kind = f"{type(self).__name__} of {len(state)} parameters"
                raise ValueError(f"load_state_dict: {key} does not belong to {kind} ({', '.join(self.state_names)})")
            state[int(index)][name] = self._loaded_value(key, value, self.params[int(index)])
        for i, own in enumerate(state):
            if own and not own.keys() | set(self.optional_names) >= set(self.state_names):
                raise ValueError(f"load_state_dict: parameter {i} has only {', '.join(own)} of its state")
        return state

    def _loaded_value(self, key, value, p):
        """A saved value as own state: a count as int, an array as a copy on the parameter's device."""
        if np.ndim(value) == 0 and value.dtype.kind == "i":
            return int(value)
        if value.shape != p.shape:
            raise ValueError(f"load_state_dict: {key} has shape {value.shape}, but the parameter has {p.shape}")
        return p.device.asarray(value).copy()


def number(name, setting, value):
    """A setting as a Python number, also from NumPy's or a single number in an array or tensor. Else TypeError."""
    if type(value) in (int, float):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return float(value.item())
    raise TypeError(f"{name}: {setting} must be a number; got {value!r}")


def check_arrays(name, p, own):
    """Refuse weights that can't be written, and a gradient or state that is not of their type, shape and device.

    State of another type, as after net.double(), is converted.
    """
    w, dw = p.data, p.grad
    if isinstance(w, np.ndarray) and not w.flags.writeable:
        raise ValueError(f"{name}: a parameter of shape {w.shape} lies in memory that cannot be written; copy it")
    if dw.dtype != w.dtype or dw.shape != w.shape:
        got = f"a gradient {dw.shape} of {dw.dtype} for a parameter {w.shape} of {w.dtype}"
        raise ValueError(f"{name}: {got}; run backward again after changing .data")
    for what, value in own.items():
        if hasattr(value, "dtype") and value.ndim == w.ndim and value.shape == w.shape:
            if device_of(value) is not p.device:
                raise ValueError(f"{name}: a parameter is on {p.device.name}, its {what} is not; use optimizer.to()")
            own[what] = value if value.dtype == w.dtype else value.astype(w.dtype)
        elif hasattr(value, "dtype"):
            raise ValueError(f"{name}: {what} has shape {value.shape}, but the parameter has {w.shape}")
