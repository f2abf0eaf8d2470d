"""Which kernels a training step of a net calls, and how many bytes and operations each must cost at least.

The step runs on arrays without memory, so that any net takes seconds and every count comes from the code that runs. It
is recorded with IMAGES images, which is the first axis of no weight: other batch sizes follow from the shapes.
"""

import inspect
import math
from collections import Counter
from typing import NamedTuple

import numpy as np

import architectures
from architectures.registry import find
from kernels import cuda, reference
from kernels.reference.dense import composed_backward, composed_forward
from kernels.virtual import VirtualKernels, virtual
from minigrad import Tensor, autocast, nn, optim, use_kernels
from minigrad.nn.inspection import shapes_only

IMAGES = 3
PRODUCTS = (
    "conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight",
    "linear_forward", "linear_backward_input", "linear_backward_weight",
)  # fmt: skip
TWICE = {
    "batch_norm_forward": ("x",),
    "batch_norm_backward": ("dy", "x"),
}  # sums of all must be known before the first y
WRITTEN = {"sgd_step": ("ws", "vs"), "adam_step": ("ws", "ms", "vs")}  # in place
OPERATIONS = {  # on each element of the largest array, about (1 elsewhere): only those of products ever matter
    "relu_forward": 1, "relu_backward": 1, "add_relu_forward": 2, "copy": 0, "concat_forward": 0,
    "dropout_forward": 2, "channel_sum": 1, "channel_mean_var": 3, "through_moments": 4,
    "batch_norm_forward": 6, "batch_norm_backward": 13, "batch_norm_apply": 3, "batch_norm_apply_backward": 10,
    "local_response_norm_forward": 20, "local_response_norm_backward": 20,
    "max_pool2d_forward": 3, "max_pool2d_backward": 1, "avg_pool2d_forward": 1, "avg_pool2d_backward": 1,
    "adaptive_avg_pool2d_forward": 1, "adaptive_avg_pool2d_backward": 1,
    "cross_entropy_forward": 6, "cross_entropy_backward": 3, "sgd_step": 6, "adam_step": 14,
}  # fmt: skip


class Array(NamedTuple):
    """Shape and type of an array, for IMAGES images."""

    shape: tuple
    dtype: np.dtype

    def at(self, batch):
        """The shape for another batch size."""
        return (batch, *self.shape[1:]) if self.shape[:1] == (IMAGES,) else self.shape

    def bytes(self, batch):
        return math.prod(self.at(batch)) * self.dtype.itemsize


class Call(NamedTuple):
    """A kernel and its arguments, (name, value) pairs; of a list of arrays each is an input of that name."""

    kernel: str
    inputs: tuple
    settings: tuple
    outputs: tuple

    def input(self, name):
        """The first array of that name, or None."""
        return next((array for key, array in self.inputs if key == name), None)

    def conv_shapes(self, batch):
        """The shapes of x, w and y of a convolution, whichever of its passes this is."""
        settings, x, w = dict(self.settings), self.input("x"), self.input("w")
        x_shape = x.at(batch) if x else (batch, *settings["x_shape"][1:])
        return x_shape, w.shape if w else settings["w_shape"], (self.input("dy") or self.outputs[0]).at(batch)

    def macs(self, batch):
        """Multiply-accumulates of a product: for each number of y (or dy) one for each weight of its filter."""
        if self.kernel not in PRODUCTS:
            return 0
        y, w = self.input("dy") or self.outputs[0], self.input("w") or self.outputs[0]
        return math.prod(y.at(batch)) * math.prod(w.shape[1:])

    def flops(self, batch):
        """Floating-point operations; a multiply-accumulate is two."""
        largest = max(math.prod(array.at(batch)) for array in (*(a for _, a in self.inputs), *self.outputs))
        return 2 * self.macs(batch) or OPERATIONS.get(self.kernel, 1) * largest

    def bytes(self, batch):
        """Each input read once (or twice, where it must be), each output written once."""
        read = [self.touched(array, name) for name, array in self.inputs for _ in range(1 + self.again(name))]
        written = [array for name, array in self.inputs if name in WRITTEN.get(self.kernel, ())]
        return sum(array.bytes(batch) for array in (*read, *written, *self.outputs))

    def again(self, name):
        return name in TWICE.get(self.kernel, ())

    def touched(self, array, name):
        """The part of a convolution's image that its windows see: with a stride wider than the window not all of it."""
        if name != "x" or not self.kernel.startswith("conv2d"):
            return array
        y, w = self.input("dy") or self.outputs[0], self.input("w") or self.outputs[0]
        height, width = (min(h, p * r) for h, p, r in zip(array.shape[1:3], y.shape[1:3], w.shape[1:3]))
        return array._replace(shape=(array.shape[0], height, width, array.shape[3]))


# Recording


