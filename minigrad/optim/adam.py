"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from ..device import device_of
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as in torch.

        g = dw + weight_decay w
        m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
        w = w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)      at step t = 1, 2, ...

    ValueError for negative lr, eps or weight_decay, and for betas outside [0, 1).
    """

    state_names = "step", "exp_avg", "exp_avg_sq"
    decoupled = False  # is weight decay a shrinking of w of its own, apart from the gradient?

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def check(self, group, defaults):
        super().check(group, defaults)
        if len(group["betas"]) != 2 or not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers in [0, 1); got {group['betas']}")

    def update(self, ws, dws, states, group):
        device = device_of(ws[0])
        for w, state in zip(ws, states):
            if not state:
                state.update(step=0, exp_avg=device.xp.zeros_like(w), exp_avg_sq=device.xp.zeros_like(w))
            state["step"] += 1
        ms, vs = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        settings = group["lr"], *group["betas"], group["eps"], group["weight_decay"], self.decoupled
        device.kernels.adam_step(ws, dws, ms, vs, states[0]["step"], *settings)


class AdamW(Adam):
    """Adam with decoupled weight decay: w = (1 - lr weight_decay) w before each step (Loshchilov & Hutter 2019)."""

    decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)
