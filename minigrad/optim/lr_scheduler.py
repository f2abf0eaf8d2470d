"""Learning-rate schedules.

A schedule is a pure function (step, base) -> learning rate, where base is the group's own learning rate and step counts
the calls of `Scheduler.step` (epochs or batches, as the caller likes). So it has no state but the count, and resuming
is setting the count:

    scheduler = Scheduler(optimizer, warmup(cosine(90), steps=5))     # 5 epochs up, 90 down
    scheduler = CosineAnnealingLR(optimizer, T_max=90)                # the same face as torch's

A learning rate that somebody sets by hand (or another scheduler sets) between two steps counts: the schedule goes on
from there, as torch's recursive formulas do.
"""

import bisect
import math

from ..ops.checks import is_whole
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau


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


def exponential(gamma):
    """base gamma^step."""
    _positive("exponential", gamma=gamma)
    return lambda step, base: base * gamma**step


def linear(steps, start_factor=1 / 3, end_factor=1.0):
    """From start_factor base to end_factor base along a line in `steps` steps."""
    _positive("linear", steps=steps, start_factor=start_factor)
    if not 0 <= end_factor <= 1 or start_factor > 1:
        raise ValueError(f"linear: factors must be from 0 to 1; got {start_factor}, {end_factor}")
    return lambda step, base: base * (start_factor + (end_factor - start_factor) * min(step, steps) / steps)


def warm_restarts(steps, factor=1, minimum=0.0):
    """Half a cosine again and again, each `factor` times as long as the one before (Loshchilov & Hutter 2017)."""
    if not is_whole(steps, 1) or not is_whole(factor, 1):
        raise ValueError(f"warm_restarts: steps and factor must be ints >= 1; got {steps}, {factor}")

    def schedule(step, base):
        length = steps
        while step >= length:
            step, length = step - length, length * factor
        return cosine(length, minimum)(step, base)

    return schedule


def sequence(schedules, milestones):
    """The first schedule up to the first milestone, then the second from its own start, and so on."""
    schedules, milestones = list(schedules), list(milestones)
    if len(schedules) != len(milestones) + 1 or milestones != sorted(milestones):
        counts = f"{len(schedules)} schedules and milestones {milestones}"
        raise ValueError(f"sequence: needs a milestone between each two schedules, in order; got {counts}")
    starts = [0, *milestones]

    def schedule(step, base):
        part = bisect.bisect_right(milestones, step)
        return schedules[part](step - starts[part], base)

    return schedule


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

    schedule: a function (step, base) -> learning rate that is a line in base, or a list of them, one for each group.
    base_lrs: the groups' learning rates before the first schedule touched them; changed where one is set by hand. A
    group that comes later follows the schedule from the learning rate that it brings.
    """

    def __init__(self, optimizer, schedule):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer; got {type(optimizer).__name__}")
        groups = optimizer.param_groups
        if isinstance(schedule, list) and len(schedule) != len(groups):
            raise ValueError(f"{type(self).__name__}: {len(schedule)} schedules for {len(groups)} groups")
        self.optimizer, self.schedule = optimizer, schedule
        for group in groups:
            group.setdefault("initial_lr", group["lr"])  # as in torch: SequentialLR starts from it
        self.base_lrs, self.last_epoch = [group["lr"] for group in groups], 0
        self._apply()

    def of_group(self, i):
        """The schedule of group i."""
        return self.schedule[i] if isinstance(self.schedule, list) else self.schedule

    def _value(self, i, base):
        return self.of_group(i)(self.last_epoch, base)

    def _apply(self):
        groups = self.optimizer.param_groups
        for i, (group, base) in enumerate(zip(groups, self.base_lrs)):
            group["lr"] = self._value(i, base)
        self._set = [group["lr"] for group in groups]

    def _follow_hands(self):
        """Base learning rates from which the schedule gives what the groups have now, where that was set by others."""
        for i, group in enumerate(self.optimizer.param_groups):
            if i == len(self.base_lrs):
                self.base_lrs.append(group["lr"])
                self._set.append(None)
            if group["lr"] != self._set[i]:
                start, slope = self._value(i, 0.0), self._value(i, 1.0) - self._value(i, 0.0)
                self.base_lrs[i] = (group["lr"] - start) / slope if slope else self.base_lrs[i]

    def step(self):
        """One step further along the schedule."""
        self._follow_hands()
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


class ExponentialLR(Scheduler):
    """exponential under torch's name."""

    def __init__(self, optimizer, gamma):
        super().__init__(optimizer, exponential(gamma))


