"""What all test files share."""

import importlib
import importlib.util
import os
import signal
import sys

import benchmark_runs
import places
import pytest

import minigrad as mg

KERNELS = ("reference", "cpu")

# A shell that starts the tests in the background has them ignore signals, and so all processes that they start.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_addoption(parser):
    device = os.environ.get("MINIGRAD_DEVICE", "cpu")
    text = "where the tests of ops run: cpu (reference and compiled kernels), emulated or cuda; or MINIGRAD_DEVICE"
    parser.addoption("--device", choices=tuple(places.PLACES), default=device, help=text)


def pytest_generate_tests(metafunc):
    device = metafunc.config.getoption("device")
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", places.PLACES[device], indirect=True)
    if "fast_place" in metafunc.fixturenames:
        emulated = pytest.param("emulated", marks=pytest.mark.long)
        fast = ("cpu", emulated) if device == "cpu" else places.PLACES[device]
        metafunc.parametrize("fast_place", fast, indirect=True)


def pytest_collection_modifyitems(config, items):
    """A bare `python -m pytest` leaves out what is marked `long`; with paths or with -m, pytest runs what they name."""
    if config.args_source is pytest.Config.ArgsSource.ARGS or config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)


@pytest.fixture
def place(request):
    """Run the test in each place of the device that was asked for."""
    if missing := places.prepare(request.param):
        pytest.skip(missing)
    with places.running_on(request.param):
        yield request.param


fast_place = place  # but for the reference; the emulated GPU is among them, so that each run of the tests has it


@pytest.fixture(params=KERNELS)
def kernels(request):
    """Run the test once on the reference kernels and once on the compiled ones."""
    with mg.use_kernels(request.param):
        yield request.param


@pytest.fixture(scope="module", autouse=True)
def a_thread_each(request):
    """Where pytest runs tests side by side, each keeps to one thread, and what it starts, too: they share the machine.

    Two threads that wait for each other on a core that another test has cost twice the processor time. The tests of the
    kernels keep all threads, and those of processes that share the cores find out themselves.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or request.path.parent.name in ("kernels", "distributed"):
        yield
        return
    before = mg.get_num_threads()
    mg.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGRAD_NUM_THREADS", "1")
        yield
    mg.set_num_threads(before)


@pytest.fixture
def reference_kernels():
    """Run the test on the reference kernels."""
    with mg.use_kernels("reference"):
        yield


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks' folder by name."""
    monkeypatch.syspath_prepend(benchmark_runs.FOLDER)
    yield importlib.import_module
    for name in [
        n for n, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(str(benchmark_runs.FOLDER))
    ]:
        del sys.modules[name]


def needs_torch():
    """Mark for tests that compare with PyTorch, which is no dependency of minigrad."""
    return pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch, the peer, is not installed")
