"""The directory of a run, read: its settings, and the record of each epoch. Nothing in it is changed."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..command.errors import UsageError

CONFIG, METRICS, TIMES = "config.toml", "metrics.jsonl", "times.jsonl"


@dataclass(frozen=True)
class Run:
    """directory; settings {name: value}; records: what is known of each epoch, in order."""

    directory: Path
    settings: dict
    records: list

    @classmethod
    def read(cls, directory):
        """The Run in a directory. UsageError, naming the file, if there is none."""
        directory = Path(directory)
        try:
            settings = tomllib.loads((directory / CONFIG).read_text(encoding="utf-8"))
            return cls(directory, settings, lines_of(directory / METRICS))
        except (OSError, ValueError) as error:
            raise UsageError(f"{directory}: not the directory of a run: {error}") from None

    @property
    def name(self):
        """The last part of its path."""
        return self.directory.resolve().name

    def is_over(self):
        """Are all epochs done, or is its patience out?"""
        epochs, patience = self.settings.get("epochs"), self.settings.get("patience")
        done = len(self.records)
        return done >= (epochs or 1) or (patience is not None and done - self.best_epoch() >= patience)

    def best_epoch(self):
        """The number of the epoch with the highest test accuracy, without one the lowest loss; 0: there is none yet."""
        if not self.records:
            return 0
        key = "test_accuracy" if "test_accuracy" in self.records[0] else "test_loss"
        sign = 1 if key == "test_accuracy" else -1
        return 1 + max(range(len(self.records)), key=lambda i: sign * self.records[i][key])


def lines_of(path):
    """The JSON objects of a file of lines; of one that is being written the whole lines. []: there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line, parse_constant=lambda name: None) for line in whole]  # NaN is no number in JSON


def found(root):
    """The directories of runs in this one and below it, as deep as studies are, in the order of their names."""
    root = Path(root)
    places = {file.parent for depth in ("", "*/", "*/*/") for file in root.glob(f"{depth}{CONFIG}")}
    return sorted(places, key=lambda place: place.as_posix())
