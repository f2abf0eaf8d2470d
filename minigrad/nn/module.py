"""Module: a tree of parameters, buffers and other modules. What a module owns is what its attributes are."""

from typing import Any

import numpy as np

from ..tensor import Tensor
from . import conversion
from .hooks import Hooks, call_hooked, register
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .state import load_state
from .tree import check_assignment, check_name, children, members, nested


class Module:
    """Base of all layers and nets. Subclasses set Parameters, Buffers and Modules as attributes and define forward.

    An attribute that is one of the three may be replaced by another of its kind, or by None; a tensor in a buffer's
    place becomes a buffer. TypeError for anything else there, and for a list, tuple or dict of them, whose parameters
    nobody would find: see ModuleList, ModuleDict and ParameterList.
    """

    training = True
    drawn_from: tuple[str, ...] = ()  # attributes that change with each number that is drawn by recompute.draw
    _hooks: Hooks | None = None

    def __setattr__(self, name, value):
        super().__setattr__(name, check_assignment(self, Module, name, value))

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """The module's output; subclasses define it, callers write module(x)."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *inputs, **settings):
        hooks = self._hooks
        return self.forward(*inputs, **settings) if hooks is None else call_hooked(self, hooks, inputs, settings)

    # The tree

    def named_children(self):
        """(name, module) of the modules right below, in the order they were set; one that is there twice once."""
        return members([("", self)], Module)

    def children(self):
        """The modules right below, each once."""
        return (m for _, m in self.named_children())

    def named_modules(self, prefix="", remove_duplicate=True):
        """(dotted name, module) of this module and all below, parents first; a shared module once, unless told."""
        return nested(self, Module, prefix, set() if remove_duplicate else None)

    def modules(self):
        """This module and all below, parents first, each once."""
        return (m for _, m in self.named_modules())

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted name, Parameter) of this module and, with recurse, all below; a shared one once, unless told."""
        return self._named(Parameter, prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters of this module and all below, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted name, Buffer) of this module and, with recurse, all below; a shared one once, unless told."""
        return self._named(Buffer, prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """The buffers of this module and all below, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def _named(self, kind, prefix="", recurse=True, remove_duplicate=True):
        modules = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        return members(modules, kind, remove_duplicate)

    def get_submodule(self, target):
        """The module of that dotted name; "" is this one. AttributeError, naming what there is, if there is none."""
        module = self
        for name in target.split(".") if target else ():
            below = dict(children(module, Module))
            if name not in below:
                known = ", ".join(below) or "none"
                raise AttributeError(f"get_submodule: {type(module).__name__} has no module {name!r}; it has {known}")
            module = below[name]
        return module

    def register_parameter(self, name, param):
        """Set a Parameter (or None) by name. TypeError for anything else, ValueError for a name that can't be."""
        self._register(name, param, Parameter)

    def register_buffer(self, name, tensor):
        """Set a buffer (a tensor, or None) by name. TypeError for anything else, ValueError for such a name."""
        self._register(name, Buffer(tensor.data) if isinstance(tensor, Tensor) else tensor, Buffer)

    def add_module(self, name, module):
        """Set a module (or None) by name. TypeError for anything else, ValueError for a name that can't be."""
        self._register(name, module, Module)

    register_module = add_module

    def _register(self, name, value, kind):
        check_name(self, name)
        if value is not None and not isinstance(value, kind):
            owner, article = type(self).__name__, "a tensor" if kind is Buffer else f"a {kind.__name__}"
            raise TypeError(f"{owner}: {name} must be {article} or None; got {conversion.described(value)}")
        setattr(self, name, value)

    def apply(self, fn):
        """fn(module) for all modules below and then this one. Returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # Hooks

    def register_forward_pre_hook(self, hook):
        """Call hook(module, inputs) before each forward, inputs being a tuple; what it returns takes their place.

        Returns a handle whose remove() takes the hook away. Inputs by keyword are not shown.
        """
        return register(self, "forward_pre", hook)

    def register_forward_hook(self, hook):
        """Call hook(module, inputs, output) after each forward; what it returns takes the output's place.

        Returns a handle whose remove() takes the hook away. Modules with hooks are called one by one (see Sequential).
        """
        return register(self, "forward", hook)

    def register_full_backward_hook(self, hook):
        """Call hook(module, grad_inputs, grad_outputs) when the gradients of the module's inputs are complete.

        Both are tuples of arrays, None where there is no gradient, one for each positional input and each output. What
        the hook returns, a tuple or the one gradient, takes the inputs' gradients' place. ValueError for another
        number or shape. Returns a handle whose remove() takes the hook away.
        """
        return register(self, "backward", hook)

    # Modes

    def train(self, mode=True):
        """Training mode: batch norm uses the batch's statistics, dropout drops. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode. Returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Want gradients for all parameters, or freeze them: optimizers then skip them. Returns self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self):
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    # Devices and types

    def to(self, *where, **named):
        """Move all parameters and buffers to a device and convert them to a type, as to("cuda"), to(np.float64).

        Takes device and dtype in any order or by name, or a tensor that has both. Types change only where numbers are
        floating-point ones. Returns self. TypeError for what is neither, ValueError for a type without fractions.
        """
        conversion.convert(self, *conversion.device_and_type(where, **named))
        return self

    def cpu(self):
        """Move all parameters and buffers to the CPU. Returns self."""
        return self.to("cpu")

    def cuda(self):
        """Move all parameters and buffers to the GPU. Returns self."""
        return self.to("cuda")

    def double(self):
        """Turn all parameters and buffers into float64, as gradient checks need them. Returns self."""
        return self.to(np.float64)

    def float(self):
        """Turn all parameters and buffers into float32. Returns self."""
        return self.to(np.float32)

    def half(self):
        """Turn all parameters and buffers into float16, which only GPUs compute in (see autocast). Returns self."""
        return self.to(np.float16)

    # State

    def state_dict(self):
        """{dotted name: array} of all parameters and buffers: the arrays themselves, not copies.

        A parameter that has several names is listed under each, as in torch.
        """
        return {name: t.data for name, t in self._named((Parameter, Buffer), remove_duplicate=False)}

    def load_state_dict(self, state, strict=True):
        """Copy arrays into parameters and buffers by name; their type stays.

        Returns (missing, unexpected), the names on one side only. With strict these, and shapes and types that don't
        fit always, are a ValueError that lists them all; nothing is then changed.
        """
        return load_state(self, dict(self._named((Parameter, Buffer), remove_duplicate=False)), state, strict)

    # Text

    def extra_repr(self) -> str:
        """What repr shows of this module's own settings."""
        return ""

    def __repr__(self):
        below = [f"({name}): {m!r}".replace("\n", "\n  ") for name, m in children(self, Module)]
        if not below:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}({self.extra_repr()}\n  " + "\n  ".join(below) + "\n)"
