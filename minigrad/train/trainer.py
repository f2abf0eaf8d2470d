"""Training from Python: the loop, the checkpoints and the files of the train command, for any net and any data."""

import inspect
import re
import signal
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np

from .. import nn
from ..command.errors import UsageError
from ..command.screen import say
from ..distributed import init_process_group
from . import checkpoint, plan
from .arguments import Command
from .config import FIELDS, checked_all, flag
from .directory import locked_if_resumed
from .errors import Stopped
from .loop import fit
from .parts import Given
from .recipe import complete
from .recording import keep, recording
from .results import draw
from .session import Session
from .setup import Datasets, Setup, check_unchanged, chosen_device, kernels_in_force, products_in_force
from .together import check_device, speaking_first

IDLE = {  # settings of the command that a Trainer has no use for: what says it instead
    "arch": "net", "data": "train and test", "data_path": "train and test", "download": "the data set",
    "least_side": "the data set",
    "image_size": "the data set's transform", "num_classes": "net", "augment": "the data set's transform",
    "mixup_alpha": "a DataLoader's batch_transform", "cutmix_alpha": "a DataLoader's batch_transform",
    "label_smoothing": "loss", "class_weights": "loss", "tta": "test", "val_split": "test",
}  # fmt: skip


class Trainer:
    """Trains a net as the train command does: tested after each epoch, saved, resumed bit for bit, stopped by Ctrl-C.

        trainer = Trainer(net, train_set, test_set, epochs=5, lr=0.1)
        history = trainer.fit()

    net         a Module
    train, test data sets of (input, target), see minigrad.data; or DataLoaders
    loss        function of outputs and targets, a mean over the batch (a scalar tensor). None: softmax cross-entropy
                of class scores, with the accuracy
    metrics     {name: function of outputs and targets, a mean over the batch}, for the test
    callbacks   functions of (trainer, record), called after each epoch with its record; trainer.stop() ends the run
    optimizer   an Optimizer of the net's parameters. None: as the settings opt, lr, momentum, weight_decay say
    output_dir  where the run is written; None: runs/NET-DATA-TIME
    resume      a run's directory, or a checkpoint of it, to go on from
    settings    what the command's flags set, by the same names: batch_size, epochs, lr_scheduler, workers, seed,
                device, amp, checkpoint_steps, patience ... The settings that are not given are the general recipe's.

    Started by mpiexec, the processes share each batch, and the first one writes and prints (docs/processes.md).

    history is a list with a record for each epoch, as in metrics.jsonl. ValueError for a setting or a checkpoint that
    makes no sense, TypeError for a net that is no Module.
    """

    def __init__(
        self, net, train, test, *, loss=None, metrics=None, callbacks=(), optimizer=None, output_dir=None, resume=None,
        **settings,
    ):  # fmt: skip
        if not isinstance(net, nn.Module):
            raise TypeError(f"Trainer: net must be a minigrad.nn.Module; got {type(net).__name__}")
        with in_keywords():
            config = configured(net, train, settings, optimizer)
            setup = Setup(config, "your own", Datasets(train, test), group=init_process_group())
            check_device(config, setup.group)
            device = chosen_device(config, setup.group)
            self.session = Session(setup, device, Given(setup, device, net, loss, metrics, optimizer))
            if resume is not None:
                restore(self.session, resume)
        self.callbacks = [partial(call, self) for call in callbacks]
        self.command = Command({}, {}, resume=resume and str(resume), output_dir=output_dir and str(output_dir))

    @property
    def model(self):
        """The net."""
        return self.session.model

    @property
    def history(self):
        """A record for each epoch done."""
        return list(self.session.progress.history)

    @property
    def directory(self):
        """Where the run is written; None before fit(), and in other processes than the first."""
        return self.session.directory

    def fit(self):
        """Train until all epochs are done, patience is out or stop() was called; the history.

        After Ctrl-C, which saves and returns, another call goes on. FloatingPointError if numbers are not finite.
        """
        session = self.session
        with in_keywords(), np.errstate(all="ignore"), self.settings_in_force():
            session.ended = False
            if not session.is_over():
                self.run()
        return self.history

    @contextmanager
    def settings_in_force(self):
        """A block in which the kernels and the products are those that the run was set to."""
        with kernels_in_force(self.session.config), products_in_force(self.session.config):
            yield

    def run(self):
        """What fit does, in the run's directory. When it is called again, that is where it goes on."""
        session, command = self.session, self.command
        session.share()
        if session.directory is not None:
            command = Command({}, {}, resume=str(session.directory))
        lock = nullcontext() if session.group.rank else locked_if_resumed(command)
        with speaking_first(session.group), lock, recording(session, command) as (log, request):
            try:
                fit(session, log, request, self.callbacks)
            except Stopped as stopped:
                self.stopped(stopped)
            except BaseException:
                keep(session)
                raise
            finally:
                draw(session, log.last_result)

    def stopped(self, stopped):
        """After a signal: saved. Ctrl-C returns to the caller, others end the process."""
        session = self.session
        session.save()
        session.finish_saving()
        say(f"{stopped}: stopped {plan.describe_progress(session)}, and saved in {session.directory}; fit() goes on")
        if stopped.status != 128 + signal.SIGINT:
            raise SystemExit(stopped.status)

    def stop(self):
        """End the run after this epoch: for callbacks."""
        self.session.ended = True

    def test(self):
        """{"loss": mean, "accuracy": share, metric: mean ...} of the test set."""
        with self.settings_in_force():
            result = self.session.test()
        accuracy = {} if result.accuracy is None else {"accuracy": result.accuracy}
        return {"loss": result.loss, **accuracy, **result.metrics}


def configured(net, train, settings, optimizer):
    """The Config of a Trainer. UsageError for settings that make no sense here."""
    settings = checked_all(settings)
    for name in settings:
        if name in IDLE:
            raise UsageError(f"{flag(name)} has no effect in a Trainer: {IDLE[name]} says it")
        if optimizer is not None and FIELDS[name].metadata["group"] == "optimizer" and name != "clip_grad_norm":
            raise UsageError(f"{flag(name)} has no effect beside an optimizer of your own")
    known = dict(arch=named(net), data=named(train), image_size=None, num_classes=None, augment=False)
    return complete(known, [{"label_smoothing": 0.0}, settings])


def named(thing):
    """The class of a net or a data set, as the command names what is in a file: net.py:Net."""
    kind = type(thing)
    try:
        return f"{Path(inspect.getfile(kind)).name}:{kind.__name__}"
    except (TypeError, OSError):  # written at a prompt
        return f"__main__.py:{kind.__name__}"


def restore(session, path):
    """Go on from a checkpoint. UsageError if there is none, or it does not fit."""
    try:
        arrays, facts, used, damage = checkpoint.found(path)
    except checkpoint.CheckpointError as error:
        raise UsageError(str(error)) from error
    for reason in damage:
        say(plan.row("note", f"{reason}: {used.name}, the one before it, is used"))
    saved = facts.get("config")
    check_unchanged(saved if isinstance(saved, dict) else {}, session.config, ("arch", "opt", "seed"))
    session.restore(arrays, facts)


@contextmanager
def in_keywords():
    """In this block an error of use is a ValueError that names keywords of Python: batch_size for --batch-size."""
    try:
        yield
    except UsageError as error:
        names = {flag(name): name for name in (*FIELDS, "output_dir", "resume")}
        text = re.sub(r"--[a-z][a-z0-9-]*", lambda found: names.get(found[0], found[0]), str(error))
        raise ValueError(f"Trainer: {text}") from error
