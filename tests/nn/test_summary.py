"""summary: counts by hand, shapes as in a real run, and the model left as it was."""

import gc
import inspect
import math
import tracemalloc

import numpy as np
import pytest

import architectures
import minigrad as mg
from kernels import reference
from kernels.virtual import VirtualKernels
from minigrad import nn, ops
from minigrad.nn import functional as F


class Residual(nn.Module):
    def __init__(self, c):
        self.conv, self.norm = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.add_relu(self.norm(self.conv(x)), x)


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=2, padding=1, groups=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Residual(8),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.LocalResponseNorm(3),
        nn.AvgPool2d(2),
        nn.ConvTranspose2d(8, 6, 3, stride=2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(24, 5),
        nn.Sigmoid(),
    )


SHAPE = (21, 24, 3)


def real_outputs(model):
    """Output shapes of all leaf modules, from a run with numbers."""
    shapes, x = [], mg.tensor(np.zeros((1, *SHAPE), np.float32))
    with mg.use_kernels("reference"), mg.no_grad():
        for layer in model.eval():
            x = layer(x)
            shapes.append(x.shape)
    return shapes


def test_rows_parameters_and_macs_by_hand():
    s = nn.summary(net(), SHAPE)
    named = {row.name: row for row in s.rows}
    assert list(named) == ["0", "1", "3.conv", "3.norm", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"]
    assert named["0"].output_shape == (1, 11, 11, 8) and named["1"].kind == "BatchNorm2d + ReLU"
    macs = {
        "0": 11 * 11 * 8 * (3 * 5 * 3),
        "3.conv": 11 * 11 * 8 * (3 * 3 * 8),
        "4": 11 * 11 * 8 * (3 * 3 * 1),
        "8": 2 * 2 * 8 * (3 * 3 * 6),
        "12": 24 * 5,
    }
    assert {n: row.macs for n, row in named.items() if row.macs} == macs and s.macs == sum(macs.values())
    assert named["4"].parameters == 8 * 9 + 8 and named["3.norm"].parameters == 16
    assert s.parameters == sum(row.parameters for row in s.rows) == sum(p.size for p in net().parameters())
    assert s.buffers == 4 * 8


def test_output_shapes_are_those_of_a_real_run():
    shapes = iter(real_outputs(net()))
    rows = {row.name.split(".")[0]: row.output_shape for row in nn.summary(net(), SHAPE).rows}
    expected = {str(i): shape for i, shape in enumerate(shapes) if str(i) in rows}
    assert rows == expected


@pytest.mark.parametrize(
    "name, parameters, gmacs", [("resnet18", 11_689_512, 1.8141), ("densenet121", 7_978_856, 2.8342)]
)
def test_published_counts(name, parameters, gmacs):
    s = nn.summary(architectures.create(name, num_classes=1000, image_size=224), (224, 224, 3))
    assert s.parameters == parameters and round(s.macs / 1e9, 4) == gmacs


def test_a_dense_block_that_is_one_op_is_one_row():
    class Block(nn.Module):
        def __init__(self):
            self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1, bias=False)

        def forward(self, x):
            running = [(self.norm.running_mean, self.norm.running_var)]
            weights = self.norm.weight, self.norm.bias, self.conv.weight
            return ops.dense_block(x, *weights, units=1, running=running, training=self.training)

    s = nn.summary(nn.Sequential(Block()), (5, 5, 4))
    (row,) = s.rows
    assert (row.output_shape, row.parameters, row.macs) == ((1, 5, 5, 6), 8 + 72, 25 * 2 * 36)


def test_a_shared_layer_has_two_rows_and_its_parameters_count_once():
    class Twice(nn.Module):
        def __init__(self):
            self.fc, self.unused = nn.Linear(3, 3), nn.Linear(10, 1)

        def forward(self, x):
            return self.fc(self.fc(x))

    s = nn.summary(Twice(), (3,))
    assert [(row.parameters, row.macs) for row in s.rows] == [(12, 9), (0, 9)]
    assert s.parameters == 12 + 11 and "11 not in any row" in str(s)


def test_the_model_is_left_as_it_was():
    model = net()
    model[1].eval()
    arrays = {n: (a, a.copy()) for n, a in model.state_dict().items()}
    attributes = [dict(vars(m)) for m in model.modules()]
    nn.summary(model, SHAPE)
    with pytest.raises(ValueError, match="x has 4 channels"):
        nn.summary(model, (21, 24, 4))
    assert [dict(vars(m)) for m in model.modules()] == attributes
    for name, array in model.state_dict().items():
        assert array is arrays[name][0]
        np.testing.assert_array_equal(array, arrays[name][1])


