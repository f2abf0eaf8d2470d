"""The stepper in a real browser: whole passes clicked through, the numbers on the page held against NumPy's."""

import json

import browser
import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import explain, nn
from minigrad.nn import functional as F

pytestmark = [browser.needs(), pytest.mark.long]

NEURON = """\
import minigrad as mg
from minigrad import explain
from minigrad.nn import functional as F
x, w, b = mg.tensor([0.5, -1.5, 2.0]), mg.tensor(1.5, requires_grad=True), mg.tensor(0.25, requires_grad=True)
loss = (F.sigmoid(w * x + b) - 0.5).sum()
s = explain.Stepper(loss)
s.next()
s
"""


def neuron_by_hand():
    """The gradient that reaches each node of NEURON, in NumPy alone, in float32 as there."""
    x, w, b = np.float32([0.5, -1.5, 2.0]), np.float32(1.5), np.float32(0.25)
    y = np.float32(0.5) * (np.tanh(np.float32(0.5) * (w * x + b)) + 1)
    ones = np.ones(3, np.float32)
    dz = ones * y * (1 - y)
    return {
        "sum": np.float32(1),
        "sub": ones,
        "sigmoid": ones,
        "add": dz,
        "b": dz.sum(),
        "mul": dz,
        "w": (dz * x).sum(),
    }


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as running:
        yield running


@pytest.fixture
def page(chromium):
    """A page that must not complain."""
    page, complaints = chromium.new_page(viewport=dict(width=1200, height=800)), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


def numbers(page, name):
    """The numbers of an array in the panel, as they stand there."""
    return page.locator(f'[data-array="{name}"] td').all_inner_texts()


def written(array):
    return [f"{v:.5g}" for v in np.ravel(array).tolist()]


def close(texts, array):
    return len(texts) == np.size(array) and np.allclose([float(t) for t in texts], np.ravel(array), 2e-4, 1e-7)


def walk(page, steps):
    """Click next from the current step to the end; {title: dy on the page} of the steps passed, the current one too."""
    seen = {}
    for i in range(int(page.locator(".mg-counter").inner_text().split()[1]), steps + 1):
        page.get_by_text(f"step {i} of {steps}", exact=True).wait_for()
        seen[page.locator(".mg-panel h3").inner_text()] = numbers(page, "dy")
        if i < steps:
            page.locator(".mg-next").click()
    return seen


def test_the_exported_file_through_a_whole_pass(page, tmp_path):
    scope = {}
    exec(NEURON, scope)
    scope["s"].seek(0)
    scope["s"].to_html(tmp_path / "neuron.html")
    page.context.set_offline(True)
    page.goto(f"file://{tmp_path}/neuron.html")
    page.locator(".mg-next").click()
    expected, seen = neuron_by_hand(), walk(page, 7)
    assert list(seen) == list(expected)
    assert all(close(seen[name], dy) for name, dy in expected.items())
    grads = page.locator("svg .mg-grad").all_text_contents()
    assert f"grad {expected['w']:.5g}" in grads and not any("–" in g for g in grads)
    page.locator(".mg-start").click()
    assert all("–" in g for g in page.locator("svg .mg-grad").all_text_contents())


def test_keys_play_and_a_click_on_a_box(page, tmp_path):
    scope = {}
    exec(NEURON, scope)
    scope["s"].seek(0)
    scope["s"].to_html(tmp_path / "neuron.html")
    page.goto(f"file://{tmp_path}/neuron.html")
    page.locator(".mg-explorer").focus()
    for key, step in ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1):
        page.keyboard.press(key)
        page.get_by_text(f"step {step} of 7", exact=True).wait_for()
    page.keyboard.press(" ")
    page.get_by_text("step 3 of 7", exact=True).wait_for()
    page.keyboard.press(" ")
    page.locator("svg .mg-box", has_text="sigmoid").click()
    y = 0.5 * (np.tanh(0.5 * (1.5 * np.array([0.5, -1.5, 2.0]) + 0.25)) + 1)
    assert close(numbers(page, "value"), y) and close(numbers(page, "gradient"), np.ones(3))


def counter(page):
    return page.locator(".mg-counter").inner_text()


def test_keys_alone_through_a_pass(page, tmp_path):
    """Without a click first; after clicks on a button and a box; Home, End, Enter; and all of it is said aloud."""
    scope = {}
    exec(NEURON, scope)
    scope["s"].seek(0)
    scope["s"].to_html(tmp_path / "neuron.html")
    page.goto(f"file://{tmp_path}/neuron.html")
    page.keyboard.press("ArrowRight")
    assert counter(page) == "step 1 of 7"
    page.locator(".mg-next").click()
    page.keyboard.press("ArrowRight")
    assert counter(page) == "step 3 of 7"
    page.locator("svg .mg-box", has_text="sigmoid").click()
    page.keyboard.press("ArrowRight")
    assert counter(page) == "step 4 of 7" and page.evaluate("document.activeElement.textContent").startswith("sigmoid")
    page.keyboard.press("Enter")
    assert page.locator(".mg-selected").count() == 1 and page.locator(".mg-panel h3").inner_text() == "sigmoid"
    page.keyboard.press("End")
    assert counter(page) == "step 7 of 7"
    assert page.locator(".mg-said").text_content().startswith("step 7 of 7: w, gradient ")
    page.keyboard.press("Home")
    assert counter(page) == "step 0 of 7"
    unlabelled = (
        "[...document.querySelectorAll('button, [role=button], input[type=range]')].filter(e => !e.ariaLabel).length"
    )
    assert page.evaluate(unlabelled) == 0


