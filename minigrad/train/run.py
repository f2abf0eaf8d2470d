"""The three things that the command does: plan, test, train."""

import os
import time
from pathlib import Path

from ..data import DataError
from . import checkpoint, plan, plot
from .config import to_toml
from .errors import Diverged, Stopped, UsageError, blaming_the_user
from .log import RunLog, say
from .loop import fit
from .session import Session, check_unfinished
from .setup import chosen_device, kernels_in_force, products_in_force, set_up
from .stopping import stop_wishes

CONFIG = "config.toml"


def run(command):
    """Do what a Command asks for; the exit status."""
    saved = None
    if command.resume is not None:
        with blaming_the_user(checkpoint.CheckpointError):
            saved = checkpoint.load(command.resume)
    setup = set_up(command.flags, command.file, saved[1]["config"] if saved else {})
    device = chosen_device(setup.config)
    with kernels_in_force(setup.config), products_in_force(setup.config):
        session = Session(setup, device)
        if saved:
            session.restore(*saved)
        if command.evaluate:
            return test(session, command.resume)
        say(*plan.describe(setup, session, device))
        return 0 if command.plan else train(session, command)


def test(session, path):
    """Print the accuracy on the test set."""
    result = session.test()
    images = int(result.confusion.sum())
    say(f"{path}: test accuracy {result.accuracy:.2%}, loss {result.loss:.4f} ({images:,} images)")
    return 0


def train(session, command):
    """Train to the end, or until a signal or numbers that are not finite end it; the exit status."""
    check_unfinished(session)
    session.directory = run_directory(session.config, command)
    say(f"{'run':<9} {session.directory}", "")
    with blaming_the_user(DataError, OSError, MemoryError):
        (session.directory / CONFIG).write_text(to_toml(session.config), encoding="utf-8")
        log = RunLog(session.directory, session.config.epochs, session.progress.history)
        try:
            status = fit_or_stop(session, log)
        except Diverged as diverged:
            status = explain(session, diverged)
        draw(session, log)
    return status


def fit_or_stop(session, log):
    with stop_wishes() as wish:
        try:
            fit(session, log, wish)
            return finish(session)
        except Stopped as stopped:
            return stop(session, stopped)


def run_directory(config, command):
    """The directory to write to, created: --output-dir, that of the resumed checkpoint, or a new one below runs/."""
    if command.output_dir is None and command.resume is not None:
        return checkpoint.located(command.resume).parent
    directory = Path(command.output_dir or f"runs/{config.arch}-{config.data}-{time.strftime('%Y%m%d-%H%M%S')}")
    if (directory / checkpoint.LAST).exists():
        raise UsageError(f"--output-dir {directory} holds a run already; --resume {directory} goes on with it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output-dir {directory}: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"--output-dir {directory}: not writable")
    return directory


def stop(session, stopped):
    session.save()
    progress = session.progress
    say(
        f"{stopped}: stopped after step {progress.step} of {session.steps} of epoch {progress.epoch + 1}, and saved.",
        f"Go on with: python -m minigrad.train --resume {session.directory}",
    )
    return stopped.status


def explain(session, diverged):
    epoch = session.progress.epoch
    kept = f"The checkpoint of epoch {epoch} is kept in {session.directory}." if epoch else "No epoch was complete yet."
    say(
        f"Stopped: {diverged}.",
        f"{kept} Try a lower --lr, a longer --lr-warmup-epochs, or --clip-grad-norm 1.",
    )
    return 1


def draw(session, log):
    """curves.png of all completed epochs, and confusion.png of the last test."""
    config, history = session.config, session.progress.history
    title = f"{config.arch} on {config.data}"
    if history:
        plot.curves(history, session.directory / "curves.png", title)
    if log.last_result is not None:
        accuracy = f"{title}: test accuracy {log.last_result.accuracy:.2%} after epoch {len(history)}"
        names = class_names(session)
        plot.confusion(log.last_result.confusion, names, session.directory / "confusion.png", accuracy)


def class_names(session):
    names = session.datasets.train.classes
    return [*names, *(f"class {i}" for i in range(len(names), session.config.num_classes))]


def finish(session):
    last, best = session.progress.history[-1], session.progress.best()
    say(
        "",
        f"test accuracy {last['test_accuracy']:.2%}  (best {best['test_accuracy']:.2%} after epoch {best['epoch']})",
        f"written to {session.directory}",
    )
    return 0
