"""Optimizer: what SGD and Adam share. Parameter groups, the walk over parameters, and the state to resume from."""

import numpy as np

from ..device import CPU, get_device
from ..tensor import Tensor


class Optimizer:
    """Changes parameters by their gradients. Subclasses define `update`, the step of some parameters.

    params: tensors, or groups of them: dicts with "params" and the settings that differ from the defaults.
    param_groups: the groups with all their settings; whoever changes group["lr"] changes the next step.
    state_names: what `update` keeps for each parameter: arrays of its shape, and ints.
    """

    state_names: tuple = ()

    def __init__(self, params, **defaults):
        groups = list(params)
        groups = groups if groups and isinstance(groups[0], dict) else [{"params": groups}]
        self.param_groups = [{**defaults, **g, "params": list(g["params"])} for g in groups]
        for group in self.param_groups:
            self.check(group, defaults)
        self.params = [p for g in self.param_groups for p in g["params"]]
        self.state = [{} for _ in self.params]
        if not self.params:
            raise ValueError(f"{type(self).__name__}: params is empty; pass model.parameters()")
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError(f"{type(self).__name__}: params holds the same parameter twice")

    def check(self, group, defaults):
        """Refuse a group whose settings are unknown or out of range, or whose parameters are not leaves."""
        name = type(self).__name__
        if unknown := group.keys() - defaults.keys() - {"params"}:
            raise ValueError(f"{name}: unknown settings {sorted(unknown)}; known: {', '.join(defaults)}")
        for p in group["params"]:
            if not isinstance(p, Tensor) or not p.is_leaf:
                what = "a tensor that an op made" if isinstance(p, Tensor) else type(p).__name__
                raise TypeError(f"{name}: params must hold leaf tensors (parameters); got {what}")
        for setting in ("lr", "weight_decay", "momentum", "eps"):
            if group.get(setting, 0) < 0:
                raise ValueError(f"{name}: {setting} must be >= 0; got {group[setting]}")

    def update(self, ws, dws, states, group):
        """One step of the weights ws, in place, by their gradients dws. states: what step after step belongs to each.

        All are of one type on one device, and either all states are empty or all are at the same step.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def step(self):
        """Change every parameter that has a gradient. Backward passes that need the old numbers are refused."""
        state = iter(self.state)
        for group in self.param_groups:
            together = {}
            for p in group["params"]:
                own = next(state)
                if p.grad is not None:
                    together.setdefault((p.dtype, p.device, own.get("step"), not own), []).append((p, own))
            for members in together.values():
                params, states = zip(*members)
                self.update([p.data for p in params], [p.grad for p in params], states, group)
                for p in params:
                    p.version[0] += 1

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for p in self.params:
            if p.requires_grad:
                p.grad = None

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
            if own and len(own) < len(self.state_names):
                raise ValueError(f"load_state_dict: parameter {i} has only {', '.join(own)} of its state")
        return state

    def _loaded_value(self, key, value, p):
        """A saved value as own state: a count as int, an array as a copy on the parameter's device."""
        if np.ndim(value) == 0 and value.dtype.kind == "i":
            return int(value)
        if value.shape != p.shape:
            raise ValueError(f"load_state_dict: {key} has shape {value.shape}, but the parameter has {p.shape}")
        return p.device.asarray(value).copy()
