"""Several processes for tests, started by the mpiexec that belongs to mpi4py's MPI."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest
from train_runs import ROOT, environment

BESIDE_PYTHON = pathlib.Path(sys.prefix) / "bin" / "mpiexec"
SECONDS = 300  # after which processes that hang are ended, and the test fails


def missing():
    """Why no processes can be started; None if they can."""
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed: pip install 'minigrad[mpi]'"
    return None if mpiexec() else "there is no mpiexec"


def mpiexec():
    return str(BESIDE_PYTHON) if BESIDE_PYTHON.exists() else shutil.which("mpiexec")


def command(number, *arguments):
    return [mpiexec(), "-n", str(number), sys.executable, *map(str, arguments)]


def many(number, *arguments, **variables):
    """So many finished processes of Python with these arguments, as one: its output and its status."""
    settings = dict(capture_output=True, text=True, cwd=ROOT, timeout=SECONDS)
    return subprocess.run(command(number, *arguments), env=clean_environment() | variables, **settings)


def clean_environment():
    """That of a process which was itself started alone."""
    return {
        name: value for name, value in environment().items() if not name.startswith(("PMI", "OMPI", "MINIGRAD_NUM"))
    }


needs_mpi = pytest.mark.skipif(missing() is not None, reason=str(missing()))
