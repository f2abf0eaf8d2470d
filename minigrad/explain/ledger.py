"""ledger: what the forward pass keeps for the backward pass, op by op, and what is alive while backward runs.

*Predicted* comes from shapes alone: the net runs on kernels.virtual's arrays, without memory. *Measured* comes from a
real run: the buffers that its nodes hold, a view counting as the whole buffer that it keeps alive. A buffer that
several ops keep counts once, for the first op that keeps it.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import architectures
from kernels.virtual import virtual

from ..autograd import Step, enable_grad, toposort
from ..nn import functional as F
from ..nn.inspection import arrays_in, memory_of, shapes_only, unchanged
from ..nn.module import Module
from ..tensor import Tensor
from .watch import Places, gradients_apart, watching


class Row(NamedTuple):
    """One op: its name and module, what it saved ("x (2, 28, 28, 16)"), and the bytes that it is first to keep.

    Names in parentheses are buffers that an earlier op keeps as well. predicted or measured is None where not done.
    """

    op: str
    module: str
    saves: tuple
    predicted: int | None
    measured: int | None


@dataclass(frozen=True, repr=False)
class Ledger:
    """What a training step keeps; print() gives the table.

    rows       a Row for each op, in the order of the forward pass (only ops that are in the graph)
    predicted, measured             bytes that all ops keep together, weights left out
    predicted_peak, measured_peak   most bytes alive at once in backward: what is kept by ops whose turn has not come,
                                    gradients on their way, and gradients that have come to rest in leaves
    timeline   bytes alive after each op of the forward pass (what it keeps), then at each step of backward
    """

    rows: tuple
    predicted: int | None
    measured: int | None
    predicted_peak: int | None
    measured_peak: int | None
    timeline: tuple

    def __repr__(self):
        return "\n".join(_table(self))

    def by_module(self, most=24):
        """{name: (predicted, measured)}: rows summed by as many parts of the module name as give at most `most`."""
        return _folded(self.rows, most)

    def plot(self):
        """What each module keeps, predicted and measured, and the bytes alive over the whole step."""
        from .ledger_picture import ledger_figure

        return ledger_figure(self)


def ledger(what, of=None, *, batch_size=2, measure=True):
    """Bytes kept for backward by each op.

        ledger(loss)                  measured on this graph, which stays as it was; weights count, where ops keep them
        ledger(loss, model)           the same, with the model's weights left out
        ledger(model, input_shape)    predicted, and measured in a training step on random images (batch_size, H, W, C)

    input_shape: of one image, (H, W, C). measure=False: predict only, which takes milliseconds for any net. The model
    is left as it was. ValueError for a model without input_shape or an input_shape that the model refuses.
    """
    if isinstance(what, Tensor):
        weights = () if of is None else (*of.parameters(), *of.buffers())
        return _measured_only(what, weights)
    if not isinstance(what, Module) or of is None:
        raise ValueError(f"ledger: expected a loss, or a model and an input_shape; got {type(what).__name__}, {of!r}")
    shape = (batch_size, *of)
    with shapes_only(what):
        virtual_run = _run(what, virtual(shape, _dtype(what)), virtually=True)
    real_run = None
    if measure:
        images = np.random.default_rng(0).standard_normal(shape).astype(_dtype(what))
        with unchanged(what):
            real_run = _run(what, next(what.parameters()).device.asarray(images), virtually=False)
    return _compared(virtual_run, real_run)


def _dtype(model):
    return next(model.parameters()).dtype


class Entry(NamedTuple):
    """What one node keeps: op, module, names, bytes that no earlier node keeps."""

    op: str
    module: str
    saves: tuple
    bytes: int


class Run(NamedTuple):
    """entries of all nodes in forward order, bytes alive over time, their peak."""

    entries: list
    timeline: list
    peak: int


def _measured_only(loss, weights):
    nodes = [node for node in reversed(list(toposort(loss.node))) if node.parents]
    with gradients_apart(loss):
        steps = loss.backward_steps(retain_graph=True)
        run = _account([(node, "") for node in nodes], steps, weights)
    rows = tuple(Row(e.op, e.module, e.saves, None, e.bytes) for e in run.entries)
    return Ledger(rows, None, sum(e.bytes for e in run.entries), None, run.peak, tuple(run.timeline))


def _run(model, images, virtually):
    """A training step of the model on images, with its bytes accounted for."""
    places, called, shapes = Places(), [], {}

    def look(fn, inputs, settings, out):
        shapes.update((t.node, t.data) for t in (*inputs, out) if t is not None and t.node is not None)
        if out.node is not None:
            called.append((out.node, places.here().module))

    with enable_grad(), watching(look):
        outputs = model.train()(Tensor(images))
        loss = architectures.training_loss(F.cross_entropy, outputs, np.zeros(len(images), np.int64))
    shapes = {node: (array.shape, array.dtype) for node, array in shapes.items()}
    weights = (*model.parameters(), *model.buffers())
    with gradients_apart(loss) if not virtually else nullcontext():
        steps = _virtual_steps(loss, shapes) if virtually else loss.backward_steps(retain_graph=True)
        return _account(called, steps, weights)


def _virtual_steps(loss, shapes):
    """The steps of a backward pass on arrays without memory: every gradient has the shape of what it belongs to."""
    grads = {node: virtual(*known) for node, known in shapes.items()}
    for node in toposort(loss.node):
        if node in grads:
            yield Step(node, grads[node], tuple(grads.get(p) for p in node.parents))


class Live:
    """Buffers that somebody holds: each counts once, however many hold it."""

    def __init__(self, free=()):
        self.free, self.buffers, self.bytes, self.peak = {id(memory_of(a)) for a in free}, {}, 0, 0

    def hold(self, array):
        """Bytes that are newly alive."""
        buffer = memory_of(array)
        if id(buffer) in self.free:
            return 0
        count = self.buffers.get(id(buffer), (buffer, 0))[1]
        self.buffers[id(buffer)] = buffer, count + 1
        new = buffer.nbytes if count == 0 else 0
        self.bytes += new
        self.peak = max(self.peak, self.bytes)
        return new

    def drop(self, array):
        buffer = memory_of(array)
        if id(buffer) not in self.free:
            count = self.buffers[id(buffer)][1] - 1
            self.buffers[id(buffer)] = buffer, count
            if count == 0:
                del self.buffers[id(buffer)]
                self.bytes -= buffer.nbytes


def _account(called, steps, weights):
    """Walk the forward pass, then the steps of backward, holding and dropping what they hold and drop."""
    live, entries, timeline, kept = Live(t.data for t in weights), [], [], {}
    for node, module in called:
        kept[node] = [(name, a) for name, value in node.saved.items() for a in arrays_in(value)]
        new = [(name, a, live.hold(a)) for name, a in kept[node]]
        entries.append(Entry(node.name, module, tuple(_saved_names(new, live)), sum(n for *_, n in new)))
        timeline.append(live.bytes)
    waiting = {}
    for step in steps:
        _step(live, waiting, kept, step)
        timeline.append(live.bytes)
    return Run(entries, timeline, live.peak)


def _step(live, waiting, kept, step):
    """One step of backward: dy arrives, the dxs are made, then dy and what the node kept are dropped."""
    dy = waiting.pop(step.node, None)
    if dy is None:
        live.hold(dy := step.dy)
    for parent, dx in zip(step.node.parents, step.dxs):
        if parent is not None and dx is not None:
            live.hold(dx)
            if parent in waiting:  # summed into one
                live.drop(waiting[parent])
            waiting[parent] = dx
    if step.node.parents:  # a leaf keeps its gradient
        live.drop(dy)
        for _, array in kept.pop(step.node, ()):
            live.drop(array)


def _saved_names(new, live):
    """What a node saved, in words; several arrays under one name are counted."""
    for name in dict.fromkeys(name for name, array, _ in new if array.ndim):
        mine = [(array, n) for other, array, n in new if other == name]
        array, n = mine[0]
        if all(id(memory_of(a)) in live.free for a, _ in mine):
            yield f"{name} (weight)" if len(mine) == 1 else f"{name} ({len(mine)} weights)"
        elif len(mine) > 1:
            yield f"{name} ({len(mine)} arrays)"
        else:
            yield f"{name} {array.shape}" if n else f"({name} {array.shape})"


def _compared(predicted, measured):
    entries = predicted.entries if measured is None else measured.entries
    counts = [None] * len(entries) if measured is None else [e.bytes for e in measured.entries]
    rows = tuple(Row(e.op, e.module, e.saves, p.bytes, m) for e, p, m in zip(entries, predicted.entries, counts))
    total = None if measured is None else sum(counts)
    last = measured or predicted
    return Ledger(
        rows, sum(p.bytes for p in predicted.entries), total, predicted.peak, measured and measured.peak,
        tuple(last.timeline),
    )  # fmt: skip


def _folded(rows, most):
    names = [tuple((r.module or r.op).split(".")) for r in rows]
    depth = max(map(len, names), default=1)
    while depth > 1 and len({n[:depth] for n in names}) > most:
        depth -= 1
    sums = {}
    for name, row in zip(names, rows):
        old = sums.get(".".join(name[:depth]), (0, 0))
        sums[".".join(name[:depth])] = old[0] + (row.predicted or 0), old[1] + (row.measured or 0)
    return sums


def _table(found):
    header = ("op", "module", "predicted", "measured", "saves (in parentheses: kept by an earlier op, too)")
    lines = [(r.op, r.module, _bytes(r.predicted), _bytes(r.measured), ", ".join(r.saves)) for r in found.rows]
    lines = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths)]
        right = [cell.rjust(width) for cell, width in zip(line[2:4], widths[2:])]
        yield "  ".join((*left, *right, line[4])).rstrip()
    yield f"kept for backward: predicted {_bytes(found.predicted)} bytes, measured {_bytes(found.measured)}"
    yield f"peak of backward:  predicted {_bytes(found.predicted_peak)} bytes, measured {_bytes(found.measured_peak)}"


def _bytes(n):
    return "-" if n is None else f"{n:,}"
