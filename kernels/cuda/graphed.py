"""What is done to gradients and weights at the end of a training step, within a CUDA graph."""

import numpy as np

from ..reference.arrays import array_module
from .optim import adam_update, launch, norm_updatable, scale_updatable, sgd_update, updatable


class GraphedUpdates:
    """Stands in for the module of kernels (use_kernels) where gradients are scaled and the optimizer makes its step.

    An update is only noted; launch() makes it, while the graph is captured. Before each replay the optimizer is asked
    for a step again, and send() writes the settings that it gives to where the captured launches read them: the arrays
    are still the same. room(shape, dtype): memory apart from the graph's. go: an array of one bool; where an update
    reads false there, it changes nothing.
    """

    def __init__(self, room, go):
        self.room, self.go = room, go
        self.noted, self.launched, self.unsent, self.rooms = [], [], [], []

    def sgd_step(self, *arguments):
        """The kernel's arguments, noted."""
        self.noted.append(sgd_update(*arguments))

    def adam_step(self, *arguments):
        """The kernel's arguments, noted."""
        self.noted.append(adam_update(*arguments))

    def scale_all(self, arrays, factor):
        """The kernel, captured. factor: an array without axes, whose number of that moment counts."""

        def keep_factor(numbers):
            there = self.keep(numbers)
            there[:1].view(np.float64)[...] = factor
            return there

        check(arrays)
        return scale_updatable(arrays, 0.0, keep_factor)

    def squared_norm(self, arrays):
        """The kernel, captured."""
        check(arrays)
        return norm_updatable(arrays, self.keep)

    def keep(self, numbers):
        """Room for numbers that send() will write: nothing can be sent while a graph is captured.

        What is written once is read by every replay: the room is kept as long as this is.
        """
        self.rooms.append(self.room(numbers.shape, numbers.dtype))
        self.unsent.append((self.rooms[-1], numbers))
        return self.rooms[-1]

    def launch(self, count):
        """Make the noted updates. RuntimeError unless they are all that is done to `count` arrays of weights."""
        if count != sum(len(update.ws) for update in self.noted if update.is_possible()):
            raise RuntimeError("the optimizer's step is none that the kernels make")
        self.launched = [(kind(update), launch(*update, self.go, send=self.keep)) for update in self.noted]
        self.noted = []

    def send(self):
        """Write the settings of the noted updates. False, and nothing is written, if they are other launches."""
        noted, self.noted = self.noted, []
        if [kind(update) for update in noted] != [known for known, _ in self.launched]:
            return False
        settings = [(there, np.array(update.settings, np.float64)) for (_, there), update in zip(self.launched, noted)]
        for there, numbers in (*self.unsent, *settings):
            there[...] = array_module(there).asarray(numbers)
        self.unsent = []
        return True


def kind(update):
    """What is fixed in a captured update, beside the arrays."""
    return update.kernel, update.flags, len(update.ws)


def check(arrays):
    if not updatable(arrays, arrays):
        raise RuntimeError("gradients of more than one type or layout")
