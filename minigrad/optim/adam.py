"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

import math

from ..device import device_of
from .optimizer import Optimizer, number


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as in torch.

        g = dw + weight_decay w
        m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
        w = w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)      at step t = 1, 2, ...

        amsgrad: the largest v so far takes v's place under the root (Reddi et al. 2018)

    maximize: climb. ValueError for negative lr, eps or weight_decay, and for betas outside [0, 1).
    """

    state_names = "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
    optional_names = ("max_exp_avg_sq",)
    decoupled = False  # is weight decay a shrinking of w of its own, apart from the gradient?

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, *, maximize=False
    ):
        settings = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)
        super().__init__(params, maximize, **settings)

    def check(self, group):
        super().check(group)
        name, betas = type(self).__name__, group["betas"]
        is_pair = isinstance(betas, tuple | list) and len(betas) == 2
        if not is_pair or not all(0 <= number(name, "betas", beta) < 1 for beta in betas):
            raise ValueError(f"{name}: betas must be two numbers in [0, 1); got {betas}")
        group["betas"] = tuple(number(name, "betas", beta) for beta in betas)

    def update(self, ws, dws, states, group):
        device = device_of(ws[0])
        for w, state in zip(ws, states):
            if not state:
                state.update(step=0, exp_avg=device.xp.zeros_like(w), exp_avg_sq=device.xp.zeros_like(w))
            state["step"] += 1
        if group["amsgrad"]:
            for w, dw, state in zip(ws, dws, states):
                self.update_by_largest(w, dw, state, group, device.xp)
            return
        ms, vs = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        settings = group["lr"], *group["betas"], group["eps"], group["weight_decay"], self.decoupled
        device.kernels.adam_step(ws, dws, ms, vs, states[0]["step"], *settings)

    def update_by_largest(self, w, dw, state, group, xp):
        """The step of one parameter with amsgrad, in plain array code."""
        (beta1, beta2), lr, decay, t = group["betas"], group["lr"], group["weight_decay"], state["step"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        largest = state.setdefault("max_exp_avg_sq", xp.zeros_like(w))
        if self.decoupled:
            w *= 1 - lr * decay
        g = dw if self.decoupled or not decay else dw + decay * w
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        xp.maximum(largest, v, out=largest)
        w -= lr / (1 - beta1**t) * m / (xp.sqrt(largest) / math.sqrt(1 - beta2**t) + group["eps"])


class AdamW(Adam):
    """Adam with decoupled weight decay: w = (1 - lr weight_decay) w before each step (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
