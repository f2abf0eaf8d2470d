"""Loss scaling: gradients too small for float16 are made larger on their way, and smaller again before the step."""

from ..device import device_of
from .params import grads_of


class GradScaler:
    """Scales the loss, so that float16 gradients don't vanish (Micikevicius et al. 2018, section 3.2), as torch's.

        with autocast("float16"):
            loss = ...
        scaler.scale(loss).backward()
        scaler.step(optimizer)      # skipped if a gradient overflowed
        scaler.update()             # scale *= backoff_factor then; *= growth_factor after growth_interval good steps

    Gradients are divided by the scale in step(), or before it by unscale_(optimizer), for those who clip them. Several
    optimizers may make a step each before update(); those of one are on one device. enabled=False: everything passes
    as it is. ValueError for factors that don't grow and shrink, RuntimeError for calls out of order: a second step or
    unscale_ of one optimizer before update(), and update() before any.
    """

    def __init__(
        self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True
    ):  # fmt: skip
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ValueError(
                f"GradScaler: init_scale > 0, growth_factor > 1, 0 < backoff_factor < 1 and growth_interval >= 1; got "
                f"{init_scale}, {growth_factor}, {backoff_factor}, {growth_interval}"
            )
        self.growth_factor, self.backoff_factor, self.growth_interval = growth_factor, backoff_factor, growth_interval
        self.enabled, self.current, self.growth_tracker = enabled, float(init_scale), 0
        self.seen = {}  # id of an optimizer: (it, were all its gradients finite?, did it make its step?)

    @property
    def finite(self):
        """Were all gradients since the last update() finite? None: none was looked at yet."""
        return all(finite for _, finite, _ in self.seen.values()) if self.seen else None

    def get_scale(self):
        """The factor of the loss."""
        return self.current if self.enabled else 1.0

    def scale(self, loss):
        """The loss (a tensor) times the scale."""
        return loss * self.current if self.enabled else loss

    def unscale_(self, optimizer):
        """Divide the gradients of the optimizer's parameters by the scale, in place."""
        if not self.enabled:
            return
        if id(optimizer) in self.seen:
            raise RuntimeError("GradScaler.unscale_: the gradients of this step were unscaled already; call update()")
        grads = grads_of("GradScaler", optimizer.params)
        scaled = device_of(grads[0]).kernels.scale_all(grads, 1 / self.current) if grads else True
        self.note(optimizer, bool(scaled))  # the host waits once

    def note(self, optimizer, finite, stepped=False):
        """The optimizer's gradients are unscaled: were they finite, and did it make its step?"""
        self.seen[id(optimizer)] = optimizer, finite, stepped

    def step(self, optimizer):
        """optimizer.step(), unless a gradient is not finite. Was the step made?"""
        if not self.enabled:
            optimizer.step()
            return True
        if id(optimizer) not in self.seen:
            self.unscale_(optimizer)
        _, finite, stepped = self.seen[id(optimizer)]
        if stepped:
            raise RuntimeError("GradScaler.step: this optimizer made its step already; call update() before the next")
        if finite:
            optimizer.step()
        self.note(optimizer, finite, stepped=True)
        return finite

    def update(self):
        """Shrink the scale if a step was skipped; let it grow after enough steps that were not."""
        if not self.enabled:
            return
        if not self.seen:
            raise RuntimeError("GradScaler.update: no step was made since the last update")
        finite = self.finite
        self.growth_tracker = self.growth_tracker + 1 if finite else 0
        if not finite:
            self.current *= self.backoff_factor
        elif self.growth_tracker == self.growth_interval:
            self.current, self.growth_tracker = self.current * self.growth_factor, 0
        self.seen = {}

    def state_dict(self):
        """{"scale", "growth_tracker"}: what a resumed run needs (JSON)."""
        return {"scale": self.current, "growth_tracker": self.growth_tracker}

    def load_state_dict(self, saved):
        """Take up where the scaler that returned `saved` was."""
        self.current, self.growth_tracker = saved["scale"], saved["growth_tracker"]
