"""ledger: bytes by hand, predicted against measured, and against Python's own account of memory."""

import gc
import tracemalloc

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import Tensor, nn
from minigrad.explain import ledger
from minigrad.nn import functional as F

FAMILIES = ["vgg_small_bn", "resnet20", "googlenet_small", "densenet_small", "alexnet_small"]


@pytest.mark.parametrize("name", FAMILIES)
def test_predicted_is_measured_in_every_family(name):
    net = architectures.create(name, in_channels=1, image_size=28)
    found = ledger(net, (28, 28, 1), batch_size=3)
    assert found.predicted == found.measured > 10_000
    assert [r.predicted for r in found.rows] == [r.measured for r in found.rows]
    # Shapes know nothing of gradients that are views: a slice keeps the whole alive, an addition hands on what it got.
    assert found.measured_peak == pytest.approx(found.predicted_peak, rel=0.05) and found.measured_peak > found.measured
    summed = nn.summary(net, (28, 28, 1)).activation_bytes
    assert found.measured == pytest.approx(3 * summed, rel=0.02)  # the summary leaves out the loss


def two_layers():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


def test_by_hand():
    found = ledger(two_layers(), (6,), batch_size=3)
    rows = {r.module: r for r in found.rows}
    assert rows["0"].saves == ("x (3, 6)",)  # no gradient of the images is wanted, so w is not kept
    assert rows["1"].saves == ("y (3, 5)",) and set(rows["2"].saves) == {"(x (3, 5))", "w (weight)"}
    sizes = {"0": 3 * 6 * 4, "1": 3 * 5 * 4, "2": 0}
    assert {m: r.measured for m, r in rows.items() if m} == sizes
    loss = found.rows[-1]
    assert loss.op == "cross_entropy" and loss.measured >= 2 * 3 * 4 * 4  # p and q
    assert found.measured == sum(r.measured for r in found.rows)


def test_peak_by_hand():
    """y = tanh(x), z = tanh(y), loss = sum: 2 arrays kept; at the worst, both, dy and dx of the last tanh are alive."""
    x = Tensor(np.ones((50, 10)), requires_grad=True)
    one = x.data.nbytes
    found = ledger(F.tanh(F.tanh(x)).sum())
    assert found.measured == 2 * one and found.predicted is None
    assert found.measured_peak == 2 * one + 8 + one  # sum's gradient is a single number, broadcast
    assert found.timeline[:3] == (one, 2 * one, 2 * one) and found.timeline[-1] == one  # in the end the gradient of x


def test_a_view_keeps_the_whole_buffer_alive():
    x = Tensor(np.ones((100, 10)), requires_grad=True)
    found = ledger(F.tanh(x * 1.0)[:2].exp().sum())
    assert {r.op: r.measured for r in found.rows}["tanh"] == 100 * 10 * 8
    y = (x * 1.0)[:1]
    found = ledger((y * y).sum())
    assert found.measured >= 100 * 10 * 8  # one row is used, all are kept


def test_of_a_loss_with_and_without_the_model():
    net = two_layers()
    loss = F.cross_entropy(net(mg.tensor(np.ones((3, 6), np.float32))), np.array([0, 1, 2]))
    bare, known = ledger(loss), ledger(loss, net)
    assert bare.measured - known.measured == net[2].weight.data.nbytes
    assert known.measured == ledger(net, (6,), batch_size=3).measured
    assert all(p.grad is None for p in net.parameters())
    loss.backward()  # the graph is as it was


def test_agrees_with_pythons_account():
    net = architectures.create("resnet20", in_channels=1, image_size=28)
    images, labels = np.zeros((4, 28, 28, 1), np.float32), np.zeros(4, int)
    with mg.use_kernels("reference"):
        gc.collect()
        tracemalloc.start()
        loss = F.cross_entropy(net(mg.tensor(images)), labels)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        found = ledger(loss, net)
    assert kept == pytest.approx(found.measured, rel=0.1)


def test_checkpointed_pieces_keep_their_input_alone():
    class Checkpointed(nn.Sequential):
        def forward(self, x):
            return mg.checkpoint(super().forward, x)

    net = nn.Sequential(nn.Linear(6, 6), Checkpointed(*[nn.Linear(6, 6), nn.Tanh()] * 3), nn.Linear(6, 4))
    found = ledger(net, (6,), batch_size=3)
    assert found.measured == found.predicted
    assert found.measured <= 3 * (6 + 6 + 6 + 2 * 4) * 4 + 8


def test_the_model_is_left_as_it_was():
    net = architectures.create("vgg_small_bn", in_channels=1, image_size=28).eval()
    before = {n: a.copy() for n, a in net.state_dict().items()}
    ledger(net, (28, 28, 1))
    assert not net.training and all(p.grad is None for p in net.parameters())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_prediction_alone_takes_no_memory():
    net = architectures.create("vgg_small_bn")
    tracemalloc.start()
    found = ledger(net, (32, 32, 3), batch_size=100_000, measure=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.measured is None and found.predicted_peak > found.predicted > 1e10 and peak < 5e7
    assert found.rows[0].measured is None and "measured -" in str(found)


def test_text_and_picture():
    net = architectures.create("resnet20", in_channels=1, image_size=28)
    found = ledger(net, (28, 28, 1))
    lines = str(found).splitlines()
    assert lines[0].split()[:4] == ["op", "module", "predicted", "measured"] and len(lines) == len(found.rows) + 3
    assert lines[-2] == f"kept for backward: predicted {found.predicted:,} bytes, measured {found.measured:,}"
    assert sum(m for _, m in found.by_module().values()) == found.measured
    assert len(found.by_module(10)) <= 10 < len(found.by_module(40))
    bars, line = found.plot().axes
    assert bars.get_xlabel() == line.get_ylabel() == "MB"
    assert max(line.lines[0].get_ydata()) == pytest.approx(max(found.timeline) / 1e6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="ledger: expected a loss, or a model and an input_shape"):
        ledger(two_layers())
    with pytest.raises(ValueError, match="linear: x has last axis"):
        ledger(two_layers(), (7,))
