"""Stochastic gradient descent with momentum."""

import math

from ..device import device_of
from .optimizer import Optimizer, number


class SGD(Optimizer):
    """Stochastic gradient descent (momentum: Polyak 1964; Nesterov's as in Sutskever et al. 2013), as in torch.

        g = dw + weight_decay w
        v = momentum v + (1 - dampening) g      (v = g at the first step)
        w = w - lr v                            (nesterov: w - lr (g + momentum v))

    maximize: climb. ValueError for negative lr, momentum or weight_decay, and for nesterov without momentum or with
    dampening.
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, *, maximize=False
    ):
        settings = dict(momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        super().__init__(params, maximize, lr=lr, **settings)

    def check(self, group):
        super().check(group)
        group["dampening"] = number("SGD", "dampening", group["dampening"])
        if not math.isfinite(group["dampening"]):
            raise ValueError(f"SGD: dampening must be finite; got {group['dampening']}")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"]):
            rule = "nesterov needs momentum > 0 and dampening 0"
            raise ValueError(f"SGD: {rule}; got momentum {group['momentum']}, dampening {group['dampening']}")

    def update(self, ws, dws, states, group):
        momentum, dampening, device = group["momentum"], group["dampening"], device_of(ws[0])
        if momentum and not states[0]:
            dampening = 0.0
            for w, state in zip(ws, states):
                state["momentum_buffer"] = device.xp.zeros_like(w)
        vs = [state["momentum_buffer"] for state in states] if states[0] else None
        settings = group["lr"], momentum, dampening, group["weight_decay"], group["nesterov"]
        device.kernels.sgd_step(ws, dws, vs, *settings)
