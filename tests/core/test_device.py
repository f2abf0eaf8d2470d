"""A second device: arrays, modules and optimizers move there and back, nets train there, batches are sent ahead."""

import ast
import subprocess
import sys

import emulator
import numpy as np
import pytest
from places import prepare
from small_nets import batch, small_net
from train_runs import QUICK, ROOT, main, records, train

import minigrad as mg
from architectures import create  # noqa: F401 (the last test uses it)
from minigrad import nn, optim
from minigrad.train import loop
from minigrad.train.transfer import prefetch_to_device

missing = prepare("emulated")
pytestmark = pytest.mark.skipif(missing is not None, reason=str(missing))


@pytest.fixture
def device():
    return mg.device.get_device("emulated")


def test_tensors_move_and_gradients_come_back(device):
    x = mg.tensor([1.0, -2.0, 3.0], requires_grad=True)
    y = nn.functional.relu(x.to("emulated"))
    assert y.device is device and x.to("cpu") is x and y.cpu().device.name == "cpu"
    (y * 2).sum().backward()
    assert isinstance(x.grad, np.ndarray)
    np.testing.assert_array_equal(x.grad, [2, 0, 2])
    assert mg.tensor(y, device="emulated").device is device and "emulated" in repr(device)
    with pytest.raises(ValueError, match=r"add: inputs are on different devices \(cpu, emulated\); move them with .to"):
        x + y


