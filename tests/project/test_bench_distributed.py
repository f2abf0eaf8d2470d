"""Processes that are measured together; the picture of a step; what more processes would give."""

import math
from itertools import pairwise

import pytest
from mpi_runs import needs_mpi

LENET = {"net": "lenet5", "image": 28, "channels": 1, "classes": 10, "batch": 8, "threads": 1}


def test_a_process_that_cannot_begin_is_one_line(module):
    with pytest.raises(module("measure").PeerError, match="no_such_peer: ModuleNotFoundError"):
        module("ranks").Ranks("no_such_peer", 1, 1)


def test_a_process_that_cannot_build_ends(module):
    with module("ranks").Ranks("minigrad_ranks", 1, 1) as ranks:
        with pytest.raises(module("measure").PeerError, match=r"minigrad_ranks: TypeError: .*'wheels'"):
            ranks.measure({"wheels": 4}, 0)
    assert [process.poll() for process in ranks.processes] == [1]


@pytest.mark.long
@needs_mpi
def test_two_processes_are_measured_and_say_what_happened_when(module):
    with module("ranks").Ranks("minigrad_ranks", 2, 1) as ranks:
        answer = ranks.measure(LENET, 0)
        silent = ranks.measure({**LENET, "silent": True}, 0)
    assert 0 < answer["median_s"] < 60 and answer["cpu_s"] > 0
    for events in answer["events"] + silent["events"]:
        names, times = [e[0] for e in events if e[0] != "bytes"], [e[2] for e in events if e[0] != "bytes"]
        assert names[:2] == ["start", "begin"] and names[-2:] == ["end", "done"] and times == sorted(times)
        assert [b for e, b, _ in events if e == "sent"] == [b for e, b, _ in events if e == "bytes"] == [0]
    assert [process.poll() for process in ranks.processes] == [0]


EVENTS = [
    *(("start", None, 1.0), ("begin", None, 2.0), ("complete", 0, 3.0), ("sent", 0, 3.5), ("arrived", 0, 5.0)),
    *(("complete", 1, 6.0), ("sent", 1, 6.25), ("passed", None, 7.0), ("arrived", 1, 8.0), ("end", None, 8.5)),
    *(("done", None, 9.0), ("bytes", 0, 100), ("bytes", 1, 40)),
]


def test_the_picture_of_a_step_has_no_gaps(module, tmp_path):
    timeline = module("timeline")
    spans = list(timeline.spans(EVENTS[:11]))
    computing = [(start, end) for what, start, end, _ in spans if what != "messages"]
    assert computing[0][0] == 1.0 and computing[-1][1] == 9.0
    assert all(a[1] == b[0] for a, b in pairwise(computing))
    total = {name: sum(end - start for what, start, end, _ in spans if what == name) for name in timeline.COLOURS}
    shares = {"forward": 1.0, "backward": 4.25, "copying gradients": 0.75, "waiting": 1.0, "means, update": 1.0}
    assert total == {**shares, "messages": 3.25}
    timeline.draw([EVENTS[:11]] * 2, "two", tmp_path / "two.svg")
    assert (tmp_path / "two.svg").read_text().count("rank ") == 2


def test_messages_at_once_have_rows_of_their_own(module):
    free = []
    assert [module("timeline").row_for(free, *span) for span in [(0, 4), (1, 2), (3, 5), (4, 6)]] == [0, 1, 1, 0]


# The simulator, against what can be computed by hand


@pytest.fixture
def simulator(module):
    return module("simulator")


@pytest.mark.parametrize("kind", ["ring", "tree", "best"])
def test_an_all_reduce_that_costs_nothing(simulator, kind):
    all_reduce, link = getattr(simulator, kind), simulator.Link(1e-5, 1e9)
    assert all_reduce(1e6, 1, link) == 0
    assert all_reduce(1e6, 64, simulator.Link(0.0, math.inf)) == 0


def test_the_time_of_an_all_reduce(simulator):
    link = simulator.Link(latency=3.0, bandwidth=10.0)
    assert simulator.ring(100, 2, link) == 2 * 3 + 100 / 10
    assert simulator.ring(100, 4, link) == 6 * 3 + 1.5 * 100 / 10
    assert simulator.tree(100, 8, link) == 6 * 3 + 2 * 100 / 10 == simulator.best(100, 8, link)
    assert simulator.tree(100, 5, link) == simulator.tree(100, 8, link)  # of as many levels
    assert simulator.best(100, 2, link) == simulator.ring(100, 2, link)


def test_a_step_without_messages_and_on_free_links(simulator):
    step, slow = simulator.Step(1.0, 4.0, 0.5, (1.5, 4.0), (30.0, 60.0)), simulator.Link(1.0, 1.0)
    for alone in (True, False):
        assert simulator.step_seconds(step, 1, slow, alone=alone) == step.seconds == 5.5
        assert simulator.step_seconds(step, 8, simulator.Link(0.0, math.inf), alone=alone) == 5.5


def test_messages_beside_the_pass_and_after_it(simulator):
    def seconds(bandwidth, **settings):  # two processes, no latency: a message takes bytes / bandwidth
        step = simulator.Step(1.0, 4.0, 0.5, (1.0, 3.0), (30.0, 60.0))
        return simulator.step_seconds(step, 2, simulator.Link(0.0, bandwidth), **settings)

    assert seconds(120) == 5.5  # 0.25 s from 1.0 and 0.5 s from 3.0: over before the pass is
    assert seconds(30) == 1 + (3 + 2) + 0.5  # the second one begins at 3.0
    assert seconds(10) == 1 + (1 + 3 + 6) + 0.5  # the second one waits for the first
    assert seconds(30, alone=False) == 5.5 + 3
    last = simulator.Step(1.0, 4.0, 0.5, (4.0,), (90.0,))  # one bucket: nothing beside the pass
    assert simulator.step_seconds(last, 2, simulator.Link(0.25, 30.0)) == 5.5 + 0.5 + 3


def test_a_step_is_read_from_events(simulator):
    step = simulator.step_of(EVENTS)
    assert step == (1.0, 5.0, 2.0, (1.5, 4.25), (100, 40)) and step.seconds == 8.0
    assert step.faster(2) == (0.5, 2.5, 1.0, (0.75, 2.125), (100, 40))


@pytest.mark.parametrize("n", [2, 4])
def test_a_link_is_found_from_two_messages(simulator, n):
    link = simulator.Link(2e-5, 3e9)
    found = simulator.link_of(*((size, simulator.ring(size, n, link)) for size in (1e4, 1e7)), n)
    assert found == pytest.approx((2e-5, 3e9, math.inf))


def test_the_table_of_predictions(module, simulator):
    ranks, step = module("predict_ranks"), simulator.Step(1.0, 4.0, 0.5, (4.0,), (1.25e9,))
    rows = {(speed, name): parts for _, speed, name, parts in ranks.predictions("net", step)}
    assert rows[1, "10 Gb Ethernet"][8] == pytest.approx(5.5 / (5.5 + 2 * 7 / 8 + 14 * 20e-6))
    assert 512 not in rows[1, "NVLink 4"] and rows[1, "NVLink 4"][8] > rows[100, "NVLink 4"][8] > 0.5
    check = {
        "net": "a",
        "n": 2,
        "silent_ms": 90.0,
        "foretold_ms": 110.0,
        "measured_ms": 100.0,
        "error": 0.1,
        "disturbed": 0,
    }
    text = ranks.markdown([check], {"a": step})
    assert "| `a` | 2 | 90.0 | 110.0 | 100.0 | +10 % |" in text and "| `a` | 55 | NVLink 4 |" in text
