"""--profile: each part of a step gets its own time, module in module; the page shows it."""

import json
import re
from itertools import count

import browser
import numpy as np
import pytest
from train_runs import TINY, train

import minigrad as mg
from minigrad import nn
from minigrad.explain.watch import watching
from minigrad.nn import functional as F
from minigrad.train import profiling
from minigrad.train.profile_page import tree

RUN = ("-a", "lenet5", *TINY, "--profile")


def clock(step=1.0):
    """A clock that goes on by a second whenever it is read."""
    ticks = count(step=step)
    return lambda: next(ticks)


def test_the_time_of_each_op_goes_to_its_module():
    net = nn.Sequential({"body": nn.Sequential({"fc": nn.Linear(3, 2), "tanh": nn.Tanh()}), "end": nn.Linear(2, 2)})
    found = profiling.Profile(net, lambda: None, clock())
    with watching(found.look):
        loss = F.cross_entropy(net(mg.tensor(np.ones((4, 3), np.float32))), np.array([0, 1, 0, 1]))
    found.backward(loss)
    found.mark("optimizer")
    calls = {key: n for key, (_, n) in found.spent.items()}
    assert calls["forward", "body.fc", "linear"] == calls["backward", "body.fc", "linear"] == 1
    assert calls["backward", "end", "leaf"] == 2 and calls["backward", "body.tanh", "tanh"] == 1
    assert calls["forward", "", "cross_entropy"] == 1
    assert all(seconds == n for seconds, n in found.spent.values())  # each mark reads the clock twice, a second apart
    assert found.seconds() == sum(calls.values()) and found.seconds(part="optimizer") == 1
    assert found.seconds(op="linear") == 4 and found.seconds(part="backward", module="end") == 3


def test_gradients_are_those_of_an_unwatched_pass():
    """Sums of gradients are still made in place where they may be."""
    grads = []
    for watched in (False, True):
        w = mg.tensor(np.array([1.0, -2.0]), requires_grad=True)
        loss = ((w * w + w) * w).sum()
        net = nn.Linear(1, 1)
        profiling.Profile(net, lambda: None).backward(loss) if watched else loss.backward()
        grads.append(w.grad)
    np.testing.assert_array_equal(*grads)


def test_a_tree_of_modules():
    root = tree({("forward", "a.b", "relu"): [1.0, 2], ("forward", "a", "add"): [3.0, 1], ("data", "", ""): [4.0, 1]})
    forward, data = root["children"]
    (a,) = forward["children"]
    assert (root["seconds"], forward["seconds"], a["seconds"], data["seconds"], data["calls"]) == (
        8.0,
        4.0,
        4.0,
        4.0,
        1,
    )
    assert [c["name"] for c in a["children"]] == ["b", "add()"] and a["children"][0]["children"][0]["calls"] == 2


def test_the_command_prints_tables_and_writes_a_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(profiling, "STEPS", 3)
    assert train(tmp_path, *RUN) == 0
    out = capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["profile.html"]
    shares = [float(line.split()[-1].rstrip("%")) for line in out.splitlines() if line.split()[:1] and
              line.split()[0] in profiling.PARTS and line.endswith("%")]  # fmt: skip
    assert len(shares) == 4 and sum(shares) == pytest.approx(100, abs=0.3)
    assert re.search(r"^conv2d\w* +\d", out, re.M) and re.search(r"^c1 +\d", out, re.M)
    page = (tmp_path / "profile.html").read_text()
    data = json.loads(re.search(r"new Flame\((.*), document", page)[1])
    assert [c["name"] for c in data["root"]["children"]] == list(profiling.PARTS)
    assert not re.search(r"https?://(?!www.w3.org)", page)


@pytest.mark.parametrize(
    "more, said",
    [
        (["--plan"], "--plan has no effect with --profile"),
        (["--find-lr"], "--find-lr has no effect with --profile"),
        (["--detect-anomaly"], "--detect-anomaly has no effect with --profile, which runs op by op"),
    ],
)
def test_what_makes_no_sense_with_it(tmp_path, capsys, more, said):
    assert train(tmp_path / "run", *RUN, *more) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "run").exists()


UNFILLED = """() => [...document.querySelectorAll(".flame-part")].filter(part => {
  const inner = [...part.querySelector(".flame-row").children].map(c => c.getBoundingClientRect().width);
  return inner.length && Math.abs(inner.reduce((a, b) => a + b, 0) - part.getBoundingClientRect().width) > 2;
}).map(part => part.textContent)"""


@pytest.mark.long
@browser.needs()
def test_the_flame_graph_in_a_browser(tmp_path):
    assert train(tmp_path, *RUN) == 0
    with browser.chromium() as chromium:
        page, complaints = chromium.new_page(viewport=dict(width=900, height=700)), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"file://{tmp_path / 'profile.html'}")
        whole = page.locator(".flame-box.flame-step").bounding_box()["width"]
        parts = [page.locator(f".flame-box.flame-{part}").first for part in ("forward", "backward")]
        assert all(0 < part.bounding_box()["width"] < whole for part in parts)
        assert page.evaluate(UNFILLED) == [], "what lies under a box is as wide as the box"
        parts[0].focus()
        page.keyboard.press("Enter")
        assert page.locator(".flame-chart > .flame-part > .flame-forward").bounding_box()["width"] == whole
        assert page.locator(".flame-said").inner_text().startswith("step / forward: ")
        page.locator(".flame-chart button").first.focus()
        page.keyboard.press("Escape")
        assert page.locator(".flame-box.flame-step").count() == 1 and complaints == []
        assert page.locator(".flame-table tbody tr").count() > 20