def test_nothing_is_computed():
    model = nn.Sequential(nn.Conv2d(3, 1000, 3, padding=1), nn.ReLU(), nn.Conv2d(1000, 1000, 3, padding=1))
    tracemalloc.start()
    s = nn.summary(model, (5000, 5000, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert s.macs == 5000 * 5000 * 1000 * 9 * 1003
    assert peak < 1e6 < 1e11 < s.activation_bytes


@pytest.mark.parametrize("name, size, batch", [("resnet20", 32, 4), ("densenet_40_12", 16, 2)])
def test_activation_bytes_are_what_a_training_step_keeps(name, size, batch):
    model = architectures.create(name, num_classes=10, image_size=size)
    x = mg.tensor(np.random.default_rng(0).standard_normal((batch, size, size, 3), np.float32))
    with mg.use_kernels("reference"):
        gc.collect()
        tracemalloc.start()
        y = model(x)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert y.node is not None
    predicted = batch * nn.summary(model, (size, size, 3)).activation_bytes - x.data.nbytes  # x was there before
    assert 0.9 * predicted < kept < 1.1 * predicted


def test_activation_bytes_by_hand():
    model = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Flatten(), nn.Linear(24, 2))
    s = nn.summary(model, (2, 2, 8))  # kept: x for the first weight, y of tanh, which flattened is the second x
    assert s.activation_bytes == 4 * (2 * 2 * 8 + 2 * 2 * 6) and s.largest_bytes == 4 * 2 * 2 * 8


def test_checkpointed_pieces_keep_less():
    class Checkpointed(nn.Sequential):
        def forward(self, x):
            return mg.checkpoint(super().forward, x)

    layers = [Residual(4) for _ in range(5)]
    plain, spare = nn.summary(nn.Sequential(*layers), (8, 8, 4)), nn.summary(Checkpointed(*layers), (8, 8, 4))
    assert spare.activation_bytes == 8 * 8 * 4 * 4 < plain.activation_bytes / 5  # the input alone
    assert spare.macs == plain.macs


def test_training_bytes_add_up():
    s = nn.summary(net(), SHAPE)
    fixed = 4 * (3 * s.parameters + s.buffers)
    assert s.training_bytes(0) == fixed
    assert s.training_bytes(0, optimizer_slots=2) == fixed + 4 * s.parameters
    image = s.activation_bytes + 2 * s.largest_bytes
    assert s.training_bytes(7) == fixed + 7 * image
    assert s.training_bytes(8, autocast=True) == fixed + 2 * s.parameters + 4 * image


def test_double_precision_takes_twice_as_much():
    model = net()
    single = nn.summary(model, SHAPE)
    for t in (*model.parameters(), *model.buffers()):
        t.data = t.data.astype(np.float64)
    double = nn.summary(model, SHAPE)
    assert double.itemsize == 8 and double.training_bytes(0) == 2 * single.training_bytes(0)
    assert 1.9 < double.activation_bytes / single.activation_bytes <= 2  # max-pool's winners stay bytes


def test_text_is_a_table_with_totals():
    text = str(nn.summary(net(), SHAPE)).splitlines()
    assert text[0].split() == ["layer", "type", "output", "shape", "parameters", "MACs"]
    assert text[2].split() == ["0", "Conv2d", "(N,", "11,", "11,", "8)", "368", "43,560"]
    assert len({len(line) for line in text[:16]}) == 1
    assert text[16].startswith("Sequential for images (21, 24, 3)")


@pytest.mark.parametrize("shape", [(), (0, 3, 3), (1, 32, 32, 3), (32.0, 32, 3)])
def test_bad_input_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="summary: input_shape must be the shape of one image"):
        nn.summary(net(), shape)


# The kernels that know shapes only

CALLS = {
    "relu_forward": lambda k, x: k.relu_forward(x),
    "add_relu_forward": lambda k, x: k.add_relu_forward(x, x),
    "dropout_forward": lambda k, x: k.dropout_forward(x, 0.5, 1),
    "concat_forward": lambda k, x: k.concat_forward([x, x[..., :2]]),
    "channel_mean_var": lambda k, x: k.channel_mean_var(x),
    "batch_norm_forward": lambda k, x: k.batch_norm_forward(x, *np.ones((2, 4), x.dtype), 1e-5),
    "batch_norm_apply": lambda k, x: k.batch_norm_apply(x, *np.ones((4, 4), x.dtype), 1e-5),
    "local_response_norm_forward": lambda k, x: k.local_response_norm_forward(x, 3, 1e-4, 0.75, 1.0),
    "linear_forward": lambda k, x: k.linear_forward(x, np.ones((7, 4), x.dtype), None),
    "conv2d_forward": lambda k, x: k.conv2d_forward(x, np.ones((6, 3, 2, 2), x.dtype), None, (2, 1), (1, 0), (1, 2), 2),
    "conv2d_backward_input": lambda k, x: k.conv2d_backward_input(
        x, np.ones((4, 3, 3, 5), x.dtype), (2, 11, 13, 5), (2, 2), (1, 1), (1, 1), 1
    ),
    "norm_relu_conv_forward": lambda k, x: k.norm_relu_conv_forward(
        x, *np.ones((4, 4), x.dtype), 1e-5, np.ones((5, 3, 3, 4), x.dtype), True
    ),
    "max_pool2d_forward": lambda k, x: k.max_pool2d_forward(x, (3, 2), (2, 2), (1, 0), (1, 1), True),
    "avg_pool2d_forward": lambda k, x: k.avg_pool2d_forward(x, (2, 3), (2, 2), (0, 1), True, False),
    "adaptive_avg_pool2d_forward": lambda k, x: k.adaptive_avg_pool2d_forward(x, (2, 3)),
}
DEFINED = [n for n, f in vars(VirtualKernels).items() if not n.startswith("_") and inspect.isfunction(f)]


def test_every_virtual_kernel_is_called_here():
    assert sorted(CALLS) == sorted(DEFINED)


@pytest.mark.parametrize("name", CALLS)
def test_virtual_kernels_have_the_signature_the_shapes_and_the_types_of_the_reference(name):
    ours, theirs = getattr(VirtualKernels(), name), getattr(reference, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    x = np.random.default_rng(0).random((2, 6, 7, 4), np.float32)
    got, expected = CALLS[name](VirtualKernels(), x), CALLS[name](reference, x)
    got, expected = (v if isinstance(v, tuple) else (v,) for v in (got, expected))
    for a, b in zip(got, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert a.nbytes == math.prod(a.shape) * a.itemsize and not any(a.strides)


def test_other_kernels_are_the_reference():
    assert VirtualKernels().sgd_step is reference.sgd_step
    with pytest.raises(AttributeError, match="no_such_kernel"):
        VirtualKernels().no_such_kernel  # noqa: B018
