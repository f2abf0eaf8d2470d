"""A run in memory: model, optimizer, schedule, data and progress; and how it goes to a checkpoint and comes back."""

from contextlib import contextmanager, nullcontext, suppress
from itertools import islice

import numpy as np

from .. import optim
from ..command.errors import blaming_the_user
from ..command.screen import Bar, say
from ..data import DataError
from ..device import CPU
from ..distributed import GradientReducer, SyncBatchNorm
from .compilation import Compilation
from .config import to_dict
from .errors import Diverged
from .freezing import Frozen
from .graph import GraphedStep
from .keeper import Keeper
from .log import count, going_on, row
from .loop import evaluate
from .parts import Named
from .progress import Progress
from .replay import step_for
from .setup import FIXED_WITHIN_EPOCH, build_schedule, check_unchanged


class Session:
    """All that changes during a run, and what it is made from.

    config, parts (what it is made of), model, frozen (what of it stays as it is), optimizer, scaler (of the loss),
    scheduler (moved on at each step), step (what makes one), average (of the weights, or None), progress, compilation
    (of kernels), steps (in an epoch), directory (where it is written; None for a session that is only tested),
    between_steps (False while a step changes all of these)
    group (the processes that share each batch), reducer (of their gradients; None before `share`, and for one process)
    keeper (of checkpoints; None in a process that doesn't write)
    """

    between_steps, ended, reducer, keeper = True, False, None, None

    def __init__(self, setup, device, parts=None):
        self.config, self.datasets, self.parts = setup.config, setup.datasets, parts or Named(setup, device)
        self.model, self.directory, self.group = self.parts.model(), None, setup.group
        self.frozen = Frozen(self.model, self.config.freeze)
        self.optimizer, self.loader = self.parts.optimizer(self.model), self.parts.train_loader()
        self.steps = min(len(self.loader), self.config.limit_train_batches or len(self.loader))
        self.scheduler = optim.lr_scheduler.Scheduler(self.optimizer, build_schedule(self.config, self.steps))
        decay = self.config.model_ema
        self.scaler = optim.GradScaler(enabled=self.config.amp == "fp16")
        replayed = step_for(self.config, self.model, self.parts.criterion, say)
        self.step = GraphedStep(say) if self.config.cuda_graph else replayed
        self.average = None if decay is None else optim.ExponentialMovingAverage(self.model, decay)
        self.progress, self.skipped, self.compilation = Progress(), {}, Compilation(device, self.config)

    def share(self):
        """Begin to train together with the other processes: all have the first one's weights, and its batch norms'."""
        if self.group.size > 1 and self.reducer is None:
            group = self.group.on(next(self.model.parameters()).device)
            SyncBatchNorm.convert_sync_batchnorm(self.model, group)
            self.reducer = GradientReducer(self.model.parameters(), group)
            for buffer in self.model.buffers():
                group.broadcast(buffer)

    def seconds_left(self):
        """Until the end of the epoch under way, as its steps so far tell."""
        return (self.steps - self.progress.step) * self.progress.seconds / max(self.progress.step, 1)

    def global_step(self):
        """Steps done since the beginning of the run."""
        return self.progress.epoch * self.steps + self.progress.step

    def is_over(self):
        """Are all epochs done, is patience out, or was the run ended otherwise?"""
        return self.ended or self.progress.epoch >= self.config.epochs or self.out_of_patience()

    def out_of_patience(self):
        """Did as many epochs as --patience allows end without a better test accuracy?"""
        patience, progress = self.config.patience, self.progress
        return patience is not None and not progress.step and progress.epochs_since_best() >= patience

    def epoch_lr(self):
        """The learning rate at the start of the epoch under way."""
        return self.scheduler.schedule(self.progress.epoch * self.steps, self.scheduler.base_lrs[0])

    def batches(self):
        """The batches of the epoch under way that are not done yet."""
        rest = self.labelled(self.loader.iterate(self.progress.epoch, start_batch=self.progress.step))
        return islice(rest, self.steps - self.progress.step)

    def labelled(self, batches):
        """The batches. DataError for a label that is no class of the net's."""
        for images, labels in batches:
            classes = self.parts.num_classes
            if classes and labels.ndim == 1 and not 0 <= labels.min() <= labels.max() < classes:
                wrong = next(n for n in labels if not 0 <= n < classes)
                raise DataError(f"labels must be from 0 to {classes - 1}; a batch has {wrong}")
            yield images, labels

    def test(self, between=lambda: None):
        """TestResult of the model, or of its average where there is one. between: called after each batch."""
        loader, number = self.parts.test_loader()
        averaged = nullcontext() if self.average is None else self.average.applied()
        with averaged, Bar("testing", number) as bar:

            def tick():
                bar.update()
                between()

            batches = islice(self.labelled(loader.iterate(0)), number)
            result = evaluate(self.model, batches, self.parts, tick, self.group)
        self.say_skipped(loader)
        return result

    def say_skipped(self, loader):
        """Name the images that --skip-bad-images left out and that were not named before."""
        skipped = {}
        for found in self.group.all_gather_object(loader.skipped):  # once: threads may be adding to it
            skipped |= found
        for path, why in skipped.items():
            if path not in self.skipped:
                say(f"left out: {why}")
        self.skipped |= skipped

    # To a checkpoint and back

    @contextmanager
    def writing_to(self, directory):
        """In this block the run's checkpoints go to this directory; at its end all are written."""
        config = self.config
        every = config.checkpoint_steps, config.checkpoint_minutes
        self.directory, self.keeper = directory, Keeper(directory, *every, keep_last=config.keep_last)
        try:
            yield
        finally:
            with suppress(OSError, Diverged):  # who waits for the last one hears of it
                self.keeper.wait()

    def save(self, best=False):
        """Begin to write the last checkpoint, and the best: in the background, after the one before it."""
        if self.keeper is None:
            return
        self.saved(wait=True)
        self.keeper.start(self.arrays(), self.facts(), self.global_step(), best)

    def save_if_due(self):
        """Begin to write a checkpoint within the epoch, if --checkpoint-steps or --checkpoint-minutes asks for one."""
        if self.keeper is None:
            return
        self.saved()
        if self.progress.step < self.steps and self.keeper.due(self.global_step()):
            self.save()

    def saved(self, wait=False):
        """Say what went wrong with the checkpoint that was written last: the run goes on, the one before it is kept.

        wait: until it is written. Diverged, with nothing written, if weights are not finite.
        """
        with going_on("a checkpoint (the one before it is kept)"):
            return self.keeper.wait() if wait else self.keeper.check()

    def finish_saving(self):
        """Wait until the last checkpoint is written. OSError, Diverged: it couldn't be."""
        if self.keeper is not None:
            self.keeper.wait()

    def facts(self):
        """All but arrays that the run goes on from."""
        facts = {"config": to_dict(self.config), "progress": self.progress.to_dict(), "net": self.parts.net_facts()}
        if self.scaler.enabled:
            facts["scaler"] = self.scaler.state_dict()
        if self.average is not None:
            facts["average_updates"] = self.average.updates
        return facts

    def arrays(self):
        """{name: array} of all that the run goes on from: copies on the host, which the next steps leave alone."""
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()["state"]}
        if self.average is not None:
            parts["average"] = self.average.state_dict()["state"]
        named = ((f"{part}.{name}", a) for part, state in parts.items() for name, a in state.items())
        return {name: np.array(CPU.asarray(a), order="C") for name, a in named}

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

    def restore_best(self, *directories):
        """Make the best checkpoint right, if it could not be written, or is that of an epoch after this one.

        It is looked for in the run's directory, and in these.
        """
        best = self.progress.best()
        if best is None or self.keeper.restore_best(best["epoch"], *directories):
            return
        if not self.progress.step and self.progress.is_best():
            self.save(best=True)
        else:
            say(row("note", f"the best epoch so far, {best['epoch']}, has no checkpoint any more"))

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


def nothing_left(session):
    """Why there is nothing left to train, and what goes on; None where there is."""
    if session.progress.epoch >= session.config.epochs:
        done = count(session.progress.epoch, "epoch")
        return f"this run is complete ({done}); --epochs N goes on to epoch N"
    if session.out_of_patience():
        waited = count(session.progress.epochs_since_best(), "epoch")
        return f"this run ended {waited} after its best; a --patience above {session.config.patience} goes on"
    return None
