"""The stepper takes the same steps as backward(), forwards and back, and says what each one does."""

import inspect
import re

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import explain, nn, ops
from minigrad.explain.source import formula
from minigrad.nn import functional as F

ROWS = np.random.default_rng(0)


def neuron():
    """loss = (relu(w x + b) - t)^2 with dL/dw = -5, dL/db = -2.5."""
    w, b = mg.tensor(-0.5, requires_grad=True), mg.tensor(1.75, requires_grad=True)
    return w, b, (F.relu(w * 2.0 + b) - 2.0) ** 2


def small_net():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))
    x = ROWS.standard_normal((2, 8, 8, 3)).astype(np.float32)
    return net, lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))


def test_a_neuron_step_by_step():
    w, b, loss = neuron()
    s = explain.Stepper(loss)
    assert [s.next().name for _ in range(7)] == ["power", "sub", "relu", "add", "b", "mul", "w"]
    assert (w.grad, b.grad) == (-5.0, -2.5) and s.done
    with pytest.raises(IndexError, match="over after 7 steps"):
        s.next()


def test_a_place_that_there_is_not_is_refused():
    *_leaves, loss = neuron()
    s = explain.Stepper(loss)
    s.seek(7)
    for position in (8, -1):
        with pytest.raises(IndexError, match=f"from 0 to 7, the number of steps; got {position}"):
            s.seek(position)
    assert s.position == 7


def test_one_of_several_outputs_has_to_be_chosen():
    w = mg.tensor(2.0, requires_grad=True)
    for loss in ((w * w, w + 1), lambda: [w * w, w + 1]):
        with pytest.raises(TypeError, match="one tensor; got 2 outputs: give one of them, or their sum"):
            explain.Stepper(loss)


def test_a_step_shows_all_that_it_uses():
    w, b, loss = neuron()
    s = explain.Stepper(loss)
    step = s.until("mul")
    assert step.formula == "y = a b,   da = dy b,   db = dy a" and step.value == -1.0
    assert dict(step.saved) == {"a": -0.5, "b": 2.0} and step.dy == -2.5
    assert step.sends == [("a", "w", -5.0)] and (w.grad, b.grad) == (None, -2.5)
    assert "da = unbroadcast(dy * b, a.shape)" in step.source and step.where.startswith("ops/arithmetic.py:")
    text = str(s)
    assert "step 6 of 7: mul" in text and "sends     da = -5 to w" in text and step.source.splitlines()[0] in text
    assert "w.grad    none -> -5" in str(s.next())


def test_values_of_a_neuron_are_known_without_recording():
    *_leaves, loss = neuron()  # alive
    values = {n.name: v for n, v in explain.Stepper(loss).trace.value.items() if n.parents}
    assert values == {"mul": -1.0, "add": 0.75, "relu": 0.75, "sub": -1.25, "power": 1.5625}


def test_back_takes_out_what_a_step_put_in():
    w, b, loss = neuron()
    w.grad = kept = np.array(10.0, np.float32)
    s = explain.Stepper(loss)
    s.run()
    assert kept == 5.0 and b.grad == -2.5
    s.back()
    assert w.grad is kept and kept == 10.0 and b.grad == -2.5
    s.seek(0)
    assert b.grad is None and s.step is None
    with pytest.raises(IndexError, match="no step"):
        s.back()
    s.run()
    assert w.grad is kept and kept == 5.0 and b.grad == -2.5


def test_each_use_of_a_value_sends_its_own_gradient():
    s = mg.tensor(3.0, requires_grad=True)
    last = explain.Stepper(s * s + s).run()
    assert [(a.op, a.input, float(a.array)) for a in last.arrivals] == [
        ("add", "b", 1),
        ("mul", "a", 3),
        ("mul", "b", 3),
    ]
    assert "arrives   1 from add (db) + 3 from mul (da) + 3 from mul (db)" in str(last) and last.dy == 7


def test_saved_arrays_are_called_what_the_reader_calls_them():
    w, net = mg.tensor(2.0, requires_grad=True), architectures.create("densenet_small")
    assert "saved     a (= w) = 2" in str(explain.Stepper(w * 3.0).next())
    x = mg.tensor(ROWS.standard_normal((2, 32, 32, 3)).astype(np.float32))
    step = explain.Stepper(F.cross_entropy(net(x), np.array([1, 4])), net).until("dense_block")
    assert step.known_as["layers[0][1].w"] == "features.denseblock3.denselayer1.conv2.weight"
    assert len(dict(step.saved)) == len(step.saved) and step.fused and "dense_block, fused (readable=True" in str(step)


def test_readable_writes_out_what_is_fused():
    net = architectures.create("densenet_small").double()
    x = ROWS.standard_normal((2, 32, 32, 3))
    loss = lambda: F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))  # noqa: E731
    fused, written = explain.Stepper(loss), explain.Stepper(loss, readable=True)
    with pytest.raises(ValueError, match=r"\(dense_block: fused, readable=True writes them out\)"):
        fused.until("concat")
    assert written.until("features.denseblock3.denselayer4").name == "conv2d" and not written.trace.fused
    assert {"batch_norm", "relu", "concat"} <= {n.name for n in written.trace.order}
    written.seek(0)
    grads = []
    for s in (fused, written):
        s.run()
        grads.append({n: p.grad.copy() for n, p in net.named_parameters()})
        s.seek(0)
    for name, grad in grads[0].items():
        np.testing.assert_allclose(grad, grads[1][name], rtol=1e-8, atol=1e-9 * np.abs(grad).max(), err_msg=name)
    with pytest.raises(ValueError, match=r"readable=True runs the forward pass .* must be a function"):
        explain.Stepper(loss(), readable=True)


