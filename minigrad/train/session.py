"""A run in memory: model, optimizer, schedule, data and progress; and how it goes to a checkpoint and comes back."""

from contextlib import nullcontext
from itertools import islice

import numpy as np

from .. import optim
from ..command.errors import UsageError, blaming_the_user
from ..command.screen import Bar, say
from ..device import get_device
from . import checkpoint
from .compilation import Compilation
from .config import to_dict
from .errors import Diverged
from .freezing import Frozen
from .graph import GraphedStep
from .log import count
from .loop import evaluate
from .progress import Progress
from .setup import (
    FIXED_WITHIN_EPOCH,
    build_model,
    build_optimizer,
    build_schedule,
    check_unchanged,
    preprocessing,
    test_loader,
    train_loader,
)
from .step import op_by_op


class Session:
    """All that changes during a run, and what it is made from.

    config, model, frozen (what of it stays as it is), optimizer, scaler (of the loss), scheduler (moved on at each
    step), step (what makes one), average (of the weights, or None), progress, compilation (of kernels), steps (in an
    epoch), directory (where it is written; None for a session that is only tested), between_steps (False while a step
    changes all of these)
    """

    between_steps = True

    def __init__(self, setup, device, directory=None):
        self.config, self.datasets, self.directory = setup.config, setup.datasets, directory
        self.model = build_model(setup, device)
        self.frozen = Frozen(self.model, self.config.freeze)
        self.optimizer = build_optimizer(self.config, self.model)
        self.loader = train_loader(self.config, setup.datasets.train)
        self.steps = min(len(self.loader), self.config.limit_train_batches or len(self.loader))
        self.scheduler = optim.lr_scheduler.Scheduler(self.optimizer, build_schedule(self.config, self.steps))
        decay = self.config.model_ema
        self.scaler = optim.GradScaler(enabled=self.config.amp == "fp16")
        self.step = GraphedStep(say) if self.config.cuda_graph else op_by_op
        self.average = None if decay is None else optim.ExponentialMovingAverage(self.model, decay)
        self.progress, self.skipped, self.compilation = Progress(), {}, Compilation(device, self.config)

    def seconds_left(self):
        """Until the end of the epoch under way, as its steps so far tell."""
        return (self.steps - self.progress.step) * self.progress.seconds / max(self.progress.step, 1)

    def global_step(self):
        """Steps done since the beginning of the run."""
        return self.progress.epoch * self.steps + self.progress.step

    def out_of_patience(self):
        """Did as many epochs as --patience allows end without a better test accuracy?"""
        patience, progress = self.config.patience, self.progress
        return patience is not None and not progress.step and progress.epochs_since_best() >= patience

    def epoch_lr(self):
        """The learning rate at the start of the epoch under way."""
        return self.scheduler.schedule(self.progress.epoch * self.steps, self.scheduler.base_lrs[0])

    def batches(self):
        """The batches of the epoch under way that are not done yet."""
        rest = self.loader.iterate(self.progress.epoch, start_batch=self.progress.step)
        return islice(rest, self.steps - self.progress.step)

    def test(self, between=lambda: None):
        """TestResult of the model, or of its average where there is one. between: called after each batch."""
        loader, number = test_loader(self.config, self.datasets.test)
        averaged = nullcontext() if self.average is None else self.average.applied()
        with averaged, Bar("testing", number) as bar:

            def tick():
                bar.update()
                between()

            result = evaluate(self.model, islice(loader.iterate(0), number), self.config.num_classes, tick)
        self.say_skipped(loader)
        return result

    def say_skipped(self, loader):
        """Name the images that --skip-bad-images left out and that were not named before."""
        skipped = loader.skipped  # once: threads may be adding to it
        for path, why in skipped.items():
            if path not in self.skipped:
                say(f"left out: {why}")
        self.skipped |= skipped

    # To a checkpoint and back

    def save(self, best=False):
        """Write the last checkpoint, and the best. Diverged, with nothing written, if weights are not finite."""
        arrays = self.arrays()
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise Diverged(f"{name} is no longer finite after step {self.global_step()}")
        names = (checkpoint.BEST, checkpoint.LAST) if best else (checkpoint.LAST,)  # a kill in between: tested again
        facts = {"config": to_dict(self.config), "progress": self.progress.to_dict(), "net": self.net_facts()}
        if self.scaler.enabled:
            facts["scaler"] = self.scaler.state_dict()
        if self.average is not None:
            facts["average_updates"] = self.average.updates
        checkpoint.save([self.directory / name for name in (*names, *self.kept_name())], arrays, facts)
        self.remove_older()

    def kept_name(self):
        """The name under which --keep-last keeps the epoch that was just completed; nothing within an epoch."""
        completed = self.config.keep_last is not None and self.progress.epoch and not self.progress.step
        return (checkpoint.of_epoch(self.progress.epoch),) if completed else ()

    def remove_older(self):
        """Remove the checkpoints of all epochs but those that --keep-last keeps: also later ones, of another future."""
        if self.kept_name():
            kept = {checkpoint.of_epoch(self.progress.epoch - i) for i in range(self.config.keep_last)}
            for path in self.directory.glob(checkpoint.of_epoch("*")):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def arrays(self):
        """{name: array} of all that the run goes on from, on the host."""
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()["state"]}
        if self.average is not None:
            parts["average"] = self.average.state_dict()["state"]
        host = get_device("cpu")
        return {f"{part}.{name}": host.asarray(a) for part, state in parts.items() for name, a in state.items()}

    def net_facts(self):
        """What is needed, besides the weights and the configuration, to classify an image with this net."""
        train = self.datasets.train
        return {"classes": list(train.classes), "channels": self.datasets.channels, **preprocessing(self.config, train)}

    def restore(self, arrays, facts):
        """Go on from a checkpoint. UsageError if it does not fit this session's net or settings."""
        with blaming_the_user(ValueError, TypeError, KeyError, AttributeError):
            progress = Progress.from_dict(facts["progress"])
            if progress.step:
                check_unchanged(facts["config"], self.config, FIXED_WITHIN_EPOCH)
            self.model.load_state_dict(part(arrays, "model"))
            groups = self.optimizer.state_dict()["param_groups"]  # the settings are the config's, not the file's
            self.optimizer.load_state_dict({"state": part(arrays, "optimizer"), "param_groups": groups})
            if "scaler" in facts:
                self.scaler.load_state_dict(facts["scaler"])
            self.progress = progress
            base_lrs = self.scheduler.base_lrs
            self.scheduler.load_state_dict({"last_epoch": self.global_step(), "base_lrs": base_lrs})
            self.restore_average(part(arrays, "average"), facts)

    def restore_best(self):
        """Make the best checkpoint right, if the run was killed, or its disk full, before it could be written."""
        if self.progress.step or not self.progress.is_best():
            return
        try:
            right = checkpoint.read(self.directory / checkpoint.BEST)[1]["progress"]["epoch"] == self.progress.epoch
        except (checkpoint.CheckpointError, KeyError, TypeError):
            right = False
        if not right:
            self.save(best=True)

    def restore_average(self, state, facts):
        """The saved average; one that starts now from the restored weights, if the run had none before."""
        if self.average is None:
            return
        if state:
            self.average.load_state_dict({"state": state, "updates": facts["average_updates"]})
        else:
            self.average.update()


def part(arrays, name):
    """{rest of the name: array} of the arrays of one part."""
    return {key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(f"{name}.")}


def check_unfinished(session):
    if session.progress.epoch >= session.config.epochs:
        done = count(session.progress.epoch, "epoch")
        raise UsageError(f"this run is complete ({done}); --epochs N goes on to epoch N")
    if session.out_of_patience():
        waited = count(session.progress.epochs_since_best(), "epoch")
        raise UsageError(
            f"this run ended {waited} after its best; a --patience above {session.config.patience} goes on"
        )
