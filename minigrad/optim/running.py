"""RMSprop and Adagrad: steps scaled by sums or running means of the gradient's squares. Plain array code."""

from ..device import device_of
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e of 2012), as in torch.

        g = dw + weight_decay w,   s = alpha s + (1 - alpha) g^2
        w = w - lr g / (sqrt(s) + eps)
        momentum:   b = momentum b + g / (sqrt(s) + eps),   w = w - lr b
        centered:   a = alpha a + (1 - alpha) g,   s - a^2 in place of s under the root

    maximize: climb. ValueError for negative settings, and for alpha above 1.
    """

    state_names = "square_avg", "momentum_buffer", "grad_avg"
    optional_names = "momentum_buffer", "grad_avg"
    not_negative = (*Optimizer.not_negative, "alpha")

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, *, maximize=False
    ):
        settings = dict(alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered)
        super().__init__(params, maximize, lr=lr, **settings)

    def check(self, group):
        super().check(group)
        if group["alpha"] > 1:
            raise ValueError(f"RMSprop: alpha must be from 0 to 1; got {group['alpha']}")

    def update(self, ws, dws, states, group):
        xp = device_of(ws[0]).xp
        for w, dw, state in zip(ws, dws, states):
            g = with_decay(w, dw, group)
            average = state.setdefault("square_avg", xp.zeros_like(w))
            average *= group["alpha"]
            average += (1 - group["alpha"]) * g * g
            spread = average
            if group["centered"]:
                mean = state.setdefault("grad_avg", xp.zeros_like(w))
                mean += (1 - group["alpha"]) * (g - mean)
                spread = average - mean * mean
            change = g / (xp.sqrt(spread) + group["eps"])
            if group["momentum"]:
                velocity = state.setdefault("momentum_buffer", xp.zeros_like(w))
                velocity *= group["momentum"]
                velocity += change
                change = velocity
            w -= group["lr"] * change


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011), as in torch.

        g = dw + weight_decay w,   s = s + g^2        (s starts at initial_accumulator_value)
        w = w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)      at step t = 1, 2, ...

    maximize: climb. ValueError for negative settings.
    """

    state_names = "step", "sum"
    not_negative = (*Optimizer.not_negative, "lr_decay", "initial_accumulator_value")

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, *,
        maximize=False,
    ):  # fmt: skip
        start = dict(initial_accumulator_value=initial_accumulator_value)
        super().__init__(params, maximize, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, **start)

    def update(self, ws, dws, states, group):
        xp = device_of(ws[0]).xp
        for w, dw, state in zip(ws, dws, states):
            if not state:
                state.update(step=0, sum=xp.full_like(w, group["initial_accumulator_value"]))
            g = with_decay(w, dw, group)
            rate = group["lr"] / (1 + state["step"] * group["lr_decay"])
            state["step"] += 1
            state["sum"] += g * g
            w -= rate * g / (xp.sqrt(state["sum"]) + group["eps"])


def with_decay(w, dw, group):
    """The gradient with the weight decay's part."""
    return dw + group["weight_decay"] * w if group["weight_decay"] else dw
