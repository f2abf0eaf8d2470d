"""Several runs of the train command, one after the other, in a directory of their own, that can be gone on with."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from ..command.errors import UsageError
from ..command.files import write_atomically
from ..command.screen import say
from .reading import CONFIG, Run

OPTIONS = "options.json"
CHECKPOINTS = "last.safetensors", "previous.safetensors"


class Study:
    """The runs in a directory.

    directory  made if it isn't there
    options    arguments of the train command that all runs have; UsageError if the directory was begun with others
    """

    def __init__(self, directory, options=()):
        self.directory, self.options = Path(directory), list(options)
        path = self.directory / OPTIONS
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_atomically(path, json.dumps(self.options).encode())
            begun = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"--output-dir {directory}: {error}") from None
        if begun != self.options:
            raise UsageError(
                f"--output-dir {directory} was begun with other options of training ({' '.join(begun) or 'none'}): "
                "give the same, or another directory"
            )

    def run(self, name, *arguments):
        """(0, the finished Run of this name): trained now, gone on with, or there already; (the status, None): not."""
        place = self.directory / name
        if (place / CONFIG).exists() and (run := Run.read(place)).is_over():
            say(f"{place}: is there")
            return 0, run
        where = "--resume" if any((place / file).exists() for file in CHECKPOINTS) else "--output-dir"
        status = train(where, str(place), *arguments, *self.options)
        if status:
            say(f"{place}: training ended with status {status}", always=True)
            return status, None
        return 0, Run.read(place)


def train(*arguments):
    """The exit status of the train command in a process of its own, which gets the signals that this one is sent."""
    process = subprocess.Popen([sys.executable, "-m", "minigrad.train", *arguments])
    with passed_on(process):
        while True:
            with suppress(KeyboardInterrupt):  # it got it, too: it saves, and ends
                return process.wait()


@contextmanager
def passed_on(process):
    """In this block the signals that end a process are sent on to another one, for whose end this one waits."""
    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {kind: signal.signal(kind, lambda number, frame: process.send_signal(number)) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
