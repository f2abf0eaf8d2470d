"""What a run says and writes: a progress bar, a line for each epoch, metrics.jsonl, and curves at the end."""

import json
import sys
from contextlib import contextmanager

from .checkpoint import write_atomically

METRICS = "metrics.jsonl"


def duration(seconds):
    """75.2 -> "1 min 15 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def say(*lines):
    """Lines on standard output, at once, also when it is a file or a pipe."""
    print(*lines, sep="\n", flush=True)


class Bar:
    """The progress bar of one epoch. Its numbers are refreshed every `every` steps."""

    def __init__(self, bar, every):
        self.bar, self.every = bar, every

    def update(self, progress):
        self.bar.update()
        if progress.step % self.every == 0:
            numbers = f"loss {progress.train_loss:.3f}, accuracy {progress.train_accuracy:.1%}"
            self.bar.set_postfix_str(f"{numbers}, {progress.images_per_second:,.0f} images/s", refresh=False)


class RunLog:
    """The records of a run, to the screen and to its directory."""

    def __init__(self, directory, epochs, history=()):
        self.directory, self.epochs, self.last_result = directory, epochs, None
        text = "".join(json.dumps(record) + "\n" for record in history)
        write_atomically(directory / METRICS, text.encode())  # a killed run may have written more than it saved

    @contextmanager
    def bar(self, session):
        """A Bar for the epoch under way; silent unless it goes to a terminal."""
        from tqdm import tqdm

        progress = session.progress
        settings = dict(total=session.steps, initial=progress.step, unit="step", leave=False, disable=None)
        width = dict(dynamic_ncols=True, file=sys.stderr)
        with tqdm(desc=f"epoch {progress.epoch + 1}/{self.epochs}", **settings, **width) as bar:
            yield Bar(bar, session.config.print_freq)

    def epoch(self, record, result, seconds):
        """Record an epoch. seconds: how long it took, the test included."""
        self.last_result = result
        with open(self.directory / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        say(epoch_line(record, self.epochs, seconds))


def epoch_line(record, epochs, seconds):
    left = (epochs - record["epoch"]) * seconds
    return (
        f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}  "
        f"train loss {record['train_loss']:.3f}, accuracy {record['train_accuracy']:6.2%}  "
        f"test loss {record['test_loss']:.3f}, accuracy {record['test_accuracy']:6.2%}  "
        f"{record['images_per_second']:,.0f} images/s, lr {record['lr']:.2g}  "
        f"{duration(seconds)}" + (f", {duration(left)} left" if round(left) else "")
    )
