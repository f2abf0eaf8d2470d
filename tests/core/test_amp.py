"""Mixed precision on the device: which type each op computes in, gradients near float32's, loss scaling, runs."""

import re

import numpy as np
import pytest
from cuda_cases import DEVICE, needs_device
from op_table import CASES
from places import here, prepare, running_on
from small_nets import batch, small_net
from train_runs import QUICK, arrays, checkpoint, main, records, train

import minigrad as mg
from kernels.cuda.precision import tf32_allowed
from minigrad import ops, optim
from minigrad.gradcheck.cases import outcome
from minigrad.nn import functional as F
from minigrad.nn.inspection import arrays_in, memory_of, nodes_below
from minigrad.train import loop, session
from minigrad.train import step as one_step
from minigrad.train.progress import Progress

prepare(DEVICE)
pytestmark = [needs_device, pytest.mark.long]
both_types = pytest.mark.parametrize("low", ["bfloat16", "float16"])
overflows = pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")  # NumPy's
NEAR = {"bfloat16": 2.0**-6, "float16": 2.0**-9}  # of the norm: a few times the rounding of one number
FEW = (
    "-a", "resnet8", *QUICK, "--image-size", 8, "-b", 2, "--limit-train-batches", 2, "--limit-test-batches", 1,
    "--device", DEVICE,
)  # fmt: skip


@pytest.fixture(autouse=True)
def on_the_device():
    with running_on(DEVICE):
        yield


def distance(a, b):
    """|a - b| / |b|"""
    return np.linalg.norm((a.astype(np.float64) - b).ravel()) / max(np.linalg.norm(b.astype(np.float64).ravel()), 1e-6)


# Ops


def rounded(case, low):
    """A case's inputs as float32 tensors whose numbers the 16-bit type has."""
    like = mg.precision.low_type(low)
    inputs = [a.astype(like).astype(np.float32) for a in case.arrays(np.float32)]
    return [mg.Tensor(here().asarray(a), requires_grad=True) for a in inputs]


@both_types
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_op_is_near_float32_and_sends_each_input_a_gradient_of_its_own_type(case, low):
    expected = outcome(case.run, rounded(case, low))

    def run(tensors):
        with mg.autocast(low):
            return case.run(tensors)

    y, *grads = outcome(run, rounded(case, low))
    assert distance(y, expected[0]) < NEAR[low]
    for grad, wanted in zip(grads, expected[1:], strict=True):
        many = 4 if case.op is ops.dense_block else 1  # roundings, one after the other
        assert grad.dtype == np.float32 and distance(grad, wanted) < many * NEAR[low]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_op_takes_bfloat16_as_it_takes_float16(case):
    """CuPy's `where` and `clip` have no bfloat16 and give float32, which the next op's kernel must not be handed."""
    types = {}
    for low in ("float16", "bfloat16"):
        with mg.autocast(low):
            types[low] = case.run([ops.cast(t, dtype=low) for t in rounded(case, low)]).dtype.name
    assert types["bfloat16"] == {"float16": "bfloat16"}.get(types["float16"], types["float16"])


def types_within(low, op, *shapes, **settings):
    """The type of y, for inputs of float32, and the types of what the op itself was given."""
    given = []
    rng = np.random.default_rng(0)
    inputs = [mg.Tensor(here().asarray(rng.random(s, np.float32) + 1), requires_grad=True) for s in shapes]
    with mg.autocast(low), mg.explain.watch.watching(lambda fn, inputs, settings, y: given.append(inputs)):
        y = op(*inputs, **settings)
    return [y.dtype.name, *(t.dtype.name for t in given[-1] if t is not None)]


