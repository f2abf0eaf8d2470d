"""`minigrad.watch`: what its server gives and to whom, and its page in a browser."""

import fcntl
import http.client
import json
import os
import threading

import browser
import pytest
from train_runs import TINY, train

from minigrad.train.config import Config, to_toml
from minigrad.watch.__main__ import main as watch
from minigrad.watch.runs import Runs
from minigrad.watch.server import Server


def made_up(place, accuracies, **settings):
    """What a run leaves, as far as the page shows it."""
    place.mkdir(parents=True)
    (place / "config.toml").write_text(to_toml(Config(arch="lenet5", epochs=3, **settings)))
    records = [{"epoch": i + 1, "test_accuracy": a, "train_loss": 1 - a} for i, a in enumerate(accuracies)]
    (place / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (place / "times.jsonl").write_text("".join(json.dumps({"epoch": i, "seconds": 2.0}) + "\n" for i in range(9)))
    return place


@pytest.fixture
def served(tmp_path):
    """(root of two runs, their server)"""
    made_up(tmp_path / "runs" / "a", (0.5, 0.6), lr=0.1)
    made_up(tmp_path / "runs" / "study" / "b", (0.5, 0.6, 0.7), lr=0.2)
    (tmp_path / "runs" / "a" / "curves.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret.png").write_bytes(b"not for you")
    with Server(tmp_path / "runs") as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield tmp_path / "runs", server
        server.shutdown()


def answer(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        got = connection.getresponse()
        return got.status, got.read(), got.headers
    finally:
        connection.close()


def test_runs_are_told_and_those_that_grow_anew(served):
    root, server = served
    a, b = json.loads(answer(server, "/runs.json")[1])
    assert (a["name"], b["name"], a["state"], b["state"]) == ("a", "study/b", "stopped", "over")
    assert a["settings"]["lr"] == 0.1 and a["pictures"] == ["curves.png"] and len(a["records"]) == len(a["times"]) == 2
    with open(root / "a" / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 3, "test_accuracy": 0.9, "train_loss": NaN}\n{"epoch": 4, "te')
    made_up(root / "0", (0.1,))
    a, b, new = json.loads(answer(server, "/runs.json")[1])
    assert (a["number"], b["number"], new["number"]) == (0, 1, 2), "numbers stay"
    assert a["state"] == "over" and a["records"][2] == {"epoch": 3, "test_accuracy": 0.9, "train_loss": None}


def test_a_run_that_is_written_to_is_running(served):
    root, _ = served
    holder = os.open(root / "a", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        assert Runs(root).told()[0]["state"] == "running"
    finally:
        os.close(holder)
    assert Runs(root).told()[0]["state"] == "stopped"


def test_only_what_the_page_shows_is_given(served):
    _, server = served
    assert answer(server, "/runs/0/curves.png")[:2] == (200, b"\x89PNG")
    for path in (
        "/runs/0/confusion.png", "/runs/0/config.toml", "/runs/0/../../secret.png", "/runs/0/%2e%2e/secret.png",
        "/secret.png",
        "/runs/7/curves.png", "/runs/-1/curves.png", "//etc/passwd", "/runs/0/", "/runs", "/runs/0/last.safetensors",
    ):  # fmt: skip
        assert answer(server, path)[0] == 404, path
    assert answer(server, "/", "POST")[0] == 501
    assert json.loads(answer(server, "/runs/0/flow.json")[1]) == {"error": "no checkpoint was written yet"}


def test_only_this_machine_under_its_own_name_is_answered(served):
    """A page elsewhere whose name leads here (DNS rebinding) learns nothing; nothing is loaded from elsewhere."""
    _, server = served
    assert server.server_address[0] == "127.0.0.1"
    assert answer(server, "/runs.json", Host="evil.example")[0] == 403
    assert answer(server, "/runs.json", Host=f"localhost:{server.server_port}")[0] == 200
    status, body, headers = answer(server, "/")
    assert status == 200 and b"http" not in body.replace(b"http://www.w3.org", b"").replace(b"http-equiv", b"")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Access-Control-Allow-Origin" not in headers


def test_broken_runs_are_passed_over(tmp_path):
    made_up(tmp_path / "a", (0.5,))
    (tmp_path / "a" / "config.toml").write_text("epochs = [")
    made_up(tmp_path / "b", (0.5,))
    assert [run["name"] for run in Runs(tmp_path).told()] == ["b"]


@pytest.mark.parametrize(
    "line, said", [([], "required"), (["nowhere"], "DIR must be a directory of runs; got 'nowhere'"),
                   ([".", "--port", "70000"], "--port must be from 0 to 65535; got 70000")],
)  # fmt: skip
def test_wrong_lines(line, said, capsys):
    assert watch(line) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_port_that_is_taken(served, capsys):
    root, server = served
    assert watch([str(root), "--port", str(server.server_port)]) == 2
    assert f"--port {server.server_port}: Address already in use" in capsys.readouterr().err


@pytest.mark.long
@browser.needs()
def test_the_page(served):
    """Curves of all runs; one is taken out; a chosen one shows its gradients and pictures; what is new appears."""
    root, server = served
    assert train(root / "real", *TINY, "-a", "lenet5") == 0
    with browser.chromium() as chromium:
        page, complaints = chromium.new_page(viewport=dict(width=390, height=844)), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_text("study/b").wait_for()
        assert page.locator("tbody tr").count() == 3 and page.locator("svg").first.locator("polyline").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("compare study/b").uncheck()
        assert page.locator("svg").first.locator("polyline").count() == 2
        assert "study/b" not in page.locator("svg").first.get_attribute("aria-label")
        page.get_by_role("button", name="real").click()
        page.locator(".watch-bar").first.wait_for()
        assert page.locator(".watch-bar").count() == 5 and page.locator("img").count() == 2
        assert page.locator("img").first.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100
        made_up(root / "later", (0.2, 0.3), lr=0.3)
        page.get_by_text("later").wait_for(timeout=20_000)
        assert complaints == []
