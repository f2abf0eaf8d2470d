"""Averages of the weights along the training run, which often test better than the last weights."""

from contextlib import contextmanager

import numpy as np

from ..device import device_of
from ..nn import Module


def polyak(updates):
    """The decay that makes the average the mean of all weights so far (Polyak & Juditsky 1992)."""
    return updates / (updates + 1)


class AveragedModel:
    """A running average of a model's parameters; its buffers (batch norm's running statistics) are copied.

    decay(n) is the share that the old average keeps in the update after n others: average = decay average +
    (1 - decay) weights. The first update copies the weights, whatever decay says (as torch's AveragedModel).
    average: {dotted name: array}; update() after each optimizer step. TypeError for a model that is no Module.
    """

    def __init__(self, model, decay=polyak):
        if not isinstance(model, Module):
            raise TypeError(f"{type(self).__name__}: model must be a Module; got {type(model).__name__}")
        self.model, self.decay, self.updates = model, decay, 0
        self.average = {name: t.data.copy() for name, t in (*model.named_parameters(), *model.named_buffers())}

    def update(self):
        """Take the model's weights of this moment into the average."""
        keep = self.decay(self.updates) if self.updates else 0.0
        for name, p in self.model.named_parameters():
            if keep:
                self.average[name] += (1 - keep) * (p.data - self.average[name])
            else:
                self.average[name][...] = p.data
        for name, b in self.model.named_buffers():
            self.average[name][...] = b.data
        self.updates += 1

    @contextmanager
    def applied(self):
        """Within this block the model has the average in place of its weights: to evaluate it, or to save it."""
        self._swap()
        try:
            yield self.model
        finally:
            self._swap()

    def _swap(self):
        for name, t in (*self.model.named_parameters(), *self.model.named_buffers()):
            t.data, self.average[name] = self.average[name], t.data
            t.version[0] += 1

    def state_dict(self):
        """{"state": {name: array} (the arrays themselves, not copies), "updates": their number}."""
        return {"state": dict(self.average), "updates": self.updates}

    def load_state_dict(self, saved):
        """Go on from a saved average. ValueError, and nothing changed, if names or shapes differ from the model's."""
        shapes = {name: np.shape(array) for name, array in saved["state"].items()}
        if wrong := shapes.items() ^ {name: array.shape for name, array in self.average.items()}.items():
            names = ", ".join(sorted({name for name, _ in wrong}))
            raise ValueError(f"{type(self).__name__}.load_state_dict: names or shapes differ: {names}")
        for name, array in saved["state"].items():
            self.average[name][...] = device_of(self.average[name]).asarray(array)
        self.updates = saved["updates"]


class ExponentialMovingAverage(AveragedModel):
    """The average in which what lies n updates back counts decay^n. ValueError for a decay outside [0, 1)."""

    def __init__(self, model, decay=0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"ExponentialMovingAverage: decay must be in [0, 1); got {decay}")
        super().__init__(model, lambda updates: decay)
