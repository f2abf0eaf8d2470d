"""Runs of several processes that MPI connects: the same as one process, bit for bit each time, and one end for all."""

import signal

import numpy as np
import pytest
from mpi_runs import many, needs_mpi
from numpy.testing import assert_allclose
from train_runs import ROOT, arrays, in_process, records, same

pytestmark = [pytest.mark.long, needs_mpi]
HERE = ROOT / "tests" / "distributed"
RUN = ("-m", "minigrad.train", "--arch", f"{HERE / 'net.py'}:Net", "--kernels", "reference", "-b", "16", "-j", "0")
RUN = (*RUN, "--lr", "0.02", "--epochs", "2", "--limit-train-batches", "6", "--limit-test-batches", "3")


def run(number, directory, *arguments):
    """A finished run of the command in so many processes."""
    done = many(number, *RUN, "--output-dir", directory, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def close(directory, other):
    """Do two runs have the same weights and records, up to rounding?"""
    for name, a in arrays(directory).items():
        assert_allclose(a, arrays(other)[name], rtol=1e-3, atol=1e-5, err_msg=name)
    for mine, its in zip(records(directory), records(other), strict=True):
        assert mine == pytest.approx(its, rel=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    directory = tmp_path_factory.mktemp("alone") / "run"
    done = in_process(*RUN[2:], "--output-dir", directory)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.parametrize("number", [2, 4])
def test_equals_one_process_and_itself(number, alone, tmp_path):
    done = run(number, tmp_path / "a")
    run(number, tmp_path / "b")
    close(alone, tmp_path / "a")
    same(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    assert (tmp_path / "a" / "metrics.jsonl").read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()
    assert f"in each of {number} processes" in done.stdout
    assert done.stdout.count("epoch 1/2") == 1 and done.stderr == ""


def test_goes_on_with_another_number_of_processes(alone, tmp_path):
    """A signal to one of them stops all after the same step, here the ninth. Batches then are shared anew."""
    done = many(2, *RUN, "--output-dir", tmp_path / "a", STOP_AT="9")
    assert done.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: stopped after step 3 of 6 of epoch 2, and saved" in done.stdout
    done = many(4, *RUN[:4], "--resume", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    close(alone, tmp_path / "a")


def test_a_wrong_flag_is_said_once(tmp_path):
    done = many(3, *RUN, "--output-dir", tmp_path, "--lr", "-1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "minigrad.train: error: --lr must be greater than 0; got -1.0\n"
    done = many(3, *RUN, "--output-dir", tmp_path, "-b", "2")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gives 3 processes less than an image each" in done.stderr


@pytest.mark.parametrize("number", [2, 3])
def test_one_that_raises_ends_all(number, tmp_path):
    done = many(number, HERE / "own_loop.py", tmp_path / "net.npz", "raise")
    assert done.returncode == 1
    assert done.stderr.count("ArithmeticError: it broke here") == 1 and "own_loop.py" in done.stderr


def test_one_that_is_killed_ends_all(tmp_path):
    done = many(2, HERE / "own_loop.py", tmp_path / "net.npz", "kill")
    assert done.returncode not in (0, None) and not (tmp_path / "net.npz").exists()


@pytest.mark.parametrize("number", [2, 3])
def test_one_that_hangs_ends_all(number, tmp_path):
    done = many(number, HERE / "own_loop.py", tmp_path / "net.npz", "hang", MINIGRAD_TIMEOUT="2")
    assert done.returncode not in (0, None) and not (tmp_path / "net.npz").exists()
    assert "has waited 2 seconds for the others: one of them hangs. All are ended." in done.stderr
    done = many(number, HERE / "own_loop.py", tmp_path / "net.npz", "well", MINIGRAD_TIMEOUT="soon")
    assert done.returncode == 1 and "MINIGRAD_TIMEOUT must be a number of seconds greater than 0" in done.stderr


def test_a_loop_of_ones_own(tmp_path):
    """Weights begin as the first one's, cores are shared; the result is that of one process with the same batches."""
    for number in (1, 2, 2):
        done = many(number, HERE / "own_loop.py", tmp_path / f"{number}.npz", "well")
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        for name in one:
            assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_trainer_shares_its_batches(tmp_path):
    for number in (1, 2):
        done = many(number, HERE / "trainer.py", tmp_path / str(number))
        assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/2") == 1
    close(tmp_path / "1", tmp_path / "2")
