"""Stepper: the backward pass one step at a time, forwards and back again, with all that a step uses and gives."""

import sys
from typing import Any, NamedTuple

from ..autograd import Leaf
from .arrays import in_words
from .source import arrays_by_path, backward_source, formula
from .trace import Trace, variables_of


class Stepper:
    """Walk through the backward pass of a loss.

    loss    a tensor, or a function without arguments that computes it: then the output of every op is kept and shown,
            and the module that ran it is known for certain
    model   the net whose parameters' names are shown; found by itself when left out
    variables   (name, value) pairs whose tensors are shown by name; the caller's variables when left out
    readable    write fused ops out (batch_norm_relu as batch_norm and relu, a dense block as its layers with their
            concats); loss must then be a function. The numbers agree with the fused ones up to rounding

    next(), back(), until(name) and run() move; each returns the StepView it arrives at. `steps` holds those that were
    taken, `position` how many of them are in effect, `step` the current one (None before the first). Gradients come to
    rest in the leaves as with loss.backward(), bit for bit, and back() takes them out again. The graph and the
    gradients of all steps are kept until the stepper is gone: more memory than backward() needs.

    print(stepper) shows the current step, a notebook the graph with buttons; to_html() is the same as one file.
    TypeError if loss is no tensor with a gradient; ValueError if it has more than one number, or is readable and no
    function; RuntimeError if a backward pass has used up its graph.
    """

    def __init__(self, loss, model=None, variables=None, readable=False):
        variables = variables_of(sys._getframe(1)) if variables is None else variables
        self.trace = Trace(loss, model, variables, readable)
        self.pass_ = self.trace.loss.backward_steps(retain_graph=True)
        self.before = {node: Rest(node) for node in self.trace.order}
        self.steps, self.position, self.widget = [], 0, None
        self.arrivals = {node: [] for node in self.trace.order}

    def __len__(self):
        """How many steps the whole pass has (at most: nodes that no gradient reaches are passed over)."""
        return len(self.steps) if self.pass_ is None else len(self.trace.order)

    @property
    def step(self):
        """The StepView of the current step, None before the first."""
        return self.steps[self.position - 1] if self.position else None

    @property
    def done(self):
        """Is every step taken? To find out, the step that follows is run, if it never was, and taken back."""
        return self.position == len(self.steps) and not self._run_one_more()

    def next(self):
        """Take one step -> its StepView. IndexError after the last one."""
        if not self._advance():
            raise IndexError(f"next: the backward pass is over after {len(self.steps)} steps")
        return self._show()

    def back(self):
        """Undo the last step: what it added to a leaf is taken out again. IndexError before the first one."""
        if not self.position:
            raise IndexError("back: no step was taken yet")
        self.before[self.step.node].restore()
        self.position -= 1
        return self._show()

    def until(self, name):
        """Step on to the next step of that op, module or leaf ("conv2d", "features.conv0", "w") -> its StepView.

        name: an op's name, the dotted path of a module or of one that holds it, or the name of a leaf. ValueError,
        naming what there is, if none lies ahead.
        """
        ahead = self.trace.order[:]
        for step in self.steps[: self.position]:
            ahead.remove(step.node)
        if not any(self._matches(node, name) for node in ahead):
            names = dict.fromkeys(self.trace.label(n) for n in ahead)
            fused = ", ".join(dict.fromkeys(n.name for n in ahead if n in self.trace.fused))
            raise ValueError(
                f"until: no step {name!r} lies ahead; there are {', '.join(names) or 'none'}"
                + (f" ({fused}: fused, readable=True writes them out)" if fused else "")
            )
        while self._advance():
            if self._matches(self.step.node, name):
                break
        return self._show()

    def run(self):
        """Take all steps that are left -> the StepView of the last one."""
        while self._advance():
            pass
        return self._show()

    def seek(self, position):
        """Go to where `position` steps are taken, forwards or back -> the StepView there (None at 0).

        IndexError if `position` is below 0 or above the number of steps.
        """
        if not 0 <= position <= len(self):
            raise IndexError(f"seek: position must be from 0 to {len(self)}, the number of steps; got {position}")
        while self.position > position:
            self.before[self.step.node].restore()
            self.position -= 1
        while self.position < position and self._advance():
            pass
        return self._show()

    def __iter__(self):
        """The steps that are left, each taken as it is asked for."""
        while self._advance():
            yield self._show()

    def _matches(self, node, name):
        path = self.trace.path.get(node, "")
        return name in (self.trace.label(node), node.name, path) or path.startswith(f"{name}.")

    def _advance(self):
        """Take a step, and say whether there was one: False after the last."""
        if self.done:
            return False
        self.position += 1
        self.step.after.restore()
        return True

    def _run_one_more(self):
        """Run a step that never was run, and take it back. False if there is none."""
        step = next(self.pass_, None) if self.pass_ is not None else None
        if step is None:
            self.pass_ = None
            return False
        view = StepView(self, len(self.steps), step)
        self.steps.append(view)
        for parent, name, dx in zip(step.node.parents, self.trace.inputs[step.node], step.dxs):
            if parent is not None and dx is not None:
                self.arrivals[parent].append(Arrival(step.node, view.name, name, dx))
        self.before[step.node].restore()
        return True

    def _show(self):
        if self.widget is not None and self.widget.step != self.position:
            self.widget.step = self.position
        return self.step

    def __str__(self):
        if self.step is None:
            return f"Stepper before the first of {len(self)} steps: loss = {in_words(self.trace.loss.data)}"
        return str(self.step)

    def __repr__(self):
        return f"<Stepper: step {self.position} of {len(self)}>"

    def to_html(self, path=None):
        """One HTML text with everything in it, that clicks without a server or a network; also written to path."""
        from .page import page

        return page("stepper", self, path)

    def _ipython_display_(self):
        from .notebook import show

        show(self)