@both_types
def test_products_are_low_and_sums_are_float32(low):
    wide = "float32"
    assert types_within(low, ops.conv2d, (1, 3, 3, 2), (2, 2, 2, 2), (2,)) == [low] * 4
    assert types_within(low, ops.linear_relu, (3, 2), (4, 2), (4,)) == [low] * 4
    assert types_within(low, ops.matmul, (3, 2), (2, 4)) == [low] * 3
    assert types_within(low, ops.batch_norm, (5, 2), (2,), (2,)) == [low, low, wide, wide]
    assert types_within(low, ops.add, (3, 2), (2,)) == [wide] * 3  # nothing to gain from rounding them
    assert types_within(low, ops.relu, (3,)) == [wide] * 2
    for op in (ops.softmax, ops.log_softmax, ops.mean, ops.exp):
        with mg.autocast(low):
            x = ops.cast(mg.Tensor(here().asarray(np.ones((3, 2), np.float32)), requires_grad=True), dtype=low)
            assert x.dtype.name == low and op(x).dtype == wide and F.relu(x).dtype.name == low
            assert (x * 2.0).dtype.name == low and (x + x).dtype.name == low


def test_float64_is_left_alone_and_blocks_nest():
    a, b = (mg.Tensor(here().asarray(np.ones((2, 2), t))) for t in (np.float64, np.float32))
    with mg.autocast("bfloat16"):
        assert (a @ a).dtype == np.float64
        with mg.autocast(None):
            assert (b @ b).dtype == np.float32
        assert (b @ b).dtype.name == "bfloat16"
        with pytest.raises(TypeError, match="matmul: inputs have different types"):
            a @ b
    assert (b @ b).dtype == np.float32


def test_what_has_no_16_bit_kernels_says_so():
    with (
        mg.autocast("bfloat16"),
        pytest.raises(TypeError, match=r"relu: autocast to bfloat16 needs a GPU; kernels\.cpu"),
    ):
        F.relu(mg.tensor([1.0]))
    with pytest.raises(ValueError, match="autocast: dtype must be one of float16, bfloat16; got 'int8'"):
        with mg.autocast("int8"):
            pass


def test_a_checkpointed_piece_is_recomputed_in_the_same_types():
    w = mg.Tensor(here().asarray(np.linspace(0, 1, 4, dtype=np.float32).reshape(2, 2)), requires_grad=True)
    grads = []
    for run in (lambda f, x: f(x), mg.checkpoint):
        w.grad = None
        with mg.autocast("bfloat16"):
            loss = run(lambda x: (x @ w) @ w, mg.Tensor(w.data)).mean()
        loss.backward()
        grads.append(w.grad.get())
    np.testing.assert_array_equal(*grads)


# Training steps


def gradients(low):
    """{name: gradient} of a small net, after the loss within autocast."""
    net, (images, labels) = small_net().to(DEVICE), batch(16)
    mg.nn.reseed(net, 1)
    with mg.autocast(low):
        loss = F.cross_entropy(net(loop.on_device(images, here())), loop.on_device(labels, here()))
    loss.backward()
    assert loss.dtype == np.float32
    return {name: p.grad for name, p in net.named_parameters()}


@both_types
def test_gradients_of_a_net_are_near_those_of_float32(low):
    for (name, grad), wanted in zip(gradients(low).items(), gradients(None).values()):
        assert grad.dtype == np.float32
        assert 0 < distance(grad.get(), wanted.get()) < 2 * NEAR[low], name


@both_types
def test_a_net_trains_and_its_weights_and_state_stay_float32(low):
    net = small_net().to(DEVICE)
    mg.nn.reseed(net, 1)
    optimizer, scaler = optim.AdamW(net.parameters(), 0.02), mg.GradScaler(enabled=low == "float16")
    losses = [loop.train_step(net, optimizer, *batch(16), low_type=low, scaler=scaler).loss for _ in range(12)]
    assert losses[-1] < 0.5 * losses[0]
    state = [a for own in optimizer.state for n, a in own.items() if n != "step"]
    tensors = [t.data for _, t in (*net.named_parameters(), *net.named_buffers())]
    assert {a.dtype.name for a in (*tensors, *state)} == {"float32"}


