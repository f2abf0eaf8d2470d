"""The picture of a computation, as SVG and as a page: right numbers, no overlap, nothing loaded from outside."""

import base64
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import explain
from minigrad.explain import arrays, diagram, layered
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


def loss_of(name, size=32, **settings):
    net = architectures.create(name, **settings)
    x = RNG.standard_normal((2, size, size, 3)).astype(np.float32)
    return net, lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))


def texts(svg):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]


def boxes_of(svg):
    """(left, top, right, bottom) of every box of a picture."""
    found = re.findall(r'<rect class="box.*?" x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', svg)
    return [(x, y, x + w, y + h) for x, y, w, h in (map(float, f) for f in found)]


def test_a_neuron_has_its_numbers_in_the_picture():
    w, b = mg.tensor(-0.5, requires_grad=True), mg.tensor(1.75, requires_grad=True)
    loss = (F.relu(w * 2.0 + b) - 2.0) ** 2
    drawn = explain.graph(loss)
    assert {"w", "b", "loss = power", "value -0.5", "grad -5", "value 1.5625", "grad 1"} <= set(texts(drawn.svg))
    assert w.grad is None and b.grad is None


def test_the_files_hold_all_they_need(tmp_path):
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    drawn = explain.graph((w * w).sum())
    drawn.save(tmp_path / "graph.svg")
    page = drawn.to_html(tmp_path / "graph.html")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == drawn.svg
    assert (tmp_path / "graph.html").read_text(encoding="utf-8") == page
    for text in (drawn.svg, page):
        addresses = set(re.findall(r"https?://[\w./]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, "names of formats, but nothing to load"
        assert not re.search(r"<link|@import|\bsrc=", text)


@pytest.mark.parametrize(
    "name", ["resnet20", "googlenet_small", pytest.param("densenet_bc_40_12", marks=pytest.mark.long)]
)
def test_no_box_touches_another_and_all_are_inside(name):
    svg = explain.graph(loss_of(name)[1]).svg
    boxes, width, height = boxes_of(svg), *map(float, re.search(r'width="(\d+)" height="(\d+)"', svg).groups())
    assert len(boxes) > 5
    for i, (l, t, r, b) in enumerate(boxes):
        assert l >= 0 and t >= 0 and r <= width and b <= height
        assert all(r < l2 or r2 < l or b < t2 or b2 < t for l2, t2, r2, b2 in boxes[:i])


def test_layers_are_told_with_their_parameters_shapes_and_statistics():
    net, compute = loss_of("lenet5", in_channels=3)
    drawn = explain.graph(compute)
    shown, gradients = texts(drawn.svg), {n.name: dy for n, dy in drawn.grads.items()}
    weight = dict(net.named_parameters())["c1.weight"]
    assert f"weight {' × '.join(map(str, weight.shape))}" in shown and "2 × 28 × 28 × 6" in shown
    rms = np.sqrt(np.mean(np.square(drawn.grads[weight.node], dtype=np.float64)))
    assert f"grad rms {rms:.5g}" in shown and gradients
    assert f"{sum(p.size for p in net.parameters()):,} parameters" in repr(drawn)


def test_modules_fold_until_few_boxes_are_in_sight():
    _, compute = loss_of("densenet_bc_40_12", drop_rate=0.1)
    drawn = explain.graph(compute)
    shown = diagram.folded(drawn.boxes, drawn.groups)
    assert len(drawn.boxes) > 100 and len(shown) <= diagram.MANY
    assert sum(b.get("folded", 1) for b in shown) == len(drawn.boxes)
    block = next(b for b in shown if b["id"] == "features.denseblock1")
    assert f"{block['numbers']:,} parameters" in texts(drawn.svg)


def test_modules_are_guessed_right_without_a_function():
    """From the names of parameters alone, against what was seen while it ran."""
    _, compute = loss_of("densenet_bc_40_12", drop_rate=0.1)
    seen, guessed = (explain.Stepper(loss).trace for loss in (compute, compute()))
    known = [(seen.path[a], guessed.path[b]) for a, b in zip(seen.order, guessed.order) if a.parents]
    blocks = [tuple(p.split(".")[:2]) for pair in known for p in pair]
    wrong = sum(a != b for a, b in zip(blocks[::2], blocks[1::2]))
    assert len(known) > 100 and wrong <= 0.1 * len(known)


def test_edges_of_a_layout_avoid_layers_they_pass():
    sizes = dict.fromkeys("dcba", (60, 30))  # a -> b -> c -> d, and a -> d past the others
    at, lines, _ = layered.layered(sizes, {"d": ["c", "a"], "c": ["b"], "b": ["a"], "a": []})
    assert [at[i][1] for i in "abcd"] == sorted(at[i][1] for i in "abcd")
    assert len(lines["a", "d"]) == 4
    for (x, _), box in zip(lines["a", "d"][1:-1], "bc"):
        assert abs(x - at[box][0]) > 30


def test_arrays_are_numbers_or_a_heat_map():
    few = arrays.described(np.array([[1.0, 2.5], [-3.0, 0.0]]))
    assert few["rows"] == [["1", "2.5"], ["-3", "0"]] and few["line"] == "-3 to 2.5, mean 0.125, std 2.0117"
    many = np.zeros((2, 32, 32, 20), np.float32)
    many[0, 0, 0, 0], many[1] = -2.0, 1.0
    shown = arrays.described(many)
    data = base64.b64decode(shown["heat"]["data"])
    assert len(data) == shown["heat"]["width"] * shown["heat"]["height"] and data[0] == 1 and set(data[1:]) == {128}
    assert shown["heat"]["top"] == "2" and "16 of 20 channels" in shown["caption"]
    assert arrays.described(np.zeros((0, 3)))["line"] == "empty"
    json.dumps(shown)


def test_a_file_holds_what_its_name_says(tmp_path):
    w = mg.tensor(3.0, requires_grad=True)
    graph = explain.graph(w * 2.0)
    graph.save(tmp_path / "x.svg")
    begins = {"x.svg": b"<svg", "x.html": b"<!doctype", "x.png": b"\x89PNG", "x.pdf": b"%PDF"}
    for name, start in begins.items():
        graph.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    for name in ("x.jpg", "x"):
        with pytest.raises(ValueError, match=r"graph.save: path must end in .svg, .png, .pdf or .html; got '.*" + name):
            graph.save(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(begins)


def test_a_value_that_is_used_twice_has_two_lines():
    s = mg.tensor(3.0, requires_grad=True)
    graph = explain.graph(s * s + s)
    lines = [tuple(line) for line in graph._drawing().lines]
    assert len(lines) == len(set(lines)) == graph.svg.count('class="edge"') == 4
    assert [b["inputs"] for b in graph.boxes] == [["1", "2"], ["2", "2"], []]


def test_layers_of_a_sequential_are_called_by_their_class_too():
    net = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Tanh(), mg.nn.Linear(3, 1))
    graph = explain.graph(lambda: net(mg.tensor([[1.0, 2.0]])).sum())
    assert {"0: Linear", "1: Tanh", "2: Linear"} <= set(texts(graph.svg))


def test_what_a_notebook_keeps_of_a_graph():
    """A page in a frame, whose style hides the picture beside it; where both are dropped, the picture remains."""
    s = mg.tensor(3.0, requires_grad=True)
    kept = explain.graph(s * s)._repr_mimebundle_()
    assert base64.b64decode(kept["image/png"])[:4] == b"\x89PNG" and kept["text/plain"].startswith("<Graph of 2 nodes")
    untrusted = re.sub(r"<(style|iframe).*?</\1>", "", kept["text/html"], flags=re.S)
    assert kept["image/png"] in untrusted and "<script" not in untrusted and "srcdoc" in kept["text/html"]
