"""AlexNet's towers in two processes (here threads, and by MPI) against the one that computes both."""

import numpy as np
import pytest
from mpi_runs import many, needs_mpi
from numpy.testing import assert_allclose, assert_array_equal
from thread_group import together
from towers import learned, net
from train_runs import ROOT

import architectures
import minigrad as mg
from architectures import towers
from minigrad.distributed import Group
from minigrad.distributed.exchange import gather_channels

pytestmark = pytest.mark.usefixtures("reference_kernels")
FILE = ROOT / "tests" / "distributed" / "towers.py"


def in_thread(group):
    with mg.use_kernels("reference"):
        return learned(group)


def test_two_towers_learn_what_one_process_does():
    """Losses, weights after three steps, and all gradients of the first; dropout drops the same."""
    weights, gradients, losses = learned(Group())
    halves = together(2, in_thread)
    for state, _, own_losses in halves:
        assert own_losses == pytest.approx(losses, rel=1e-12)
        assert state.keys() == weights.keys()
        for name, a in weights.items():
            assert_allclose(state[name], a, rtol=1e-10, atol=1e-12, err_msg=name)
    for name, dy in gradients.items():
        parts = [first[name] for _, first, _ in halves]
        if parts[0].shape == dy.shape:  # the last layer, whole in both
            assert_array_equal(*parts, err_msg=name)
        joined = parts[0] if parts[0].shape == dy.shape else np.concatenate(parts)
        assert_allclose(joined, dy, rtol=1e-10, atol=1e-13, err_msg=name)


def test_each_process_holds_half_of_the_filters():
    sizes = together(2, lambda group: {n: p.shape for n, p in towers.split(net(), group).named_parameters()})
    for name, p in net().named_parameters():
        rows = p.shape[0] if name.startswith("classifier.fc8") else p.shape[0] // 2
        assert {half[name] for half in sizes} == {(rows, *p.shape[1:])}


def test_a_net_that_is_not_split_loads_what_they_learned():
    state, _, _ = together(2, in_thread)[0]
    assert net().double().load_state_dict(state) == ([], [])


@pytest.mark.parametrize("shared", [False, True])
def test_the_gradient_of_an_exchange(shared):
    """Each process multiplies what it got by numbers of its own: their sum comes back, or, if shared, its own."""
    numbers = np.arange(1.0, 9.0).reshape(2, 4)

    def work(group):
        x = mg.tensor(np.full((1, 2), group.rank + 1.0), requires_grad=True)
        y = gather_channels(x, group=group, shared=shared)
        (y * numbers[group.rank]).sum().backward()
        return y.data, x.grad

    for rank, (y, dx) in enumerate(together(2, work)):
        assert_array_equal(y, [[1.0, 1.0, 2.0, 2.0]])
        expected = numbers[rank] if shared else numbers.sum(0)
        assert_array_equal(dx, [expected[2 * rank : 2 * rank + 2]])


def test_what_has_no_two_towers_is_refused():
    lenet = architectures.create("lenet5")
    with pytest.raises(ValueError, match="net must have two towers, as alexnet_paper; got lenet5"):
        towers.split(lenet, Group())
    with pytest.raises(ValueError, match="the towers are for 2 processes, or one; there are 3"):
        together(3, lambda group: towers.split(net(), group))


@pytest.mark.long
@needs_mpi
def test_two_processes_of_mpi(tmp_path):
    """As one process, bit for bit each time; three are refused."""
    for number, name in ((1, "one"), (2, "a"), (2, "b")):
        done = many(number, FILE, tmp_path / f"{name}.npz")
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        for name in one:
            assert_allclose(a[name], one[name], rtol=1e-10, atol=1e-12, err_msg=name)
            assert_array_equal(a[name], b[name], err_msg=name)
    done = many(3, FILE, tmp_path / "three.npz")
    assert done.returncode == 1 and done.stderr.count("the towers are for 2 processes, or one; there are 3") == 1


@pytest.mark.long
def test_the_net_of_the_paper():
    """Its own sizes: the smallest image that it takes, one step."""

    def outputs(group):
        model = towers.split(architectures.create("alexnet_paper", image_size=67, num_classes=5), group).eval()
        with mg.use_kernels("reference"), mg.no_grad():
            return model(mg.tensor(np.random.default_rng(0).standard_normal((1, 67, 67, 3), dtype=np.float32))).data

    expected = outputs(Group())
    for own in together(2, outputs):
        assert_allclose(own, expected, rtol=1e-4, atol=1e-6)
