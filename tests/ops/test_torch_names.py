"""Ops under torch's names beside torch itself, in float64. The table is in benchmarks/torch_calls.py."""

import sys

import benchmark_runs
import pytest
from conftest import needs_torch
from op_table import CASES

sys.path.append(str(benchmark_runs.FOLDER))
from torch_calls import NAMES
from torch_names import differences, found

import minigrad


@needs_torch()
@pytest.mark.parametrize("name", NAMES, ids=lambda n: f"{n.path}-{n.settings}")
def test_torch_has_the_same_values_and_gradients(name, kernels):
    rounded = 2e-8 if name.op == "hardsigmoid" else 0  # torch multiplies by 1/6 in float32
    assert max(differences(name)) < 1e-9 + rounded


def test_everything_there_has_a_row_in_the_op_table():
    assert {n.op for n in NAMES} <= {c.op.__name__ for c in CASES}


def test_everything_there_is_a_name_here():
    assert all(callable(found(minigrad, n.path)) for n in NAMES)