def test_back_also_empties_a_gradient_kept_in_the_middle():
    w = mg.tensor(3.0, requires_grad=True)
    y = w * w
    y.retain_grad()
    s = explain.Stepper(y * 2.0)
    s.run()
    assert y.grad == 2.0 and w.grad == 12.0
    s.seek(1)
    assert y.grad is None and w.grad is None
    s.next()
    assert y.grad == 2.0


@pytest.mark.parametrize("name", ["densenet_bc_40_12", "resnet20"])
def test_gradients_equal_those_of_backward_bit_for_bit(name):
    net = architectures.create(name)
    x = ROWS.standard_normal((2, 32, 32, 3)).astype(np.float32)
    loss = F.cross_entropy(net(mg.tensor(x)), np.array([1, 4]))
    s = explain.Stepper(loss)
    s.run()
    stepped = [p.grad.copy() for p in net.parameters()]
    net.zero_grad()
    loss.backward()
    assert all(np.array_equal(a, p.grad) for a, p in zip(stepped, net.parameters()))
    s.seek(0)
    s.run()  # once more, from memory
    assert all(np.array_equal(a, p.grad) for a, p in zip(stepped, net.parameters()))


def test_parameters_and_modules_are_named_of_themselves():
    net, compute = small_net()
    s = explain.Stepper(compute())
    seen = [(step.name, step.module) for step in s]
    assert ("conv2d", "0") in seen and ("linear", "4") in seen and ("0.weight", "0") in seen
    assert {n for n, _ in seen} >= {n for n, _ in net.named_parameters()}


def test_a_function_is_run_and_all_its_values_kept():
    _, compute = small_net()
    s = explain.Stepper(compute)
    assert set(s.trace.value) >= {n for n in s.trace.order if n.parents}
    assert {step.module for step in s if step.name == "reshape"} == {"3"}


def test_until_stops_at_ops_modules_and_leaves():
    net, compute = small_net()
    s = explain.Stepper(compute(), net)
    assert s.until("4").name == "linear" and s.until("0.weight").name == "0.weight"
    s.seek(0)
    assert s.until("conv2d").module == "0"
    with pytest.raises(ValueError, match="no step 'linear' lies ahead; there are"):
        s.until("linear")


def test_dense_layers_are_found_by_their_prefix():
    net = architectures.create("densenet_bc_40_12")
    loss = F.cross_entropy(net(mg.tensor(ROWS.standard_normal((2, 32, 32, 3)).astype(np.float32))), np.array([1, 4]))
    assert explain.Stepper(loss).until("features.transition1").module.startswith("features.transition1")


def test_what_is_no_loss_is_refused():
    with pytest.raises(TypeError, match="loss must be a tensor"):
        explain.Stepper(3.0)
    with pytest.raises(TypeError, match="requires a gradient"):
        explain.Stepper(mg.tensor([1.0]))
    with pytest.raises(ValueError, match=r"not a single number but has shape \(2,\); give one, as loss.sum"):
        explain.Stepper(mg.tensor([1.0, 2.0], requires_grad=True) * 2.0)


@pytest.mark.parametrize("look", [explain.Stepper, explain.graph])
def test_a_used_graph_is_refused_and_a_kept_one_is_not(look):
    *_leaves, loss = neuron()
    loss.backward(retain_graph=True)
    look(loss)
    loss.backward()
    with pytest.raises(RuntimeError, match=r"used up this graph .*run the forward pass again"):
        look(loss)


def test_a_graph_used_up_in_part_is_refused():
    w = mg.tensor(3.0, requires_grad=True)
    y = w * w
    first, second = y * 2.0, y * 3.0
    first.backward()
    with pytest.raises(RuntimeError, match=r"used up this graph \(at mul\)"):
        explain.Stepper(second)


def test_asking_whether_it_is_done_changes_nothing():
    w, _b, loss = neuron()
    s = explain.Stepper(loss)
    assert [s.done for _ in range(3)] == [False] * 3 and s.position == 0 and w.grad is None
    s.seek(6)
    assert not s.done and w.grad is None and s.step.name == "mul"
    s.next()
    assert s.done and w.grad == -5.0


WRITTEN = [(n, f) for n, f in inspect.getmembers(ops, inspect.isfunction) if hasattr(f, "__wrapped__")]


@pytest.mark.parametrize("name, op", WRITTEN)
def test_every_op_has_a_formula_of_both_passes_to_show(name, op):
    text = formula(op)
    assert re.search(r"^(y|loss|x)(_[a-z])?\b.* = ", text, re.M) and re.search(
        r"\bd[a-z]+(_[a-z]|\[.*?\])?\s* (=|is|as)", text
    ), text


def test_a_name_that_looks_like_html_stays_inside_the_pages_script():
    """`<!--<script>` in it would make the browser read the rest of the page as a comment."""
    net = nn.Sequential({"<!--<script>": nn.Linear(2, 1), "</script>": nn.Linear(1, 1)})
    text = explain.Stepper(lambda: net(mg.tensor([[1.0, 2.0]])).sum()).to_html()
    assert text.lower().count("<script") == 1 == text.count("</script>") and "<!--" not in text.partition("<script")[2]
