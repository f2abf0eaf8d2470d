"""What users' own test suites get: the pytest fixture and the hypothesis strategies."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from minigrad import op, ops
from minigrad.gradcheck import GradcheckError, gradcheck
from minigrad.gradcheck.inputs import distinct, off_zero
from minigrad.gradcheck.strategies import shapes, tensors

SUITE = """
import numpy as np
from minigrad import Tensor, ops
from minigrad.gradcheck.inputs import off_zero, positive

seen = []

def test_right(gradcheck):
    assert gradcheck(ops.mul, [(2, 3), (3,)]) and gradcheck(ops.log, [(2,)], make=positive)
    assert gradcheck(ops.exp, Tensor(np.ones(3), requires_grad=True))

def test_other_numbers(gradcheck):
    def look(x):
        seen.append(x.data.copy())
        return x * x
    gradcheck(look, [(3,)])

def test_again(gradcheck):
    test_other_numbers(gradcheck)
    assert not np.array_equal(seen[0], seen[-1])

def test_wrong(gradcheck):
    gradcheck(lambda x: Tensor(x.data * 2) * x, [(2, 2)])
"""
CONFTEST = "from minigrad.gradcheck.fixture import gradcheck  # noqa: F401\n"


def test_the_fixture(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1 and "1 failed, 3 passed" in done.stdout, done.stdout
    assert "GradcheckError" in done.stdout and "test_wrong" in done.stdout


@given(tensors())
@settings(deadline=None, max_examples=20)
def test_the_strategy_of_tensors(x):
    assert x.dtype == np.float64 and x.requires_grad and 1 <= x.ndim <= 4
    assert gradcheck(ops.sigmoid, x)


@given(tensors((2, 3), make=off_zero), tensors(st.just((4,)), make=distinct))
@settings(deadline=None, max_examples=20)
def test_strategies_of_given_shapes_and_numbers(x, y):
    assert x.shape == (2, 3) and y.shape == (4,)
    assert (abs(x.numpy()) >= 0.1).all() and len(set(y.numpy())) == 4


def test_a_mistake_shrinks_to_the_smallest_shape():
    @op
    def wrong_beyond_one(ctx, x):
        return x * x, lambda dy: (2 * x * dy if x.size < 3 else x * dy,)

    def fails(x):
        return not gradcheck(wrong_beyond_one, x, raise_exception=False)

    how = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    assert find(tensors(), fails, settings=how).shape == (3,)
    with pytest.raises(GradcheckError, match="constant factor"):
        gradcheck(wrong_beyond_one, find(tensors(), fails, settings=how))


@given(shapes(2, 3, 4, 6))
@settings(deadline=None, max_examples=30)
def test_shapes(shape):
    assert 2 <= len(shape) <= 3 and all(4 <= n <= 6 for n in shape)
