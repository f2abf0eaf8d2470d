"""The schedule that looks at results: a smaller learning rate when they stop getting better."""

import math

from .optimizer import Optimizer


class ReduceLROnPlateau:
    """Multiplies learning rates by factor when a metric has not become better for more than `patience` steps.

    step(metric)     after each epoch, with what is to become smaller (mode "min") or larger ("max")
    threshold        how much is better: a share of the best value (threshold_mode "rel"), or a number ("abs")
    cooldown         steps after a reduction in which nothing is counted
    min_lr           a lower bound, or a list of them, one for each group
    eps              reductions smaller than this are not made

    As in torch; a metric that is not a number counts as no better. ValueError for settings out of range, TypeError for
    what is no optimizer.
    """

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0,
        min_lr=0.0, eps=1e-8,
    ):  # fmt: skip
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ReduceLROnPlateau: optimizer must be an Optimizer; got {type(optimizer).__name__}")
        if not 0 < factor < 1 or mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            rule = "factor must be between 0 and 1, mode 'min' or 'max', threshold_mode 'rel' or 'abs'"
            raise ValueError(f"ReduceLROnPlateau: {rule}; got {factor}, {mode!r}, {threshold_mode!r}")
        groups = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"ReduceLROnPlateau: {len(self.min_lrs)} values of min_lr for {groups} groups")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best, self.num_bad_epochs = math.inf if mode == "min" else -math.inf, 0
        self.cooldown_counter, self.last_epoch = 0, 0

    def is_better(self, metric):
        """Is it better than the best so far, by more than the threshold?"""
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * metric < sign * self.best - self.threshold
        return sign * metric < sign * self.best * (1 - sign * self.threshold)

    def step(self, metric):
        """Take this epoch's result; reduce if it is time."""
        metric, self.last_epoch = float(metric), self.last_epoch + 1
        if self.is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def reduce(self):
        """Multiply each group's learning rate by factor, down to its min_lr."""
        for i, group in enumerate(self.optimizer.param_groups):
            smaller = max(group["lr"] * self.factor, self.min_lrs[min(i, len(self.min_lrs) - 1)])
            if group["lr"] - smaller > self.eps:
                group["lr"] = smaller

    def get_last_lr(self):
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """Best metric, counts and learning rates (numbers only)."""
        names = "best", "num_bad_epochs", "cooldown_counter", "last_epoch"
        return {name: getattr(self, name) for name in names} | {"last_lr": self.get_last_lr()}

    def load_state_dict(self, saved):
        """Go on from where `saved` was returned."""
        if len(saved["last_lr"]) != len(self.optimizer.param_groups):
            counts = f"{len(saved['last_lr'])} groups saved, but the optimizer has {len(self.optimizer.param_groups)}"
            raise ValueError(f"ReduceLROnPlateau.load_state_dict: {counts}")
        for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            setattr(self, name, saved[name])
        for group, rate in zip(self.optimizer.param_groups, saved["last_lr"]):
            group["lr"] = rate
