"""Runs of the command: on one thread each where pytest runs tests side by side, for they share the machine."""

import os

import pytest

import minigrad as mg


@pytest.fixture(scope="module", autouse=True)
def a_thread_each():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    before = mg.get_num_threads()
    mg.set_num_threads(1)
    yield
    mg.set_num_threads(before)
