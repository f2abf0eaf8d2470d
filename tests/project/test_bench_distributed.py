"""Processes that are measured together; the picture of a step; what more processes would give."""

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