def test_the_sum_at_a_fork_is_shown_arriving(page, tmp_path):
    """Two uses in one op are two lines; what each use sends stands on its line, and they add up in the box."""
    s = mg.tensor(3.0, requires_grad=True)
    explain.Stepper(s * s + s).to_html(tmp_path / "fork.html")
    page.goto(f"file://{tmp_path}/fork.html")
    grad = page.locator("svg .mg-box", has_text="s").first.locator(".mg-grad")
    said = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        said.append((grad.text_content(), page.locator("svg .mg-sent").all_text_contents()))
    assert page.locator("svg .mg-edge").count() == 4
    assert said[0] == ("grad 1 + …", ["1", "1"]) and said[1] == ("grad 1 + 3 + 3", ["3", "3"])
    assert said[2][0] == "grad 1 + 3 + 3 = 7" and sorted(said[2][1]) == ["1", "3", "3"]
    assert page.locator(".mg-sum").inner_text().endswith("1 + 3 + 3 = 7")


def test_a_link_leads_to_a_step_and_a_node(page, tmp_path):
    scope = {}
    exec(NEURON, scope)
    scope["s"].seek(0)
    scope["s"].to_html(tmp_path / "neuron.html")
    page.goto(f"file://{tmp_path}/neuron.html#step=5&node=w")
    assert counter(page) == "step 5 of 7" and page.locator(".mg-panel h3").inner_text() == "w"
    page.keyboard.press("ArrowRight")
    assert page.url.endswith("#step=6")
    page.locator("svg .mg-box", has_text="sigmoid").click()
    assert page.url.endswith("#step=6&node=sigmoid")
    page.evaluate("location.hash = 'step=2&node=nothing'")
    page.get_by_text("step 2 of 7", exact=True).wait_for()


def test_a_dense_block_is_called_fused_or_written_out(page, tmp_path):
    net = architectures.create("densenet_small")
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    loss = lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))  # noqa: E731
    explain.Stepper(loss).to_html(tmp_path / "fused.html")
    explain.Stepper(loss, readable=True).to_html(tmp_path / "written.html")
    page.goto(f"file://{tmp_path}/fused.html#node=features.denseblock3")
    assert page.locator("svg .mg-selected .mg-fused").count() == 1 and "Fused" in page.locator(".mg-panel").inner_text()
    page.goto(f"file://{tmp_path}/written.html#node=features.denseblock3.denselayer2")
    assert page.locator("svg .mg-fused").count() == 0
    assert page.locator(".mg-panel").inner_text().split()[1].startswith("features.denseblock3.denselayer2")


def test_steps_of_parameters_are_passed_over_unless_wanted(page, tmp_path):
    net = architectures.create("lenet5", in_channels=3)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    s = explain.Stepper(lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4])))
    s.to_html(tmp_path / "net.html")
    page.goto(f"file://{tmp_path}/net.html")
    names, seen = dict(net.named_parameters()), []
    while not seen or counter(page) != f"step {len(s)} of {len(s)}":
        page.keyboard.press("ArrowRight")
        seen.append(page.locator(".mg-panel h3").inner_text())
    assert len(seen) < len(s) - len(names) + 2 and not set(seen[:-1]) & set(names)
    grads = page.locator("svg .mg-grad").all_text_contents()
    assert grads and not any("–" in g for g in grads)


