"""Module: a tree of parameters, buffers and other modules. What a module owns is what its attributes are."""

from typing import Any

import numpy as np

from ..device import get_device
from ..tensor import Tensor


class Parameter(Tensor):
    """A tensor that training changes: a leaf that requires a gradient."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to the module's state but has no gradient, as batch norm's running statistics."""

    __slots__ = ()


class Module:
    """Base of all layers and nets. Subclasses set Parameters, Buffers and Modules as attributes and define forward."""

    training = True

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """The module's output; subclasses define it, callers write module(x)."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *inputs, **settings):
        return self.forward(*inputs, **settings)

    # The tree

    def named_children(self):
        """(name, module) of the modules right below, in the order they were set."""
        return ((n, m) for n, m in vars(self).items() if isinstance(m, Module))

    def named_modules(self, prefix=""):
        """(dotted name, module) of this module and all below, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self):
        """This module and all below, parents first."""
        return (m for _, m in self.named_modules())

    def _named(self, kind):
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, kind) and id(value) not in seen:  # a shared parameter counts once
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def named_parameters(self):
        """(dotted name, Parameter) of this module and all below."""
        return self._named(Parameter)

    def parameters(self):
        """The parameters of this module and all below, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self):
        """(dotted name, Buffer) of this module and all below."""
        return self._named(Buffer)

    def buffers(self):
        """The buffers of this module and all below, each once."""
        return (b for _, b in self.named_buffers())

    # Modes

    def train(self, mode=True):
        """Training mode: batch norm uses the batch's statistics, dropout drops. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode. Returns self."""
        return self.train(False)

    def zero_grad(self):
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    def to(self, device):
        """Move all parameters and buffers to a device ("cpu", "cuda"). Returns self."""
        device = get_device(device)
        for t in (*self.parameters(), *self.buffers()):
            t.data = device.asarray(t.data)
            if t.grad is not None:
                t.grad = device.asarray(t.grad)
        return self

    def cpu(self):
        """Move all parameters and buffers to the CPU. Returns self."""
        return self.to("cpu")

    def cuda(self):
        """Move all parameters and buffers to the GPU. Returns self."""
        return self.to("cuda")

    def double(self):
        """Turn all parameters and buffers into float64, as gradient checks need them. Returns self."""
        for t in (*self.parameters(), *self.buffers()):
            t.data = t.data.astype(np.float64)
            if t.grad is not None:
                t.grad = t.grad.astype(np.float64)
        return self

    # State

    def state_dict(self):
        """{dotted name: array} of all parameters and buffers: the arrays themselves, not copies."""
        return {name: t.data for name, t in self._named((Parameter, Buffer))}

    def load_state_dict(self, state, strict=True):
        """Copy arrays into parameters and buffers by name.

        Returns (missing, unexpected), the names on one side only. With strict these, and shapes that differ always,
        are a ValueError that lists them all; nothing is then changed.
        """
        own = dict(self._named((Parameter, Buffer)))
        state = {n: v.data if isinstance(v, Tensor) else v for n, v in state.items()}
        missing, unexpected = [n for n in own if n not in state], [n for n in state if n not in own]
        shapes = [
            f"{n}: {np.shape(state[n])} in the file, {t.shape} in the model"
            for n, t in own.items()
            if n in state and np.shape(state[n]) != t.shape
        ]
        listed = {"missing": missing if strict else [], "unexpected": unexpected if strict else [], "shapes": shapes}
        if any(listed.values()):
            lines = (f"{what} ({len(names)}): {', '.join(names)}" for what, names in listed.items() if names)
            raise ValueError(f"load_state_dict: the state does not fit {type(self).__name__}; {'; '.join(lines)}")
        for name in own.keys() & state.keys():
            own[name].data[...] = own[name].device.asarray(state[name])
            own[name].version[0] += 1
        return missing, unexpected

    # Text

    def extra_repr(self) -> str:
        """What repr shows of this module's own settings."""
        return ""

    def __repr__(self):
        children = [f"({n}): {m!r}".replace("\n", "\n  ") for n, m in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}({self.extra_repr()}\n  " + "\n  ".join(children) + "\n)"
