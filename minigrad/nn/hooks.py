"""Hooks of modules: functions that look at what goes into a module and comes out of it, and may change it.

The backward hook sees gradients of all inputs and all outputs at once. For that the inputs pass through nodes that do
nothing ("enter") and the outputs likewise ("leave"); all of them have one more parent, the "gate". A node runs after
all its users, so that the gate runs when every gradient of inputs and outputs is there; it calls the hook and sends
the gradients on to the inputs.
"""

from typing import NamedTuple

import numpy as np

from ..autograd import Handle, Node, recording
from ..tensor import Tensor


class Hooks(NamedTuple):
    """The hooks of one module, in the order in which they are called. Changed by replacement only."""

    forward_pre: tuple = ()
    forward: tuple = ()
    backward: tuple = ()


def entries(module, kind):
    """The module's hooks of a kind, each in a tuple of its own: the same function may be there twice."""
    return getattr(vars(module).get("_hooks") or Hooks(), kind)


def replace(module, kind, entries):
    """Let these be the module's hooks of a kind from now on."""
    hooks = (vars(module).get("_hooks") or Hooks())._replace(**{kind: entries})
    vars(module)["_hooks"] = hooks if any(hooks) else None


def register(module, kind, hook):
    """A Handle for hook, from now on called. TypeError for what can't be called."""
    if not callable(hook):
        raise TypeError(f"register_{kind}_hook: hook must be a function; got {type(hook).__name__}")
    entry = (hook,)
    replace(module, kind, (*entries(module, kind), entry))
    return Handle(lambda: replace(module, kind, tuple(e for e in entries(module, kind) if e is not entry)))


def call_hooked(module, hooks, inputs, settings):
    """module.forward(*inputs, **settings) with its hooks around it."""
    for (hook,) in hooks.forward_pre:
        changed = hook(module, inputs)
        if changed is not None:
            inputs = changed if isinstance(changed, tuple) else (changed,)
    passage = Passage(module, hooks.backward, inputs) if hooks.backward and recording.get() else None
    y = module.forward(*(inputs if passage is None else passage.entered), **settings)
    for (hook,) in hooks.forward:
        changed = hook(module, inputs, y)
        y = y if changed is None else changed
    return y if passage is None else passage.leave(y)


class Passage:
    """One call of a module with backward hooks: the gate, and the gradients that arrived at inputs and outputs."""

    def __init__(self, module, hooks, inputs):
        self.module, self.hooks = module, hooks
        self.wanted = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.node is not None]
        self.at_inputs, self.at_outputs = [None] * len(inputs), []
        self.gate = Node("gate", tuple(inputs[i].node for i in self.wanted), self.run)
        entered = list(inputs)
        for i in self.wanted:
            entered[i] = self.through("enter", inputs[i], None, self.at_inputs, i)
        self.entered = tuple(entered)

    def through(self, name, t, onward, arrived, i):
        """The tensor t behind a node that notes what gradient arrives, and sends it to the node `onward`, if any."""

        def backward(dy):
            arrived[i] = dy
            return dy, np.zeros(())  # all that the gate needs is to be reached

        return Tensor(t.data, node=Node(name, (onward, self.gate), backward), version=t.version)

    def leave(self, y):
        """The module's output, a tensor or a tuple or list of them, behind nodes of its own."""
        if isinstance(y, Tensor):
            return self.left(y)
        if not isinstance(y, tuple | list) or not all(isinstance(t, Tensor) for t in y):
            name = type(self.module).__name__
            raise TypeError(f"{name}: a backward hook needs an output of tensors; got {type(y).__name__}")
        left = [self.left(t) for t in y]
        return getattr(type(y), "_make", type(y))(left)  # also a named tuple

    def left(self, t):
        self.at_outputs.append(None)
        return t if t.node is None else self.through("leave", t, t.node, self.at_outputs, len(self.at_outputs) - 1)

    def run(self, token):
        """The gate's backward: call the hooks. The inputs' gradients, as they arrived or as a hook changed them."""
        given, arrived = tuple(self.at_inputs), tuple(self.at_outputs)
        self.at_inputs[:], self.at_outputs[:] = [None] * len(given), [None] * len(arrived)
        for (hook,) in self.hooks:
            changed = hook(self.module, given, arrived)
            given = given if changed is None else self.checked(changed, given)
        return tuple(given[i] for i in self.wanted)

    def checked(self, changed, given):
        """What a hook returned in place of the inputs' gradients, of their shapes and types."""
        changed, name = changed if isinstance(changed, tuple) else (changed,), type(self.module).__name__
        if len(changed) != len(given):
            raise ValueError(f"{name}: a backward hook returned {len(changed)} gradients for {len(given)} inputs")
        for new, old in zip(changed, given):
            if new is not None and old is not None and getattr(new, "shape", None) != old.shape:
                got = getattr(new, "shape", type(new).__name__)
                raise ValueError(f"{name}: a backward hook must return a gradient of shape {old.shape}; got {got}")
        return tuple(n if n is None or o is None else n.astype(o.dtype, copy=False) for n, o in zip(changed, given))


def is_observed(module):
    """Does anybody look at what this module takes and gives: a hook, or a forward put in place of its own?

    A forward that says keeps_fusion wants to see what runs, not what would run module by module.
    """
    own = vars(module).get("forward")
    return vars(module).get("_hooks") is not None or (own is not None and not hasattr(own, "keeps_fusion"))
