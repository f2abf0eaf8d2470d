"""The forward and backward pass of a training step on the CPU, captured once and replayed without Python's part."""

import hashlib
import pickle
import random
from functools import partial

import numpy as np

from ..autograd import watcher
from ..device import get_num_threads
from ..fusing import is_written_out
from ..nn import Buffer
from ..nn.folding import fusing
from ..nn.hooks import is_observed
from ..random import generator
from ..recompute import drawing_from
from ..replay import State, other_numbers
from ..tensor import Tensor
from .gradients import gradients
from .step import op_by_op

TRIES = 4  # captures of a net that changes from step to step, until it is let alone


class Numbers:
    """What a forward pass draws, in arrays that a replay reads: dropout's seeds, and shares in running statistics.

    It is to `drawing_from` (recompute.py) what a Tape is for a checkpointed piece. There is no piece around it, and
    none that is run again: outer and replay are None.
    """

    outer = replay = None

    def __init__(self):
        self.drawn, self.known = [], None

    def draw(self, make, dtype):
        """An array of one number, which make() gives."""
        if self.known is not None:
            return next(self.known)
        self.drawn.append((make, np.array([make()], dtype)))
        return self.drawn[-1][1]

    def again(self):
        """The same arrays, in order, for one more pass."""
        self.known = iter([number for _, number in self.drawn])
        return drawing_from(self)

    def refresh(self):
        """Draw those of the next step."""
        for make, number in self.drawn:
            number[...] = make()


class Plan:
    """The captured pass for batches of one shape, made beside a pass op by op, whose loss and logits are `first`.

    The same pass is captured with other images, replayed with these, and has to give the same bits.
    failure: why there is no replay, None where there is one
    """

    def __init__(self, model, images, labels, scale, settings):
        self.key, self.model = key_of(images, labels, scale, settings), model
        self.state, self.params = State(model), [(p, p.node) for p in model.parameters()]
        self.buffers, self.numbers, self.failure = moved_buffers(model), Numbers(), None
        before = self.copies()
        with drawing_from(self.numbers):
            self.first = gradients(model, images, labels, scale=scale, **settings)
        after = self.copies()
        wanted = list(map(digest, [*(t.data for t in self.first), *after, *(g for _, g in taken(model))]))
        images.device.kernels.give_memory_back()
        self.put(before)
        try:
            self.capture(other(images), other(labels), scale, settings)
            self.put(before)
            self.launch(images, labels)
            self.compare(wanted)
            give(self.grads)
        except Exception as error:  # the pass op by op went well: whatever this is, training goes on
            self.failure = f"{type(error).__name__}: {error}"
            self.put(before)
            taken(model)
            with self.numbers.again():
                self.first = gradients(model, images, labels, scale=scale, **settings)
        self.put(after)

    def capture(self, images, labels, scale, settings):
        """Take the pass down."""
        self.images, self.labels = images, labels
        tensors = images, labels, *self.model.parameters(), *self.buffers
        inputs = [t.data for t in tensors] + [number for _, number in self.numbers.drawn]
        before = generators(self.model)
        with self.numbers.again():
            run = images.device.capture(lambda: gradients(self.model, images, labels, scale=scale, **settings), inputs)
        if generators(self.model) != before:
            raise RuntimeError("it draws random numbers, which a replay would repeat (nn.Dropout's are drawn anew)")
        self.graph, (self.loss, self.logits) = run
        self.grads = taken(self.model)

    def compare(self, wanted):
        """RuntimeError unless the replay gave what the pass op by op did."""
        mine = [self.loss.data, self.logits.data, *self.copies(), *(g for _, g in self.grads)]
        if list(map(digest, mine)) != wanted:
            raise RuntimeError("a replay gives other numbers: something is random, or computed outside of ops")

    def fits(self, model, images, labels, scale, settings):
        """Is it for these, is the net as it was captured, and does nobody look? (Hooks are attributes of modules.)"""
        return (
            self.model is model and self.key == key_of(images, labels, scale, settings)
            and not somebody_looks() and self.state.stands()
            and all(p.node is node and (node is None or is_quiet(node)) for p, node in self.params)
        )  # fmt: skip

    def __call__(self, images, labels):
        """Loss and logits of this batch; gradients go to the parameters."""
        self.numbers.refresh()
        self.launch(images, labels)
        for buffer in self.buffers:
            buffer.version[0] += 1
        for (_, node), (_, grad) in zip(self.params, self.grads):
            if node is not None:
                node.grad = grad
        return Tensor(self.loss.data.copy()), Tensor(self.logits.data.copy())

    def launch(self, images, labels):
        self.images.data[...], self.labels.data[...] = images.data, labels.data
        self.graph.launch()

    def copies(self):
        """The numbers of the net's buffers."""
        return [b.data.copy() for b in self.buffers]

    def put(self, numbers):
        for buffer, own in zip(self.buffers, numbers):
            buffer.data[...] = own


