"""What a run says and writes: a progress bar, a line for each epoch, metrics.jsonl and times.jsonl."""

import json
from contextlib import contextmanager

from ..command.files import write_atomically
from ..command.screen import Bar, say
from .directory import METRICS, TIMES


def duration(seconds):
    """75.2 -> "1 min 15 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def count(number, thing):
    """(1, "step") -> "1 step", (1000, "step") -> "1,000 steps"."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def row(name, text):
    """A line of a table of two columns: of the plan, and of notes."""
    return f"{name:<9} {text}"


class EpochBar(Bar):
    """The bar of one epoch. Its numbers are refreshed every `every` steps."""

    def __init__(self, session, epochs):
        progress = session.progress
        super().__init__(f"epoch {progress.epoch + 1}/{epochs}", session.steps, progress.step)
        self.every, self.counted = session.config.print_freq, session.parts.count is not None

    def step_done(self, progress, left):
        """left: seconds that the epoch's remaining steps will take."""
        if progress.step % self.every and self.parts:
            return self.update()
        numbers = (f"loss {progress.train_loss:.3f}",)
        if self.counted:
            numbers += (f"accuracy {progress.train_accuracy:.1%}",)
        return self.update(f"{duration(left)} left", *numbers, f"{progress.images_per_second:,.0f} images/s")


class RunLog:
    """The records of a run, to the screen and to its directory. board: see tensorboard.py; None: none."""

    def __init__(self, directory, epochs, history=(), board=None):
        self.directory, self.epochs, self.last_result, self.board = directory, epochs, None, board
        self.write(history)  # a killed run may have written more than it saved

    def bar(self, session):
        """A bar for the epoch under way."""
        return EpochBar(session, self.epochs)

    def write(self, history):
        """metrics.jsonl: the record of each epoch, the same in each run with these settings."""
        text = "".join(json.dumps(record) + "\n" for record in history)
        write_atomically(self.directory / METRICS, text.encode())

    def record(self, history, result):
        """Record an epoch, before the checkpoint that counts it is written. result: of its test."""
        self.last_result = result
        with going_on(METRICS):
            self.write(history)

    def epoch(self, record, seconds, rate):
        """Say how an epoch went. seconds: how long one takes, the test included; rate: images a second of its steps."""
        measured = {"epoch": record["epoch"], "seconds": round(seconds, 3), "images_per_second": round(rate, 1)}
        with going_on(TIMES), open(self.directory / TIMES, "a", encoding="utf-8") as file:
            file.write(json.dumps(measured) + "\n")
        if self.board is not None:
            with going_on("what TensorBoard shows"):
                self.board.write(record, rate)
        say(epoch_line(record, self.epochs, seconds, rate))


class Unwritten(RunLog):
    """The log of a process beside the one that writes: it only remembers the last test."""

    def __init__(self, epochs):
        self.epochs, self.last_result = epochs, None

    def record(self, history, result):
        self.last_result = result

    def epoch(self, record, seconds, rate):
        pass


@contextmanager
def going_on(what):
    """In this block a file that can't be written is said, and the run goes on."""
    try:
        yield
    except OSError as error:
        say(row("note", f"{error}: could not write {what}; the run goes on"), always=True)


def measured(record, part):
    """ "loss 0.123, accuracy 45.67%": what a record says of the training or the test."""
    numbers = {
        name.removeprefix(f"{part}_"): value
        for name, value in record.items()
        if name.startswith(part) and name != "test_top5"
    }
    return ", ".join(f"{name} {number(name, value)}" for name, value in numbers.items())


def number(name, value):
    return f"{value:6.2%}" if name == "accuracy" else f"{value:.3f}"


def epoch_line(record, epochs, seconds, rate):
    left = (epochs - record["epoch"]) * seconds
    return (
        f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}  "
        f"train {measured(record, 'train')}  test {measured(record, 'test')}  "
        f"{rate:,.0f} images/s, lr {record['lr']:.2g}  "
        f"{duration(seconds)}" + (f", {duration(left)} left" if round(left) else "")
    )
