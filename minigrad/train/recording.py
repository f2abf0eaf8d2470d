"""What stands around the loop, for the command and for a Trainer: signals, the directory, the background writer."""

from contextlib import contextmanager, suppress

from ..command.files import write_atomically
from ..command.screen import say
from . import checkpoint
from .config import to_toml
from .directory import CONFIG, run_directory
from .errors import Diverged
from .log import RunLog, Unwritten, row
from .stopping import stop_requests
from .tensorboard import Board


@contextmanager
def recording(session, command):
    """(a RunLog, a StopRequest) for `fit`. In this block signals are requests, and the run is written to its directory.

    command: what its output_dir and resume say. UsageError if the directory can't be had.
    Of several processes only the first writes.
    """
    with stop_requests(session.group) as request, session.compilation.watched():
        with written(session, command) if session.group.rank == 0 else unwritten(session) as log:
            yield log, request


@contextmanager
def unwritten(session):
    """The log of a process beside the one that writes."""
    yield Unwritten(session.config.epochs)


@contextmanager
def written(session, command):
    """The RunLog of a run that is written to its directory in this block."""
    with (
        run_directory(session.config, command) as directory,
        session.writing_to(directory),
    ):
        say(row("run", directory), "")
        write_atomically(directory / CONFIG, to_toml(session.config).encode())
        session.restore_best(*((checkpoint.located(command.resume).parent,) if command.resume else ()))
        with board_of(session) as board:
            yield RunLog(directory, session.config.epochs, session.progress.history, board)


@contextmanager
def board_of(session):
    """The Board that --tensorboard asks for, closed at the end; or None."""
    if not session.config.tensorboard:
        yield None
        return
    board = Board(session.directory, session.progress.epoch)
    try:
        yield board
    finally:
        board.close()


def keep(session):
    """Save what was trained, if a step isn't half done. Was it?"""
    if not session.between_steps or session.global_step() == 0:
        return False
    with suppress(Diverged, OSError):
        session.save()
        session.finish_saving()
        return True
    return False
