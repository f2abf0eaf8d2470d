"""The directory of a run: one run's own, locked while it is written to, and gone if nothing came of it."""

import contextlib
import itertools
import os
import time
from pathlib import Path

from ..command.errors import UsageError, blaming_the_user
from ..command.reference import short
from . import checkpoint
from .config import to_toml

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

CONFIG, METRICS, TIMES = "config.toml", "metrics.jsonl", "times.jsonl"
WRITTEN = (
    checkpoint.LAST,
    checkpoint.NEXT,
    checkpoint.PREVIOUS,
    checkpoint.BEST,
)  # a run that is worth keeping has these


def planned(config, command):
    """The path that a run will be written to, as far as it can be told before it starts."""
    if command.output_dir is not None:
        return Path(command.output_dir)
    if command.resume is not None:
        return checkpoint.located(command.resume).parent
    data = short(config.data) if config.data_path is None else Path(config.data_path).resolve().name or "data"
    return Path("runs") / f"{short(config.arch)}-{data}-{time.strftime('%Y%m%d-%H%M%S')}"


@contextlib.contextmanager
def run_directory(config, command):
    """The directory to write to, created and locked. If no checkpoint is in it at the end, it is removed.

    It is --output-dir, that of the resumed checkpoint, or a new one below runs/. UsageError if it can't be had.
    """
    path = planned(config, command)
    with blaming_the_directory(path):
        made = missing(path)
        path = create(path, must_be_new=command.output_dir is None and command.resume is None)
    try:
        with contextlib.nullcontext() if goes_on_in(path, command) else locked(path):
            refuse_occupied(path, command, config)
            try:
                yield path
            finally:
                if not holds_a_run(path):
                    remove_traces(path)
    finally:
        remove_empty((path, *made[1:]) if made else ())


def goes_on_in(path, command):
    """Does the run go on in the directory that it came from? Then that is locked already."""
    return command.resume is not None and path.resolve() == checkpoint.located(command.resume).parent.resolve()


def missing(path):
    """The path and its parents as far as they don't exist, the deepest first."""
    return list(itertools.takewhile(lambda p: not p.exists(), (path, *path.parents)))


def create(path, must_be_new):
    """Make the directory and return its path; if it must be new, with -2, -3 ... appended where others have it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        name = path.with_name(f"{path.name}-{number}") if number > 1 else path
        try:
            name.mkdir(exist_ok=not must_be_new)
            return name
        except FileExistsError:
            if not must_be_new:
                raise


def refuse_occupied(path, command, config):
    """UsageError if the directory can't be written to, or holds another run or somebody's own config.toml."""
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"--output-dir {path}: not writable")
    if goes_on_in(path, command):
        return
    if holds_a_run(path):
        raise UsageError(f"--output-dir {path} holds a run already; --resume {path} goes on with it")
    for name in (CONFIG, METRICS):
        if (path / name).exists() and not begun_before(path, config):
            raise UsageError(f"--output-dir {path} holds a {name} already; choose another directory, or remove it")


def begun_before(path, config):
    """Is what lies here that of this very run, killed before its first checkpoint?"""
    try:
        same = (path / CONFIG).read_bytes() == to_toml(config).encode()
        return same and not ((path / METRICS).exists() and (path / METRICS).stat().st_size)
    except OSError:
        return False


def holds_a_run(path):
    return any((path / name).exists() for name in WRITTEN)


def remove_traces(path):
    """Remove what a run writes before its first checkpoint."""
    for file in (path / CONFIG, path / METRICS, path / TIMES, *path.glob("*.tmp")):
        with contextlib.suppress(OSError):
            file.unlink()


def remove_empty(paths):
    for path in paths:
        with contextlib.suppress(OSError):  # not empty
            path.rmdir()


@contextlib.contextmanager
def locked(directory):
    """Within this block no other run writes to the directory. The system drops the lock of a process that is killed.

    UsageError if another run holds it. File systems without locks are used without.
    """
    if fcntl is None:
        yield
        return
    with blaming_the_directory(directory):
        descriptor = os.open(directory, os.O_RDONLY)
    try:
        lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked_if_resumed(command):
    """Within this block the directory that a run goes on in is locked. UsageError if it has no checkpoint."""
    if command.resume is None or command.output_dir is not None:
        yield
        return
    with blaming_the_user(checkpoint.CheckpointError):
        path = checkpoint.located(command.resume).parent
    with locked(path):
        yield


def lock(descriptor, directory):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{directory}: another run is writing to this directory") from error
    except OSError:
        pass  # this file system has no locks


@contextlib.contextmanager
def blaming_the_directory(path):
    try:
        yield
    except (OSError, ValueError) as error:
        raise UsageError(f"--output-dir {path}: {getattr(error, 'strerror', None) or error}") from error