def test_unknown_devices_are_refused():
    with pytest.raises(ValueError, match="device: 'tpu' is not one of 'cpu', 'cuda', 'emulated'"):
        mg.tensor([1.0], device="tpu")


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.AdamW(p, 0.01)])
def test_training_is_the_same_and_may_move(make):
    """Four steps on the CPU; the same with the second and third on the other device, state and all."""
    stay, move = small_net(), small_net()
    a, b = make(stay.parameters()), make(move.parameters())
    for step, place in enumerate(["cpu", "emulated", "emulated", "cpu"]):
        b.to(move.to(place) and place)
        for net in (stay, move):
            nn.reseed(net, 7, step)
        expected = loop.train_step(stay.train(), a, *batch(seed=step))
        got = loop.train_step(move.train(), b, *batch(seed=step))
        assert got.loss == pytest.approx(expected.loss, rel=1e-5) and got.correct == expected.correct
    for name, array in stay.state_dict().items():
        np.testing.assert_allclose(move.state_dict()[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_evaluation_is_the_same():
    net, batches = small_net(), [batch(5), batch(3, 1)]
    expected = loop.evaluate(net, batches, 3)
    got = loop.evaluate(net.to("emulated"), batches, 3)
    assert got.loss == pytest.approx(expected.loss, rel=1e-5)
    np.testing.assert_array_equal(got.confusion, expected.confusion)


def test_state_goes_to_files_and_back(device):
    net = small_net().to("emulated")
    optimizer = optim.Adam(net.parameters())
    loop.train_step(net, optimizer, *batch())
    saved, weights = optimizer.state_dict(), {n: device.asarray(a).get() for n, a in net.state_dict().items()}
    assert all(isinstance(a, np.ndarray) for a in saved["state"].values())
    again = small_net()
    other = optim.Adam(again.parameters())
    again.load_state_dict(weights)
    other.load_state_dict(saved)
    for a, b in zip(other.state, optimizer.state):
        np.testing.assert_array_equal(a["exp_avg"], b["exp_avg"].get())


@pytest.mark.parametrize("arch", ["lenet5", "resnet8"])
def test_a_net_trains_by_the_command(arch, tmp_path, capsys):
    few = ("-b", 2, "--limit-train-batches", 2, "--limit-test-batches", 1, "--model-ema", 0.5, "--clip-grad-norm", 1)
    results = {}
    for place in ("cpu", "emulated"):
        assert train(tmp_path / place, "-a", arch, *QUICK, *few, "--device", place, "--epochs", 1) == 0
        (results[place],) = records(tmp_path / place)
    assert "emulated, kernels.cuda" in capsys.readouterr().out
    assert results["emulated"]["train_loss"] == pytest.approx(results["cpu"]["train_loss"], rel=1e-3)
    assert results["emulated"]["test_loss"] == pytest.approx(results["cpu"]["test_loss"], rel=1e-2)


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    few = ("-a", "lenet5", *QUICK, "-b", 2, "--limit-train-batches", 2, "--limit-test-batches", 1, "--model-ema", 0.5)
    assert train(tmp_path / "parts", *few, "--device", "emulated", "--epochs", 1, "--lr-scheduler", "constant") == 0
    again = ("--resume", str(tmp_path / "parts"), "--epochs", "2")
    assert main([*again]) == 0 and len(records(tmp_path / "parts")) == 2


# More than one


def test_a_gpu_has_a_number():
    first, second = mg.get_device("emulated"), mg.get_device("emulated:1")
    assert mg.get_device("emulated:0") is first and second is not first and mg.get_device("emulated:1") is second
    assert (first.name, second.name) == ("emulated", "emulated:1")
    with pytest.raises(ValueError, match="emulated:2 is not there; GPUs here: 2, numbered from 0"):
        mg.get_device("emulated:2")
    for wrong in ("emulated:", "emulated:-1", "emulated:one", "tpu:1"):
        with pytest.raises(ValueError, match="is not one of"):
            mg.get_device(wrong)
    with pytest.raises(ValueError, match="'cpu:1': only GPUs have numbers"):
        mg.get_device("cpu:1")


def test_work_is_where_its_arrays_are():
    """Each array's GPU is the current one while ops work on it, in both passes and in the optimizer."""
    nets = {where: small_net().to(where) for where in ("emulated", "emulated:1")}
    for net in nets.values():
        nn.reseed(net, 7)
    losses = {where: nn.functional.cross_entropy(net(put(where, 0)), put(where, 1)) for where, net in nets.items()}
    for where, loss in losses.items():
        assert loss.device is mg.get_device(where)
        loss.backward()
        optim.SGD(nets[where].parameters(), 0.1, momentum=0.9).step()
    for a, b in zip(*(net.parameters() for net in nets.values())):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(ValueError, match=r"different devices \(emulated, emulated:1\)"):
        put("emulated", 0) + put("emulated:1", 0)
    there = put("emulated", 0).to("emulated:1")
    assert there.device is mg.get_device("emulated:1") and there.data.device.id == 1


def put(where, i):
    return mg.Tensor(mg.get_device(where).asarray(batch()[i]))


def test_batches_are_sent_to_the_gpu_that_was_asked_for():
    second = mg.get_device("emulated:1")
    wanted = [batch(seed=seed) for seed in range(3)]
    for (images, _), (x, _) in zip(prefetch_to_device(iter(wanted), second), wanted, strict=True):
        assert images.device.id == 1
        np.testing.assert_array_equal(images.get(), x)


@pytest.mark.long
def test_a_net_trains_on_the_second_gpu_by_the_command(tmp_path, capsys):
    few = ("-a", "lenet5", *QUICK, "-b", 2, "--limit-train-batches", 3, "--limit-test-batches", 1, "--epochs", 1)
    assert train(tmp_path, *few, "--device", "emulated:1", "--cuda-graph") == 0
    out = capsys.readouterr().out
    assert "emulated:1, kernels.cuda" in out and "can't be captured" not in out
    assert train(tmp_path / "none", *few, "--device", "emulated:7") == 2
    assert "--device: emulated:7 is not there" in capsys.readouterr().err


# Too little memory


def test_the_plan_compares_with_the_memory_that_the_gpu_has_left(tmp_path, capsys):
    run = ("-a", "resnet8", "--device", "emulated", "--plan", "--output-dir", str(tmp_path))
    for limit, amp, advice in (
        (2**20, "none", "try a smaller --batch-size or --amp bf16"), (2**20, "bf16", "try a smaller --batch-size"),
        (2**40, "none", None),
    ):  # fmt: skip
        with emulator.memory.limited_to(limit):
            assert main([*run, "--amp", amp]) == 0
        out = capsys.readouterr().out
        assert f"MiB of memory for a step: {advice}\n" in out or (advice is None and "for a step" not in out)


def test_out_of_memory_names_what_takes_less(tmp_path, capsys):
    few = ("-a", "lenet5", *QUICK, "-b", 64, "--limit-train-batches", 3, "--epochs", 1, "--device", "emulated")
    for amp, advice in (("none", ", or --amp bf16"), ("bf16", "")):
        with emulator.memory.limited_to(2**19):
            assert train(tmp_path / amp, *few, "--amp", amp) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "Out of memory allocating" in line and line.endswith(
            f"try a --batch-size below 64, made up for by --grad-accum{advice}"
        )


# Batches sent ahead


def test_batches_arrive_whole_and_in_order(device):
    sizes = [5, 5, 5, 5, 2]
    wanted = [batch(n, seed) for seed, n in enumerate(sizes)]
    for (images, labels), (x, y) in zip(prefetch_to_device(iter(wanted), device), wanted, strict=True):
        np.testing.assert_array_equal(images.get(), x)
        np.testing.assert_array_equal(labels.get(), y)


def test_the_next_batch_is_fetched_before_it_is_asked_for(device):
    fetched = []

    def batches():
        for k in range(3):
            fetched.append(k)
            yield batch(seed=k)

    arriving = prefetch_to_device(batches(), device)
    next(arriving)
    next(arriving)
    assert fetched[:2] == [0, 1]
    arriving.close()  # an early end waits for the sender and leaves nothing running


def test_an_error_in_the_data_reaches_the_caller(device):
    def batches():
        yield batch()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetch_to_device(batches(), device))


def test_the_cpu_gets_the_batches_themselves():
    wanted = [batch()]
    assert list(prefetch_to_device(wanted, mg.device.CPU)) == wanted


# The GPU path stands alone


def test_needs_neither_numba_nor_scipy():
    code = (
        "import sys\n"
        "sys.modules.update({name: None for name in ('numba', 'llvmlite', 'scipy')})\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}, {str(ROOT / 'tests/core')!r}]\n"
        "import test_device as t\n"
        "net = t.small_net().to('emulated')\n"
        "t.loop.train_step(net, t.optim.SGD(net.parameters(), 0.1), *t.batch())\n"
        "t.create('resnet8', num_classes=10, image_size=8, in_channels=1).to('emulated')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def names_of_the_array_module():
    """Every `name` in xp.name, array_module(x).name and device.xp.name of the product."""
    for package in ("kernels/reference", "kernels/cuda", "minigrad"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and is_array_module(node.value):
                    yield node.attr


def is_array_module(node):
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "array_module"
    return called or ast.unparse(node).split(".")[-1] == "xp"


def test_cupy_has_all_that_is_asked_of_it():
    """The emulated device answers with NumPy's functions; CuPy doesn't have them all."""
    names = set(names_of_the_array_module())
    assert {"maximum", "zeros", "pad", "einsum"} <= names
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    assert not [name for name in names if not hasattr(cupy, name)]
