"""Gradients, batch norm and shares of batches of several processes (here threads) against one process with all."""

import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from thread_group import together

import architectures
import minigrad as mg
from minigrad import distributed, nn
from minigrad.data import ArrayDataset, DataLoader
from minigrad.data.transforms import Mixup
from minigrad.distributed import GradientReducer, Group, SyncBatchNorm
from minigrad.distributed.launcher import processes
from minigrad.distributed.norm import sync_batch_norm
from minigrad.distributed.watchdog import Watchdog, seconds_of
from minigrad.nn import functional as F
from minigrad.optim import SGD
from minigrad.train.__main__ import main
from minigrad.train.loop import evaluate, train_step

pytestmark = pytest.mark.usefixtures("reference_kernels")


def net(seed=0):
    rng = np.random.default_rng(seed)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, rng=rng),
    )
    return nn.Sequential(*layers, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3, rng=rng)).double()


def batch(number, images=8):
    rng = np.random.default_rng(number)
    return rng.standard_normal((images, 6, 6, 1)), rng.integers(0, 3, images)


def trained(group, steps=3, make=net, **settings):
    """The state of a net after some steps, in which the processes share each batch."""
    with mg.use_kernels("reference"):
        model = SyncBatchNorm.convert_sync_batchnorm(make(group.rank), group)
        reducer = GradientReducer(model.parameters(), group, bucket_bytes=400)
        optimizer = SGD(list(model.parameters()), 0.1, momentum=0.9)
        for step in range(steps):
            own = (part[group.rank :: group.size] for part in batch(step))
            result = train_step(model, optimizer, *own, reducer=reducer, **settings)
        return {name: a.copy() for name, a in model.state_dict().items()}, result


WEIGHTS = np.array([1.0, 5.0, 0.5])  # of classes
WEIGHTED = {
    "criterion": lambda y, labels: F.cross_entropy(y, labels, weight=WEIGHTS),
    "weigh": lambda labels: WEIGHTS[labels.data].sum(),
}
SETTINGS = {"plain": {}, "portions": {"portions": 2}, "clip": {"clip_grad_norm": 0.1}, "weighted": WEIGHTED}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_compute_what_one_does(size, settings):
    if size == 3 and "portions" in settings:
        pytest.skip("3 processes divide 8 images into other portions, whose batch norms see other images")
    expected, result = trained(Group(), **settings)
    for state, shared in together(size, lambda group: trained(group, **settings)):
        assert shared.images == result.images and shared.correct == result.correct
        assert shared.loss == pytest.approx(result.loss, rel=1e-12)
        for name, a in expected.items():
            assert_allclose(state[name], a, rtol=1e-10, atol=1e-12, err_msg=name)


def test_all_processes_have_the_same_bits():
    (first, _), *others = together(3, trained)
    for state, _ in others:
        for name, a in first.items():
            assert_array_equal(state[name], a, err_msg=name)


def test_buckets_are_sent_while_the_backward_pass_runs():
    """The first message goes before the first layer's gradient is there."""

    def work(group):
        with mg.use_kernels("reference"):
            model = net()
            reducer = GradientReducer(model.parameters(), group, bucket_bytes=400)
            first, seen = next(model.parameters()), []
            first.register_hook(lambda dy: seen.extend(reducer.messages.log))
            x, labels = batch(0)
            reducer.backward(F.cross_entropy(model(mg.tensor(x)), labels))
            return seen, reducer.messages.log, [bucket.array.size for bucket in reducer.buckets]

    for before, in_all, sizes in together(2, work):
        assert len(sizes) > 2
        assert before == sizes[: len(before)] and 0 < len(before) < len(in_all)
        assert in_all == sizes


def test_an_observer_hears_what_happens():
    """Each bucket is complete, is sent and arrives, in this order, the first one while the pass still runs."""

    def work(group):
        with mg.use_kernels("reference"):
            model, heard, (x, labels) = net(), [], batch(0)
            observe = lambda event, number: heard.append((event, number))  # noqa: E731
            reducer = GradientReducer(model.parameters(), group, bucket_bytes=400, observe=observe)
            reducer.backward(F.cross_entropy(model(mg.tensor(x)), labels))
            return heard, len(reducer.buckets)

    for heard, number in together(2, work):
        assert heard[0] == ("begin", None) and heard[-1] == ("end", None) and len(heard) == 3 + 3 * number
        for bucket in range(number):
            assert [e for e, b in heard if b == bucket] == ["complete", "sent", "arrived"]
        assert heard.index(("arrived", 0)) < heard.index(("passed", None)) < heard.index(("arrived", number - 1))


