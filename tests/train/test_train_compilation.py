"""The first run on a machine says that it compiles, and leaves the time out of its rates and estimates."""

import json
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from train_runs import TINY, train

from kernels.cpu import compiling
from minigrad.train import compilation, loop

RUN = ("-a", "lenet5", *TINY, "--epochs", 1, "--lr-warmup-epochs", 0)
SECONDS = 2.0  # that the pretended compilation takes


@pytest.fixture
def compiles_in_the_first_step(monkeypatch):
    """A machine on which the first step takes SECONDS to compile two kernels."""
    spent, watchers, real, done = [0.0], [], loop.train_step, [0]

    @contextmanager
    def watched(show):
        watchers.append(show)
        yield
        watchers.remove(show)

    def step(*inputs, **settings):
        done[0] += 1
        if done[0] == 1:
            for ready, kernel in enumerate(("conv2d_forward", "", "sgd_step", "")):
                watchers[0](SimpleNamespace(kernel=kernel, ready=ready // 2, total=38))
            time.sleep(SECONDS)
            spent[0] += SECONDS
        return real(*inputs, **settings)

    monkeypatch.setattr(compiling, "watched", watched)
    monkeypatch.setattr(compiling, "seconds", lambda: spent[0])
    monkeypatch.setattr(loop, "train_step", step)
    return watchers


def test_compiling_is_said_once(compiles_in_the_first_step, tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    out = capsys.readouterr().out
    assert out.count("compiling kernels for this processor (once, about 20 s)") == 1
    assert compiles_in_the_first_step == []


def test_compiling_is_left_out_of_rates_and_estimates(compiles_in_the_first_step, tmp_path):
    start = time.perf_counter()
    assert train(tmp_path, *RUN) == 0
    assert time.perf_counter() - start > SECONDS
    first = json.loads((tmp_path / "times.jsonl").read_text().splitlines()[0])
    assert first["images_per_second"] > 128 / SECONDS  # 4 steps of 32 images


def test_a_full_cache_says_nothing(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0 and train(tmp_path / "again", *RUN) == 0
    assert "compiling" not in capsys.readouterr().out.partition("again")[2]


def test_reference_kernels_compile_nothing(tmp_path):
    from minigrad.device import CPU

    none = compilation.Compilation(CPU, SimpleNamespace(kernels="reference"))
    with none.watched():
        assert none.seconds() == 0.0