def test_on_a_phone_and_with_the_whole_height_of_a_window(page, tmp_path):
    net = architectures.create("lenet5", in_channels=3)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    s = explain.Stepper(lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4])))
    s.to_html(tmp_path / "net.html")
    page.set_viewport_size(dict(width=390, height=844))
    page.goto(f"file://{tmp_path}/net.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size(dict(width=1280, height=1000))
    assert page.evaluate("document.querySelector('.mg-body').getBoundingClientRect().bottom") > 960
    assert page.evaluate("document.documentElement.scrollHeight") <= 1000


def test_a_name_that_looks_like_html_is_shown(page, tmp_path):
    net = nn.Sequential({"<!--<script>": nn.Linear(2, 3), "b": nn.Linear(3, 1)})
    explain.Stepper(lambda: net(mg.tensor([[1.0, 2.0]])).sum()).to_html(tmp_path / "odd.html")
    page.goto(f"file://{tmp_path}/odd.html")
    assert page.locator("svg .mg-box", has_text="<!--<script>").count() == 1


def test_a_convolutional_net_through_a_whole_pass(page, tmp_path):
    net = architectures.create("lenet5", in_channels=3)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    s = explain.Stepper(lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4])))
    s.to_html(tmp_path / "net.html")
    F.cross_entropy(net(mg.tensor(x)), np.array([1, 4])).backward()
    page.goto(f"file://{tmp_path}/net.html")
    page.locator(".mg-every").check()
    page.locator(".mg-next").click()
    for i in range(1, len(s) + 1):
        page.get_by_text(f"step {i} of {len(s)}", exact=True).wait_for()
        title, named = page.locator(".mg-panel h3").inner_text(), dict(net.named_parameters())
        if title in named and named[title].size <= 64:
            assert numbers(page, "after") == written(named[title].grad)
        elif title in named:
            g = named[title].grad
            assert f"mean {g.mean():.5g}, std {g.std():.5g}" in page.locator('[data-array="after"]').inner_text()
            assert page.locator('[data-array="after"] canvas').count() == 1
        page.locator(".mg-next").click()


def test_modules_unfold_and_no_box_covers_another(page, tmp_path):
    net = architectures.create("densenet_bc_40_12", drop_rate=0.1)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    explain.graph(lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))).to_html(tmp_path / "net.html")
    page.goto(f"file://{tmp_path}/net.html")
    folded = page.locator(".mg-folded")
    before = page.locator(".mg-box").count()
    assert folded.count() and before <= 24
    page.evaluate("for (let e; (e = document.querySelector('.mg-folded')); ) e.dispatchEvent(new MouseEvent('click'))")
    assert folded.count() == 0 and page.locator(".mg-box").count() > 100
    rectangles = "[...document.querySelectorAll('.mg-box rect')].map(e => e.getBoundingClientRect().toJSON())"
    found = page.evaluate(rectangles)
    for i, a in enumerate(found):
        assert not any(
            a["left"] < b["right"] and b["left"] < a["right"] and a["top"] < b["bottom"] and b["top"] < a["bottom"]
            for b in found[:i]
        )
    wide = "[...document.querySelectorAll('.mg-box')].filter(g => [...g.querySelectorAll('text')].some("
    wide += "t => t.getBBox().width > g.querySelector('rect').width.baseVal.value - 10)).length"
    assert page.evaluate(wide) == 0, "a text sticks out of its box"


def run_cell(page, index, awaited):
    """Run a cell of a notebook until what is awaited is there; JupyterLab drops a key pressed while it still starts."""
    for patience in (10_000, 20_000, 60_000):
        page.locator(".jp-Notebook .jp-Cell .cm-content").nth(index).click()
        page.keyboard.press("Shift+Enter")
        try:
            return awaited.first.wait_for(timeout=patience)
        except Exception:
            if patience == 60_000:
                raise


@browser.needs("jupyterlab", "anywidget", "ipykernel")
def test_the_widget_in_jupyterlab_through_a_whole_pass(page, tmp_path):
    """Its buttons move the stepper in Python, and the stepper in Python moves what is shown."""
    check = "print('grads', w.grad)"
    cells = [dict(cell_type="code", id=f"c{i}", execution_count=None, metadata={}, outputs=[], source=text)
             for i, text in enumerate([NEURON, check, "s.seek(6);"])]  # fmt: skip
    notebook = dict(cells=cells, metadata={"kernelspec": dict(name="python3", display_name="Python 3")})
    (tmp_path / "neuron.ipynb").write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}))
    expected = neuron_by_hand()
    with browser.jupyter_lab(tmp_path) as address:
        page.goto(f"{address}/lab/tree/neuron.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        run_cell(page, 0, page.locator(".mg-explorer"))
        seen = walk(page, 7)
        assert all(close(seen[name], dy) for name, dy in expected.items() if name in seen) and len(seen) == 7
        run_cell(page, 1, page.locator(".jp-OutputArea", has_text=f"grads {expected['w']:.4f}"[:-1]))
        run_cell(page, 2, page.get_by_text("step 6 of 7", exact=True))
        page.goto("about:blank")


def test_a_page_steps_in_a_frame_of_a_page_from_the_disk(page, tmp_path):
    """There a frame may not look at the page around it."""
    w = mg.tensor(2.0, requires_grad=True)
    explain.Stepper(w * w + w).to_html(tmp_path / "inner.html")
    (tmp_path / "outer.html").write_text('<!doctype html><iframe src="inner.html" width="900" height="600"></iframe>')
    page.goto(f"file://{tmp_path}/outer.html")
    frame = page.locator("iframe").content_frame
    frame.get_by_role("button", name="next").click()
    frame.locator(".mg-counter", has_text="step 1 of").wait_for()