def test_a_gradient_that_one_process_has_counts_in_all():
    """Weights that no process used have none; those that were there before count, too."""

    def work(group):
        used, by_one, unused = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
        reducer = GradientReducer([used, by_one, unused], group)
        (used * 4.0).sum().backward()
        reducer.backward((used * (2.0 * group.rank)).sum() + ((by_one * 6.0).sum() if group.rank else 0.0))
        return used.grad, by_one.grad, unused.grad

    for used, by_one, unused in together(2, work):
        assert_array_equal(used, [5.0, 5.0])
        assert_array_equal(by_one, [3.0, 3.0])
        assert unused is None


@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_of_all(relu):
    """As batch_norm of the joined batch: output, all gradients, running statistics."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 5, 3, 3, 4)) + 3.0
    dy -= 3.0

    def run(group, op, settings):
        with mg.use_kernels("reference"):
            own = slice(group.rank, None, group.size)
            tensors = [mg.tensor(a, requires_grad=True) for a in (x[own], np.linspace(0.5, 2, 4), np.ones(4))]
            running = [np.zeros(4), np.ones(4)]
            y = op(*tensors, running_mean=running[0], running_var=running[1], **settings)
            y.backward(dy[own])
            return (
                y.numpy(),
                tensors[0].grad,
                group.all_reduce(tensors[1].grad),
                group.all_reduce(tensors[2].grad),
                running,
            )

    plain = mg.ops.batch_norm_relu if relu else mg.ops.batch_norm
    y, dx, dgamma, dbeta, running = run(Group(), plain, {})
    shared = together(2, lambda group: run(group, sync_batch_norm, dict(group=group, relu=relu)))
    for rank, found in enumerate(shared):
        for mine, whole in zip(found[:2], (y, dx)):
            assert_allclose(mine, whole[rank::2], rtol=1e-9, atol=1e-12)
        for mine, whole in zip(found[2:], (dgamma, dbeta, running)):
            assert_allclose(mine, whole, rtol=1e-9, atol=1e-12)


def test_converting_batch_norms():
    """They keep names, arrays, mode and sharing; frozen ones and subclasses stay."""

    class Own(nn.BatchNorm2d):
        pass

    model = nn.Sequential(
        nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm1d(2)), Own(2), nn.BatchNorm2d(2).requires_grad_(False)
    )
    model.append(model[0])
    before = model.state_dict()
    assert SyncBatchNorm.convert_sync_batchnorm(model.eval()) is model
    assert [type(m).__name__ for m in model] == ["SyncBatchNorm", "Sequential", "Own", "BatchNorm2d", "SyncBatchNorm"]
    assert model[0] is model[4] and type(model[1][0]) is SyncBatchNorm and not model[0].training
    after = model.state_dict()
    assert list(after) == list(before) and all(after[name] is before[name] for name in before)
    assert type(SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(3))) is SyncBatchNorm


def test_a_dense_block_is_synchronised():
    """Its batch norms run one by one then."""

    def make(seed):
        return architectures.create("densenet_10_4", 3, 6, in_channels=1, seed=seed).double()

    expected, _ = trained(Group(), 1, make)  # all layers of a block in one buffer
    for state, _ in together(2, lambda group: trained(group, 1, make)):
        for name, a in expected.items():
            assert_allclose(state[name], a, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("images", [8, 9])
def test_shares_of_batches_make_up_the_batch(images):
    """Also where a short last batch has nothing for some, and where batches are mixed."""
    data = ArrayDataset(
        np.arange(images * 4, dtype=np.uint8).reshape(images, 2, 2, 1), np.arange(images) % 3, ["a", "b", "c"]
    )
    for settings in ({}, {"batch_transform": Mixup(0.5, 3)}, {"collate_fn": list}):
        loaders = [DataLoader(data, 4, shuffle=True, share=(rank, 2), **settings) for rank in range(2)]
        whole = list(DataLoader(data, 4, shuffle=True, **settings).iterate(1))
        shares = [list(loader.iterate(1)) for loader in loaders]
        assert len(shares[0]) == len(whole) and len(shares[1]) == images // 4
        for rank, share in enumerate(shares):
            for mine, all_of in zip(share, whole):
                for part, part_of_all in zip(mine, all_of) if "collate_fn" not in settings else ():
                    assert_array_equal(part, part_of_all[rank::2])
                if "collate_fn" in settings:
                    assert_array_equal([label for _, label in mine], [label for _, label in all_of[rank::2]])


def test_a_share_is_checked():
    with pytest.raises(ValueError, match=r"share must be \(rank, size\) with rank in range\(size\); got \(2, 2\)"):
        DataLoader(ArrayDataset(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, int), ["a"]), 2, share=(2, 2))


def test_a_test_is_shared():
    """One process has no batch at all."""
    x, labels = batch(0, 5)

    def work(group):
        with mg.use_kernels("reference"):
            return evaluate(net(), [(x, labels)] if group.rank == 0 else [], 3, group=group)

    expected = work(Group())
    for found in together(2, work):
        assert found.loss == expected.loss and found.accuracy == expected.accuracy
        assert_array_equal(found.confusion, expected.confusion)


def test_one_process_needs_nothing(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    distributed.init_process_group.cache_clear()
    assert (distributed.get_rank(), distributed.get_world_size()) == (0, 1)
    x = np.ones(2)
    assert distributed.all_reduce(x) is x and distributed.broadcast(x) is x and distributed.all_gather_object(3) == [3]
    distributed.barrier()


@pytest.mark.parametrize(
    "environment, number",
    [
        ({}, 1),
        ({"PMI_SIZE": "4", "PMI_RANK": "1"}, 4),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, 2),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "3"}, 8),
        ({"SLURM_NTASKS": "8"}, 1),  # in a batch script, before srun
        ({"SLURM_STEP_NUM_TASKS": "1"}, 1),
        ({"WORLD_SIZE": "1", "RANK": "0"}, 1),
        ({"WORLD_SIZE": "many"}, 1),
    ],
)
def test_launchers_are_known_by_their_variables(environment, number):
    assert processes(environment) == number


@pytest.mark.parametrize(
    "environment, words",
    [
        ({"WORLD_SIZE": "4", "RANK": "0"}, r"torchrun started 4 processes .*: use mpiexec -n 4"),
        ({"SLURM_STEP_NUM_TASKS": "3"}, "srun started 3 processes without MPI: add --mpi=pmi2"),
    ],
)
def test_launchers_without_mpi_are_refused(environment, words):
    with pytest.raises(RuntimeError, match=words):
        processes(environment)


def test_the_command_says_what_to_use(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "4")
    distributed.init_process_group.cache_clear()
    try:
        assert main(["--output-dir", str(tmp_path)]) == 2
    finally:
        distributed.init_process_group.cache_clear()
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and "use mpiexec -n 4 python ... instead" in err


def test_without_mpi4py_the_package_is_named(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    distributed.init_process_group.cache_clear()
    with pytest.raises(RuntimeError, match=r"2 processes were started, but mpi4py is missing.*minigrad\[mpi\]"):
        distributed.init_process_group()


# One that hangs


def test_a_wait_that_takes_too_long_is_given_up():
    given_up = threading.Event()
    watchdog = Watchdog(0.05, lambda seconds: given_up.set())
    for _ in range(3):  # work between waits is no waiting
        with watchdog.waiting():
            pass
    assert not watchdog.is_late()
    with watchdog.waiting():
        assert given_up.wait(20) and watchdog.is_late()


def test_how_long_to_wait():
    assert seconds_of({}) == 1800 and seconds_of({"MINIGRAD_TIMEOUT": "2.5"}) == 2.5
    for wrong in ("0", "-1", "nan", "inf", "soon", "1e300"):
        with pytest.raises(RuntimeError, match="MINIGRAD_TIMEOUT must be a number of seconds greater than 0"):
            seconds_of({"MINIGRAD_TIMEOUT": wrong})