@pytest.mark.parametrize("arch", ["resnet8", "vgg_small_bn"])
def test_what_is_kept_for_backward_is_what_the_summary_says(arch):
    import architectures

    net = architectures.create(arch, num_classes=10, image_size=16, in_channels=1)
    found = mg.nn.summary(net, (16, 16, 1))
    estimate = found.training_bytes(4, autocast=True) - found.training_bytes(0) - 4 * found.largest_bytes
    images = mg.Tensor(here().asarray(np.ones((4, 16, 16, 1), np.float32)))
    with mg.autocast("bfloat16"):
        y = net.to(DEVICE).train()(images)
    arrays = [a for node in nodes_below(y) for a in arrays_in(tuple(node.saved.values()))]
    memory = {id(memory_of(a)): a.nbytes for a in arrays if a.dtype.name == "bfloat16" or a.ndim > 1}
    assert sum(memory.values()) == pytest.approx(estimate, rel=0.02)


# Loss scaling


def scaled_step(scaler, optimizer, w, slope):
    """One step on the loss slope w."""
    scaler.scale((w * slope).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()


@overflows
def test_an_overflow_is_skipped_and_the_scale_halves_then_grows_again():
    w = mg.Tensor(here().asarray(np.array([2.0], np.float32)), requires_grad=True)
    optimizer, scaler = optim.SGD([w], 0.5), mg.GradScaler(init_scale=2.0**127, growth_interval=2)
    scaled_step(scaler, optimizer, w, 4.0)
    assert w.data.get() == [2.0] and scaler.get_scale() == 2.0**126 and optimizer.state == [{}]
    scaled_step(scaler, optimizer, w, 1.0)
    assert w.data.get() == [1.5] and scaler.get_scale() == 2.0**126
    scaled_step(scaler, optimizer, w, 1.0)
    assert w.data.get() == [1.0] and scaler.get_scale() == 2.0**127
    scaled_step(scaler, optimizer, w, np.nan)
    assert w.data.get() == [1.0] and scaler.get_scale() == 2.0**126


@overflows
def test_a_step_whose_loss_is_not_finite_is_skipped_until_the_scale_is_1():
    net = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(36, 3, rng=np.random.default_rng(0))).to(DEVICE)
    (images, labels), optimizer = batch(), optim.SGD(net.parameters(), 0.1)
    scaler, before = mg.GradScaler(init_scale=4.0), net[1].weight.data.get()

    def step(images):
        return loop.train_step(net, optimizer, images, labels, low_type="float16", scaler=scaler)

    results = [step(images * np.float32(1e6)), step(images * np.float32(1e6))]
    np.testing.assert_array_equal(net[1].weight.data.get(), before)
    assert not np.isfinite([r.loss for r in results]).any() and scaler.get_scale() == 1
    with pytest.raises(FloatingPointError, match="the loss is"):
        step(images * np.float32(1e6))
    results.append(step(images))
    assert (net[1].weight.data.get() != before).any()
    counted = Progress()
    for result in results:
        assert np.isnan(counted.train_loss)
        counted.add(result, 1.0)
    assert (counted.step, counted.images, counted.seconds) == (3, 5, 3.0) and counted.train_loss == results[-1].loss


def test_small_gradients_survive_float16_because_of_the_scale():
    def gradient(scaler):
        x = mg.Tensor(here().asarray(np.full((1, 8), 2.0**-14, np.float32)), requires_grad=True)
        with mg.autocast("float16"):
            loss = ops.matmul(x, here().asarray(np.full((8, 1), 2.0**-10, np.float32))).mean() * 2.0**-16
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer := optim.SGD([x]))
        return optimizer.params[0].grad.get()

    assert (gradient(mg.GradScaler(enabled=False)) == 0).all()
    np.testing.assert_array_equal(gradient(mg.GradScaler()), np.full((1, 8), 2.0**-26))


def test_gradients_are_clipped_unscaled(monkeypatch):
    seen = []
    monkeypatch.setattr(
        one_step, "clip_grad_norm_", lambda params, most: seen.append(optim.clip_grad_norm_(params, most))
    )
    for scaler in (mg.GradScaler(), mg.GradScaler(enabled=False)):
        net = small_net().to(DEVICE)
        mg.nn.reseed(net, 1)
        loop.train_step(net, optim.SGD(net.parameters()), *batch(), clip_grad_norm=1.0, scaler=scaler)
    assert seen[0] == pytest.approx(seen[1], rel=1e-5)