class LinearLR(Scheduler):
    """linear under torch's name."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        super().__init__(optimizer, linear(total_iters, start_factor, end_factor))


class LambdaLR(Scheduler):
    """The learning rate times lr_lambda(step); a list of functions has one for each group."""

    def __init__(self, optimizer, lr_lambda):
        is_list = isinstance(lr_lambda, list | tuple)
        factors = [_times(factor) for factor in (lr_lambda if is_list else [lr_lambda])]
        super().__init__(optimizer, factors if is_list else factors[0])


def _times(factor):
    if not callable(factor):
        raise TypeError(f"LambdaLR: lr_lambda must be a function of the step, or a list of them; got {factor!r}")
    return lambda step, base: base * factor(step)


class CosineAnnealingLR(Scheduler):
    """cosine under torch's name."""

    def __init__(self, optimizer, T_max, eta_min=0.0):
        super().__init__(optimizer, cosine(T_max, eta_min))


class CosineAnnealingWarmRestarts(Scheduler):
    """warm_restarts under torch's name."""

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0):
        super().__init__(optimizer, warm_restarts(T_0, T_mult, eta_min))


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


class SequentialLR(Scheduler):
    """One scheduler after the other: schedulers[i] until step milestones[i], then the next one from its own start.

    Only this object's step() is called. It starts from the learning rates before any scheduler touched them.
    """

    def __init__(self, optimizer, schedulers, milestones):
        schedulers = _of_one_optimizer("SequentialLR", optimizer, schedulers)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        groups = range(len(optimizer.param_groups))
        super().__init__(optimizer, [sequence([s.of_group(i) for s in schedulers], milestones) for i in groups])


class ChainedScheduler:
    """Several schedulers of one optimizer at once: each step() steps them all, so that their factors multiply."""

    def __init__(self, schedulers, optimizer=None):
        schedulers = list(schedulers)
        shared = schedulers[0].optimizer if optimizer is None and schedulers else optimizer
        self.schedulers = _of_one_optimizer("ChainedScheduler", shared, schedulers)
        self.optimizer = self.schedulers[0].optimizer

    def step(self):
        """One step further along all schedules."""
        for scheduler in self.schedulers:
            scheduler.step()

    def get_last_lr(self):
        """The learning rate of each group as last set."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """The states of all, and the learning rates (numbers only)."""
        return {"schedulers": [s.state_dict() for s in self.schedulers], "last_lr": self.get_last_lr()}

    def load_state_dict(self, saved):
        """Go to the step at which `saved` was returned."""
        if len(saved["schedulers"]) != len(self.schedulers):
            counts = f"{len(saved['schedulers'])} schedulers saved, but there are {len(self.schedulers)}"
            raise ValueError(f"ChainedScheduler.load_state_dict: {counts}")
        for scheduler, own in zip(self.schedulers, saved["schedulers"]):
            scheduler.load_state_dict(own)
        for group, rate in zip(self.optimizer.param_groups, saved["last_lr"]):
            group["lr"] = rate


def _of_one_optimizer(name, optimizer, schedulers):
    schedulers = list(schedulers)
    if not schedulers or any(getattr(s, "optimizer", None) is not optimizer for s in schedulers):
        raise ValueError(f"{name}: schedulers must be at least one, all of the same optimizer")
    return schedulers