def key_of(images, labels, scale, settings):
    """On what a plan depends besides the net."""
    shapes = [(t.shape, t.dtype) for t in (images, labels)]
    return shapes, images.device.kernels, get_num_threads(), scale, settings


def moved_buffers(model):
    """The buffers that a pass may write, but for those that numbers are drawn from: counts of batches."""
    named = ((m, name, b) for m in model.modules() for name, b in vars(m).items())
    return [b for m, name, b in named if isinstance(b, Buffer) and name not in m.drawn_from]


def other(t):
    """A batch of the same shape and type with other numbers."""
    return Tensor(np.ascontiguousarray(other_numbers(t.data)))


def taken(model):
    """(parameter, its gradient) of each, which is taken away."""
    found = [(p, p.grad) for p in model.parameters()]
    for p, _ in found:
        p.grad = None
    return found


def give(grads):
    for p, grad in grads:
        p.grad = grad


def generators(model):
    """The states of all random generators that a pass may draw from."""
    own = [v.bit_generator for m in model.modules() for v in vars(m).values() if isinstance(v, np.random.Generator)]
    states = [g.state for g in (generator().bit_generator, *own)]
    return pickle.dumps((random.getstate(), np.random.get_state(), states))


def digest(a):
    """Of an array's bits: by it two are compared, of which one is gone. None of None."""
    return None if a is None else hashlib.blake2b(np.ascontiguousarray(a).data).digest()


class ReplayedGradients:
    """`gradients`, for a CPU: the same bits in less time, where Python's part counts.

    The second of two batches of the same shape in a row is captured, further ones of this shape are replayed; all
    others run op by op. If something can't be replayed, `say` is told why, once, and all runs op by op. The arrays that
    the parameters get as their grad are written again by the next replay.
    """

    def __init__(self, say=print):
        self.say, self.plan, self.last, self.tries, self.off = say, None, None, 0, False

    def __call__(self, model, images, labels, *, scale=1.0, **settings):
        if self.plan is not None and self.plan.fits(model, images, labels, scale, settings):
            return self.plan(images, labels)
        if self.off or not is_possible(model, images, settings):
            return gradients(model, images, labels, scale=scale, **settings)
        key, before = key_of(images, labels, scale, settings), self.last
        self.last = key
        if key != before:
            return gradients(model, images, labels, scale=scale, **settings)
        return self.captured(model, images, labels, scale, settings)

    def captured(self, *batch):
        """The pass op by op, with a Plan made of it."""
        self.plan, self.tries = None, self.tries + 1
        plan = Plan(*batch)
        if plan.failure is None and self.tries <= TRIES:
            self.plan = plan
        else:
            self.off = True
            self.say(f"replay: steps run op by op: {plan.failure or 'the net changes from step to step'}")
        return plan.first


def somebody_looks():
    """Does something want to see each op?"""
    return watcher.get() is not None or is_written_out() or not fusing.get()


def is_quiet(node):
    """Has a parameter no gradient yet, and no hooks?"""
    return node.grad is None and not node.hooks


def is_possible(model, images, settings):
    """May a pass be captured: does nobody look, are no gradients added up, and can all kernels be taken down?"""
    return (
        "backward" not in settings and settings.get("low_type") is None and not somebody_looks()
        and getattr(images.device.kernels, "recordable", False) and not any(map(is_observed, model.modules()))
        and all(p.node is None or is_quiet(p.node) for p in model.parameters())
    )  # fmt: skip


def is_own(thing):
    """Is a module's class, or a function, one of this project's? What others wrote may do in Python what it likes."""
    thing = thing.func if isinstance(thing, partial) else thing
    where = thing.__module__ if callable(thing) and hasattr(thing, "__qualname__") else type(thing).__module__
    return where.partition(".")[0] in ("minigrad", "architectures")


def step_for(config, model, criterion, say=print):
    """The step of a run on a CPU: `op_by_op`, with its passes replayed if --replay says so.

    Without a word from the user they are where net and loss are this project's own: others may look at the clock, or
    at a list that a callback writes, which no replay sees.
    """
    own = isinstance(criterion, partial) and all(map(is_own, (criterion, *model.modules())))
    wanted = own if config.replay is None else config.replay
    possible = config.device == "cpu" and not config.detect_anomaly and config.grad_accum == 1
    return partial(op_by_op, gradients=ReplayedGradients(say)) if wanted and possible else op_by_op