class Ghost(np.ndarray):
    """An array without memory that notes what NumPy is asked to do with it (sums of gradients) and does nothing."""

    calls = None  # the Recorder's list

    def __array_finalize__(self, parent):
        self.calls = getattr(parent, "calls", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        arrays = [a for a in inputs if isinstance(a, np.ndarray)]
        if method != "__call__" or (out is None and all(a.shape[:1] != (IMAGES,) for a in arrays)):
            plain = [a.view(np.ndarray) if isinstance(a, Ghost) else a for a in inputs]
            return getattr(ufunc, method)(*plain, **settings)  # a vector for each channel: small, and computed
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        y = out[0] if out else haunted(virtual(shape, self.dtype), self.calls)
        self.calls.append(Call(ufunc.__name__, tuple(("x", described(a)) for a in arrays), (), (described(y),)))
        return y

    def copy(self, order="C"):
        return self.noted("copy", self.dtype)

    def astype(self, dtype, copy=True, **settings):
        return self if self.dtype == dtype and not copy else self.noted("cast", np.dtype(dtype))

    def noted(self, name, dtype):
        y = haunted(virtual(self.shape, dtype), self.calls)
        self.calls.append(Call(name, (("x", described(self)),), (), (described(y),)))
        return y


def haunted(array, calls):
    ghost = array.view(Ghost)
    ghost.calls = calls
    return ghost


def described(array):
    return Array(array.shape, array.dtype)


class Shapes(VirtualKernels):
    """Kernels that know shapes only, those of the backward pass and the optimizers included."""

    def relu_backward(self, dy, y, out=None):
        return virtual(dy.shape, dy.dtype, out)

    def channel_sum(self, x):
        return virtual(x.shape[-1:], x.dtype)

    def conv2d_backward_weight(self, dy, x, w_shape, stride, padding, dilation, groups):
        return virtual(w_shape, dy.dtype)

    def linear_backward_input(self, dy, w, out=None):
        return virtual((*dy.shape[:-1], w.shape[1]), dy.dtype, out)

    def linear_backward_weight(self, dy, x):
        return virtual((dy.shape[-1], x.shape[-1]), dy.dtype)

    def batch_norm_backward(self, dy, x, gamma, beta, mean, var, eps, relu=False):
        return virtual(x.shape, x.dtype), virtual(gamma.shape, gamma.dtype), virtual(gamma.shape, gamma.dtype)

    batch_norm_apply_backward = batch_norm_backward

    def through_moments(self, g, x, mean, slope, offset, out=None):
        return virtual(g.shape, g.dtype, out)

    def local_response_norm_backward(self, dy, x, d, size, alpha, beta):
        return virtual(x.shape, x.dtype)

    def max_pool2d_backward(self, dy, winner, x_shape, size, stride, padding, dilation):
        return virtual(x_shape, dy.dtype)

    def avg_pool2d_backward(self, dy, x_shape, size, stride, padding, count_include_pad):
        return virtual(x_shape, dy.dtype)

    def adaptive_avg_pool2d_backward(self, dy, x_shape):
        return virtual(x_shape, dy.dtype)

    def cross_entropy_forward(self, x, q):
        return virtual(x.shape[:1], x.dtype), virtual(x.shape, x.dtype)

    def cross_entropy_backward(self, dloss, p, q):
        return virtual(p.shape, p.dtype)

    def sgd_step(self, ws, dws, vs, *settings):
        pass

    def adam_step(self, ws, dws, ms, vs, *settings):
        pass


class Recorder:
    """For use_kernels: notes each call of a kernel. What is one kernel on the CPU alone is composed, as on the GPU."""

    LOW_TYPES = cuda.LOW_TYPES

    def __init__(self):
        self.shapes, self.calls = Shapes(), []

    def __getattr__(self, name):
        compute, signature = getattr(self.shapes, name), inspect.signature(getattr(reference, name))

        def noted(*args, **settings):
            result = compute(*args, **settings)
            outputs = [a for a in (result if isinstance(result, tuple) else (result,)) if a is not None]
            bound = signature.bind(*args, **settings)
            bound.apply_defaults()
            self.calls.append(call(name, bound.arguments, outputs))
            ghosts = [haunted(a, self.calls) for a in outputs]
            return tuple(ghosts) if isinstance(result, tuple) else next(iter(ghosts), None)

        return noted

    def norm_relu_conv_forward(self, x, gamma, beta, mean, var, eps, w, moments=False, out=None):
        return composed_forward(self, x, gamma, beta, mean, var, eps, w, moments, out)

    def norm_relu_conv_backward(self, dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
        return composed_backward(self, dy, line, x, gamma, beta, mean, var, eps, w, add_to)


def call(name, arguments, outputs):
    """A Call from what a kernel was called with."""
    inputs, settings = [], []
    for key, value in arguments.items():
        arrays = [a for a in (value if isinstance(value, list | tuple) else [value]) if isinstance(a, np.ndarray)]
        inputs += [(key, described(a)) for a in arrays if key != "out"]
        if not arrays and value is not None:
            settings.append((key, value))
    return Call(name, tuple(inputs), tuple(settings), tuple(described(a) for a in outputs))


def training_step(net, low_type=None, optimizer=optim.SGD, **options):
    """Counter of the Calls of a training step of a net: forward, loss, backward, update (SGD with momentum).

    low_type: "bfloat16" or "float16" for mixed precision, whose casts are calls, too.
    """
    made_for, model = find(net), architectures.create(net, **options)
    options.setdefault("image_size", made_for.image_size)
    shape = IMAGES, options["image_size"], options["image_size"], options.get("in_channels", made_for.in_channels)
    recorder, settings = Recorder(), {} if optimizer is not optim.SGD else dict(momentum=0.9, weight_decay=1e-4)
    with shapes_only(model), use_kernels(recorder):
        step = optimizer(list(model.parameters()), **settings)
        for p in model.parameters():
            p.data = haunted(p.data, recorder.calls)
        with autocast(low_type):
            outputs = model.train()(Tensor(haunted(virtual(shape, np.float32), recorder.calls)))
            loss = architectures.training_loss(nn.functional.cross_entropy, outputs, np.zeros(IMAGES, np.int64))
        loss.backward()
        step.step()
    return Counter(recorder.calls)
