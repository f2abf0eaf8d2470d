"""Which checkpoints a run keeps, when it writes them, and the thread that does while the next steps run."""

import os
import time
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

import numpy as np

from . import checkpoint
from .errors import Diverged


class Keeper:
    """Writes a run's checkpoints into its directory, one after another, in the background of the run.

    `last`, the one before it as `previous`, `best`, and with keep_last those of as many epochs. every_steps and
    every_minutes: how often one is due within an epoch; None: not at all.
    """

    def __init__(self, directory, every_steps=None, every_minutes=None, keep_last=None):
        self.directory, self.keep_last = directory, keep_last
        self.every_steps, self.every_seconds = every_steps, None if every_minutes is None else 60 * every_minutes
        self.written, self.began = None, time.monotonic()  # the clock of the wall may jump

    def due(self, steps):
        """Is a checkpoint due after so many steps of the run?"""
        if self.every_steps is not None and steps % self.every_steps == 0:
            return True
        return self.every_seconds is not None and time.monotonic() - self.began >= self.every_seconds

    def start(self, arrays, facts, steps, best=False):
        """Begin to write a checkpoint of arrays that nobody changes any more; nothing else is being written.

        steps: done in the run, for the error of numbers that are not finite.
        """
        self.began, self.written = time.monotonic(), Future()
        Thread(target=self.work, args=(self.written, arrays, facts, steps, best), name="minigrad-checkpoint").start()

    def work(self, written, *checkpoint):
        """In the thread: write, and remove what is no longer kept. The future gets what comes of it."""
        try:
            self.write(*checkpoint)
        except BaseException as error:
            written.set_exception(error)
        else:
            written.set_result(None)

    def check(self):
        """Raise what went wrong with a checkpoint that is no longer being written, once."""
        if self.written is not None and self.written.done():
            self.wait()

    def wait(self):
        """Until nothing is being written any more. Raises what went wrong, once."""
        written, self.written = self.written, None
        if written is not None:
            written.result()

    def write(self, arrays, facts, steps, best=False):
        """Best first: after a kill in between the last epoch is tested again, and written again.

        Diverged, with nothing written, if an array is not finite.
        """
        check_finite(arrays, steps)
        epoch = completed_epoch(facts) if self.keep_last is not None else None
        names = [checkpoint.BEST] * best + [checkpoint.of_epoch(epoch)] * (epoch is not None)
        data = checkpoint.to_bytes(arrays, facts)
        for name in names:
            checkpoint.write_atomically(self.directory / name, data)
        checkpoint.write_atomically(self.directory / checkpoint.NEXT, data)
        self.put_last()
        if epoch is not None:
            self.remove_others(epoch)

    def put_last(self):
        """`last` becomes `previous`, and what was just written `last`. After a kill in between, `previous` is there."""
        last = self.directory / checkpoint.LAST
        if last.exists():
            os.replace(last, self.directory / checkpoint.PREVIOUS)
        os.replace(self.directory / checkpoint.NEXT, last)

    def remove_others(self, epoch):
        """Remove the checkpoints of all epochs but those that are kept: also later ones, of another future."""
        kept = {checkpoint.of_epoch(epoch - i) for i in range(self.keep_last)}
        for path in self.directory.glob(checkpoint.of_epoch("*")):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def restore_best(self, epoch, *directories):
        """Is `best` that of this epoch? It is copied from these directories, if it wasn't and is there."""
        best = self.directory / checkpoint.BEST
        found = (p for d in (self.directory, *directories) for p in (d / checkpoint.BEST, *checkpoint.newest_first(d)))
        for path in found:
            with suppress(checkpoint.CheckpointError):
                if completed_epoch(checkpoint.read(path)[1]) == epoch:
                    if path != best:
                        checkpoint.write_atomically(best, path.read_bytes())
                    return True
        return False


def check_finite(arrays, steps):
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise Diverged(f"{name} is no longer finite after step {steps}")


def completed_epoch(facts):
    """The number of the epoch that was completed when these facts were; None within one, and before the first."""
    progress = facts.get("progress")
    within = not isinstance(progress, dict) or progress.get("step") != 0
    return None if within else progress.get("epoch") or None
