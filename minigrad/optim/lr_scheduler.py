"""Learning-rate schedules.

A schedule is a pure function (step, base) -> learning rate, where base is the group's own learning rate and step counts
the calls of `Scheduler.step` (epochs or batches, as the caller likes). So it has no state but the count, and resuming
is setting the count:

    scheduler = Scheduler(optimizer, warmup(cosine(90), steps=5))     # 5 epochs up, 90 down
    scheduler = CosineAnnealingLR(optimizer, T_max=90)                # the same face as torch's
"""

import bisect
import math

from .optimizer import Optimizer


def constant():
    """base, always."""
    return lambda step, base: base


def step_decay(step_size, gamma=0.1):
    """base gamma^n after every step_size steps."""
    _positive("step_decay", step_size=step_size)
    return lambda step, base: base * gamma ** (step // step_size)


def multistep(milestones, gamma=0.1):
    """base gamma^n after n of the milestones."""
    milestones = sorted(milestones)
    return lambda step, base: base * gamma ** bisect.bisect_right(milestones, step)


def cosine(steps, minimum=0.0):
    """From base to minimum along half a cosine in `steps` steps (Loshchilov & Hutter 2017, equation 5)."""
    _positive("cosine", steps=steps)
    return lambda step, base: minimum + (base - minimum) * (1 + math.cos(math.pi * step / steps)) / 2


def polynomial(steps, power=1.0):
    """From base to 0 as (1 - step / steps)^power; 0 from then on."""
    _positive("polynomial", steps=steps)
    return lambda step, base: base * (1 - min(step, steps) / steps) ** power


def one_cycle(steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """Up from base / div_factor to base in pct_start of all steps, then down to base / div_factor / final_div_factor.

    Both along half a cosine (Smith & Topin 2018). Defined for `steps` steps, 0 to steps - 1; the last holds after that.
    """
    _positive("one_cycle", steps=steps)
    if not 0 <= pct_start <= 1:
        raise ValueError(f"one_cycle: pct_start must be from 0 to 1; got {pct_start}")
    top, end = pct_start * steps - 1, steps - 1

    def schedule(step, base):
        step = min(step, end)
        if step <= top:
            return _between(base / div_factor, base, step / top if top else 1)
        return _between(base, base / div_factor / final_div_factor, (step - top) / (end - top))

    return schedule


def warmup(schedule, steps, start_factor=1 / 3):
    """Rise linearly from start_factor times the schedule's first value to it in `steps` steps, then the schedule."""
    if steps < 0 or not 0 <= start_factor <= 1:
        raise ValueError(f"warmup: steps must be >= 0, start_factor from 0 to 1; got {steps}, {start_factor}")

    def warmed(step, base):
        if step >= steps:
            return schedule(step - steps, base)
        return schedule(0, base) * (start_factor + (1 - start_factor) * step / steps)

    return warmed


def _between(start, end, done):
    """Half a cosine from start (done = 0) to end (done = 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _positive(name, **settings):
    for what, value in settings.items():
        if value <= 0:
            raise ValueError(f"{name}: {what} must be > 0; got {value}")


class Scheduler:
    """Sets the learning rates of an optimizer's groups by a schedule: at once for step 0, then at each step().

    base_lrs: the groups' learning rates before the first schedule touched them.
    """

    def __init__(self, optimizer, schedule):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer; got {type(optimizer).__name__}")
        self.optimizer, self.schedule = optimizer, schedule
        self.base_lrs, self.last_epoch = [group["lr"] for group in optimizer.param_groups], 0
        self._apply()

    def _apply(self):
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.schedule(self.last_epoch, base)

    def step(self):
        """One step further along the schedule."""
        self.last_epoch += 1
        self._apply()

    def get_last_lr(self):
        """The learning rate of each group as last set."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """The step and the base learning rates (numbers only)."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, saved):
        """Go to the step at which `saved` was returned."""
        if len(saved["base_lrs"]) != len(self.base_lrs):
            counts = f"{len(saved['base_lrs'])} groups saved, but the optimizer has {len(self.base_lrs)}"
            raise ValueError(f"{type(self).__name__}.load_state_dict: {counts}")
        self.last_epoch, self.base_lrs = saved["last_epoch"], list(saved["base_lrs"])
        self._apply()


class StepLR(Scheduler):
    """step_decay under torch's name."""

    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer, step_decay(step_size, gamma))


class MultiStepLR(Scheduler):
    """multistep under torch's name."""

    def __init__(self, optimizer, milestones, gamma=0.1):
        super().__init__(optimizer, multistep(milestones, gamma))


class CosineAnnealingLR(Scheduler):
    """cosine under torch's name."""

    def __init__(self, optimizer, T_max, eta_min=0.0):
        super().__init__(optimizer, cosine(T_max, eta_min))


class PolynomialLR(Scheduler):
    """polynomial under torch's name."""

    def __init__(self, optimizer, total_iters=5, power=1.0):
        super().__init__(optimizer, polynomial(total_iters, power))


class OneCycleLR(Scheduler):
    """one_cycle under torch's name; max_lr takes the place of each group's learning rate. Momentum is left alone."""

    def __init__(self, optimizer, max_lr, total_steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
        schedule = one_cycle(total_steps, pct_start, div_factor, final_div_factor)
        super().__init__(optimizer, lambda step, base: schedule(step, max_lr))


class LinearWarmup(Scheduler):
    """From start_factor times the learning rate up to it in total_iters steps (torch's LinearLR)."""

    def __init__(self, optimizer, total_iters=5, start_factor=1 / 3):
        super().__init__(optimizer, warmup(constant(), total_iters, start_factor))