class Rest:
    """The gradient that rests in a node, to be put back later: the same array with the same numbers."""

    def __init__(self, node):
        self.node, self.array = node, node.grad
        self.numbers = None if node.grad is None else node.grad.copy()

    def restore(self):
        self.node.grad = self.array
        if hasattr(self.array, "__setitem__"):  # else None, or a scalar, which nobody can write
            self.array[...] = self.numbers


class Arrival(NamedTuple):
    """A gradient that reached a node: the node that sent it, its op, for which of its inputs, and the array."""

    node: Any
    op: str
    input: str
    array: Any


class StepView:
    """One step of the backward pass, to look at.

    node      the autograd node; `name` its op, or the leaf's name; `module` the dotted path of the module, or ""
    index     its place among the steps, from 0
    formula   from the op's docstring;   source, where: the text of its backward, and the file and line it is from
    fused     does the op stand for several?
    saved     (name, array) of what the op kept for this, by the names in its source;   value: its output, if known
    known_as  {name of a saved array: what you call it}, for variables and parameters
    dy        the gradient that reached the node;   sends: (input, to, array) of the gradients that it sends on
    arrivals  an Arrival for each gradient that dy is the sum of: one for each use of the value
    added     for a leaf: (before, after), its .grad before and after this step; else None
    """

    def __init__(self, stepper, index, step):
        trace, self.node, self.index, self.dy = stepper.trace, step.node, index, step.dy
        self.total, self.rest = len(trace.order), stepper.before[step.node]
        self.name, self.module = trace.label(step.node), trace.path.get(step.node, "")
        self.formula = formula(step.node.fn) if step.node.fn else ""
        self.source, self.where = backward_source(step.node.backward)
        self.fused, self.arrivals = step.node in trace.fused, tuple(stepper.arrivals[step.node])
        self.saved, self.value = list(arrays_by_path(step.node.saved)), trace.value.get(step.node)
        self.known_as = {name: trace.known_as[id(a)][0] for name, a in self.saved if id(a) in trace.known_as}
        self.after = Rest(step.node)
        to = [None if p is None else trace.label(p) for p in step.node.parents]
        named = zip(trace.inputs[step.node], to, step.dxs)
        self.dxs = step.dxs
        self.sends = [(name, t, dx) for name, t, dx in named if t is not None and dx is not None]

    @property
    def added(self):
        """(before, after) of a leaf's gradient."""
        return (self.rest.numbers, self.after.numbers) if isinstance(self.node, Leaf) else None

    def called(self, name):
        """A saved array's name, and what the reader calls it where that differs: "a (= w)"."""
        own = self.known_as.get(name, name)
        return name if own == name else f"{name} (= {own})"

    def __str__(self):
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self):
        fused = ", fused (readable=True writes it out)" if self.fused else ""
        place = f"  (in {self.module})" if self.module else ""
        yield f"step {self.index + 1} of {self.total}: {self.name}{fused}{place}"
        if len(self.arrivals) > 1:
            arrived = (f"{in_words(a.array)} from {a.op} (d{a.input})" for a in self.arrivals)
            yield f"  arrives   {' + '.join(arrived)}"
        if self.added is not None:
            before, after = self.added
            yield f"  added     {in_words(self.dy)} to {self.name}.grad"
            yield f"  {self.name + '.grad':9} {'none' if before is None else in_words(before)} -> {in_words(after)}"
            return
        yield from (f"  {'formula' if not i else '':9} {line}" for i, line in enumerate(self.formula.splitlines()))
        yield f"  dy        {in_words(self.dy)}"
        yield from (f"  saved     {self.called(name)} = {in_words(a)}" for name, a in self.saved)
        yield from (f"  sends     d{name} = {in_words(a)} to {to}" for name, to, a in self.sends)
        yield f"  backward  {self.where}"
        yield from (f"    {line}" for line in self.source.splitlines())