def test_a_scaler_refuses_nonsense():
    with pytest.raises(ValueError, match="GradScaler: init_scale > 0"):
        mg.GradScaler(backoff_factor=2.0)
    with pytest.raises(RuntimeError, match="no step was made"):
        mg.GradScaler().update()
    scaler, optimizer = mg.GradScaler(), optim.SGD([mg.tensor([1.0], requires_grad=True)])
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="unscaled already"):
        scaler.unscale_(optimizer)


# The command


@pytest.mark.parametrize("amp", ["bf16", "fp16", "tf32"])
def test_a_run_is_near_that_of_float32(amp, tmp_path, capsys):
    for name in ("none", amp):  # small steps: fp16 may leave the first one out
        assert train(tmp_path / name, *FEW, "--epochs", 1, "--amp", name, "--lr", "1e-4") == 0
    assert f"weight decay 0.0005, {amp}" in capsys.readouterr().out
    (a,), (b,) = records(tmp_path / amp), records(tmp_path / "none")
    assert 0 < abs(a["train_loss"] / b["train_loss"] - 1) < 0.02
    assert {a.dtype.name for a in arrays(tmp_path / amp).values()} == {"float32"}
    assert not tf32_allowed()


def test_the_plan_s_memory_is_that_of_16_bits(tmp_path, capsys):
    memory = {}
    for amp in ("none", "tf32", "bf16", "fp16"):
        assert train(tmp_path, *FEW, "-b", 256, "--amp", amp, "--plan") == 0
        memory[amp] = int(re.search(r"about ([\d,]+) MiB at the peak", capsys.readouterr().out)[1].replace(",", ""))
    assert memory["none"] == memory["tf32"] and memory["bf16"] == memory["fp16"] < 0.6 * memory["none"]


@pytest.mark.parametrize("arch", ["resnet8", "densenet_small", "googlenet_small"])
def test_nets_take_a_step_in_16_bits(arch):
    import architectures

    net = architectures.create(arch, num_classes=10, image_size=8, in_channels=1).to(DEVICE)
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((2, 8, 8, 1), np.float32), np.array([1, 3])
    optimizer = optim.SGD(net.parameters(), 0.1)
    assert np.isfinite(loop.train_step(net.train(), optimizer, images, labels, low_type="bfloat16").loss)


def overflowing(monkeypatch):
    """Runs whose first steps overflow until the scale is small enough."""
    monkeypatch.setattr(session.optim, "GradScaler", lambda enabled: mg.GradScaler(2.0**140, enabled=enabled))


def scale_of(directory):
    return checkpoint.load(directory)[1]["scaler"]


@overflows
def test_a_resumed_run_keeps_the_scale(tmp_path, monkeypatch):
    overflowing(monkeypatch)
    settings = (*FEW, "--amp", "fp16", "--lr-scheduler", "constant", "--lr-warmup-epochs", 0)
    assert train(tmp_path / "whole", *settings, "--epochs", 2) == 0
    assert train(tmp_path / "parts", *settings, "--epochs", 1) == 0
    assert scale_of(tmp_path / "parts") == {"scale": 2.0**138, "growth_tracker": 0}
    assert main(["--resume", str(tmp_path / "parts"), "--epochs", "2"]) == 0
    assert scale_of(tmp_path / "parts") == scale_of(tmp_path / "whole") == {"scale": 2.0**136, "growth_tracker": 0}


def test_the_cpu_refuses(tmp_path, capsys):
    for flags in (("--amp", "bf16"), ("--amp", "tf32", "--device", DEVICE, "--kernels", "reference")):
        assert train(tmp_path, "-a", "lenet5", *flags) == 2
        assert "needs a GPU (--device cuda)" in capsys.readouterr().err
