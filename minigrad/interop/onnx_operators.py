"""ONNX's operators in minigrad's ops: one function each, f(step, inputs, training) -> output, or a tuple of them.

Values are tensors with their axes as in ONNX, Images (tensors with channels last, which is how convolutions and pools
hand them on), or NumPy arrays of integers, with which graphs compute shapes.
"""

import numpy as np

from .. import ops
from ..nn import functional as F
from ..tensor import Tensor
from . import onnx_shapes as s
from .onnx_values import TO_LAST, Image, first, last


def prepare(steps, arrays):
    """Initializers, with the filters of convolutions brought to (K, R, S, C): trained and run as the others here."""
    users = {}
    for step in steps:
        for place, name in enumerate(step.inputs):
            users.setdefault(name, set()).add((step.op, place))
    filters = {n for n, found in users.items() if found <= {("Conv", 1), ("ConvTranspose", 1)}}
    for step in steps:
        step.filters_last = step.op in ("Conv", "ConvTranspose") and step.inputs[1] in filters & arrays.keys()
    turned = {n for n in filters & arrays.keys() if arrays[n].ndim == 4}
    return {n: np.ascontiguousarray(a.transpose(TO_LAST)) if n in turned else a for n, a in arrays.items()}


# Convolutions and pools


def padded(step, x, size, stride, dilation, value=0.0, most=1.0):
    """(x, padding): symmetric padding is left to the op, other padding is put around x first. x with channels last.

    most: what the op takes, as a part of the window.
    """
    if x.dtype.kind not in "fV":
        raise ValueError(f"only images of floating-point numbers are supported; got {x.dtype}")
    pads, auto = step.get("pads"), step.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = [same(n, k, s, d, auto) for n, k, s, d in zip(x.shape[1:3], size, stride, dilation)]
    else:
        pads = pads or (0, 0, 0, 0)
        pairs = [(pads[0], pads[2]), (pads[1], pads[3])]
    if all(a == b and a <= most * k for (a, b), k in zip(pairs, size)):
        return x, tuple(a for a, _ in pairs)
    return F.pad(x, ((0, 0), *pairs, (0, 0)), value=value), (0, 0)


def same(n, size, stride, dilation, auto):
    total = max((-(-n // stride) - 1) * stride + dilation * (size - 1) + 1 - n, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def filters_of(step, w):
    return w if step.filters_last else ops.transpose(w, axes=TO_LAST)


def conv(step, inputs, training):
    x, w, b = (*inputs, None)[:3]
    x, w = last(x), filters_of(step, w)
    stride, dilation = step.get("strides", (1, 1)), step.get("dilations", (1, 1))
    x, padding = padded(step, x, w.shape[1:3], stride, dilation, most=np.inf)
    return Image(F.conv2d(x, w, b, stride, padding, dilation, step.get("group", 1)))


def conv_transpose(step, inputs, training):
    x, w, b = (*inputs, None)[:3]
    if step.get("output_shape") or step.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError("output_shape and auto_pad are not supported")
    x, w = last(x), filters_of(step, w)
    pads = step.get("pads", (0, 0, 0, 0))
    settings = dict(stride=step.get("strides", (1, 1)), dilation=step.get("dilations", (1, 1)))
    settings |= dict(groups=step.get("group", 1), output_padding=step.get("output_padding", 0))
    if pads[:2] == pads[2:]:
        return Image(F.conv_transpose2d(x, w, b, padding=pads[:2], **settings))
    y = F.conv_transpose2d(x, w, b, **settings)
    return Image(y[:, pads[0] : y.shape[1] - pads[2], pads[1] : y.shape[2] - pads[3]])


def batch_norm(step, inputs, training):
    x, gamma, beta, mean, var = inputs
    settings = dict(running_mean=mean, running_var=var, training=training, eps=step.get("epsilon", 1e-5))
    settings["momentum"] = 1 - step.get("momentum", 0.9)
    if len([o for o in step.outputs if o]) > 1:
        raise ValueError("only the first output is supported")
    if isinstance(x, Image) or x.ndim == 4:
        return Image(ops.batch_norm(last(x), gamma, beta, **settings))
    if x.ndim == 2:
        return ops.batch_norm(x, gamma, beta, **settings)
    order = (0, *range(2, x.ndim), 1)
    y = ops.batch_norm(ops.transpose(x, axes=order), gamma, beta, **settings)
    return ops.transpose(y, axes=(0, y.ndim - 1, *range(1, y.ndim - 1)))


def max_pool(step, inputs, training):
    x, size = last(inputs[0]), step.get("kernel_shape")
    stride, dilation = step.get("strides", (1, 1)), step.get("dilations", (1, 1))
    if len(step.outputs) > 1:
        raise ValueError("the indices (second output) are not supported")
    x, padding = padded(step, x, size, stride, dilation, -np.inf, most=0.5)
    return Image(F.max_pool2d(x, size, stride, padding, dilation, bool(step.get("ceil_mode", 0))))


def average_pool(step, inputs, training):
    x, size, stride = last(inputs[0]), step.get("kernel_shape"), step.get("strides", (1, 1))
    counted, ceil_mode = bool(step.get("count_include_pad", 0)), bool(step.get("ceil_mode", 0))
    if max(step.get("dilations", (1,))) > 1:
        raise ValueError("dilations are not supported")
    wide, padding = padded(step, x, size, stride, (1, 1), most=0.5)
    if counted or wide is x:
        return Image(F.avg_pool2d(wide, size, stride, padding, ceil_mode, counted))
    ones, _ = padded(step, Tensor(np.ones((1, *x.shape[1:3], 1), x.dtype)), size, stride, (1, 1), most=0.5)
    total = F.avg_pool2d(wide, size, stride, 0, ceil_mode)
    return Image(total / F.avg_pool2d(ones, size, stride, 0, ceil_mode))


def global_average_pool(step, inputs, training):
    return Image(F.adaptive_avg_pool2d(last(inputs[0]), 1))


def global_max_pool(step, inputs, training):
    return Image(ops.max(last(inputs[0]), dim=(1, 2), keepdim=True))


def lrn(step, inputs, training):
    settings = dict(alpha=step.get("alpha", 1e-4), beta=step.get("beta", 0.75), k=step.get("bias", 1.0))
    return Image(F.local_response_norm(last(inputs[0]), step.get("size"), **settings))


# Products


def gemm(step, inputs, training):
    a, b, c = (*map(first, inputs[:2]), inputs[2] if len(inputs) > 2 else None)
    a = ops.transpose(a) if step.get("transA", 0) else a
    b = b if step.get("transB", 0) else ops.transpose(b)
    y = F.linear(a, b)
    y = y if step.get("alpha", 1.0) == 1.0 else y * step.get("alpha")
    if c is None:
        return y
    return y + (c if step.get("beta", 1.0) == 1.0 else c * step.get("beta"))


def matmul(step, inputs, training):
    a, b = map(first, inputs)
    return ops.matmul(a, b)


# Elementwise: Images stay Images


def unary(function):
    def run(step, inputs, training):
        x = inputs[0]
        return Image(function(x.last, step)) if isinstance(x, Image) else function(x, step)

    return run


def binary(function):
    def run(step, inputs, training):
        a, b = inputs[:2]
        if isinstance(a, Image) and isinstance(b, Image):
            return Image(function(a.last, b.last))
        return function(first(a), first(b))

    return run


def arithmetic(tensors, arrays):
    """An operator on tensors, or on the integers of shapes."""

    def run(a, b):
        return arrays(a, b) if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else tensors(a, b)

    return binary(run)


def variadic(tensors, arrays):
    def run(step, inputs, training):
        total = inputs[0]
        for x in inputs[1:]:
            total = arithmetic(tensors, arrays)(step, [total, x], training)
        return total

    return run


def truncated(a, b):
    """Division of integers, rounded towards zero."""
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def mean(step, inputs, training):
    return unary(lambda x, _: x / len(inputs))(step, [variadic(ops.add, np.add)(step, inputs, training)], training)


def clip(step, inputs, training):
    low, high = (*inputs[1:], None, None)[:2]
    low = step.get("min") if low is None else float(scalar(low))
    high = step.get("max") if high is None else float(scalar(high))
    if low is None and high is None:
        return inputs[0]
    low, high = (-np.inf if low is None else low), (np.inf if high is None else high)
    return unary(lambda x, _: ops.clamp(x, min=low, max=high))(step, inputs, training)


def scalar(value):
    return value.numpy() if isinstance(value, Tensor) else value


def prelu(step, inputs, training):
    x, slope = map(first, inputs)
    return ops.relu(x) - slope * ops.relu(-x)


def softmax(function):
    def run(step, inputs, training):
        x = first(inputs[0])
        if step.opset >= 13:
            return function(x, dim=step.get("axis", -1))
        axis = step.get("axis", 1) % x.ndim  # until opset 12 all axes from this one on are one
        rows = ops.reshape(x, shape=(int(np.prod(x.shape[:axis])), -1))
        return ops.reshape(function(rows, dim=-1), shape=x.shape)

    return run


def dropout(step, inputs, training):
    ratio = step.get("ratio", 0.5) if len(inputs) < 2 or inputs[1] is None else float(scalar(inputs[1]))
    own = len(inputs) > 2 and inputs[2] is not None and bool(scalar(inputs[2]))
    if ratio and (own or (training and len(step.outputs) > 1)):
        raise ValueError("training_mode of its own and the mask are not supported: the module's mode decides")
    y = unary(lambda x, _: F.dropout(x, ratio, training))(step, inputs, training)
    return (y, np.ones(first(inputs[0]).shape, bool)) if len(step.outputs) > 1 else y


def of(name, **defaults):
    """An op with settings that are ONNX's attributes of the same names."""
    return unary(lambda x, step: getattr(ops, name)(x, **{k: step.get(k, v) for k, v in defaults.items()}))


def hard_sigmoid(x, step):
    return ops.clamp(x * step.get("alpha", 0.2) + step.get("beta", 0.5), min=0.0, max=1.0)


def selu(x, step):
    alpha, gamma = step.get("alpha", 1.6732632423543772), step.get("gamma", 1.0507009873554805)
    return ops.elu(x, alpha=alpha) * gamma


def table():
    """{operator: function}."""
    return {
        "Conv": conv, "ConvTranspose": conv_transpose, "BatchNormalization": batch_norm, "MaxPool": max_pool,
        "AveragePool": average_pool, "GlobalAveragePool": global_average_pool, "GlobalMaxPool": global_max_pool,
        "LRN": lrn, "Gemm": gemm, "MatMul": matmul, "Clip": clip, "PRelu": prelu, "Dropout": dropout, "Mean": mean,
        "Relu": of("relu"), "Sigmoid": of("sigmoid"), "Tanh": of("tanh"), "Exp": of("exp"), "Log": of("log"),
        "Sqrt": of("sqrt"), "Neg": of("neg"), "Abs": of("abs"), "Elu": of("elu", alpha=1.0), "Mish": of("mish"),
        "LeakyRelu": unary(lambda x, step: ops.leaky_relu(x, negative_slope=step.get("alpha", 0.01))),
        "Selu": unary(selu), "HardSigmoid": unary(hard_sigmoid), "HardSwish": of("hardswish"),
        "Softplus": unary(lambda x, _: ops.softplus(x)), "Reciprocal": unary(lambda x, _: 1.0 / x),
        "Gelu": of("gelu", approximate="none"), "Softsign": unary(lambda x, _: x / (ops.abs(x) + 1.0)),
        "Add": arithmetic(ops.add, np.add), "Sub": arithmetic(ops.sub, np.subtract),
        "Mul": arithmetic(ops.mul, np.multiply), "Div": arithmetic(ops.div, truncated),
        "Pow": binary(ops.pow), "Sum": variadic(ops.add, np.add),
        "Max": variadic(ops.maximum, np.maximum), "Min": variadic(ops.minimum, np.minimum),
        "Softmax": softmax(ops.softmax), "LogSoftmax": softmax(ops.log_softmax), "Identity": s.identity,
        "Constant": s.constant, "ConstantOfShape": s.constant_of_shape, "Shape": s.shape, "Reshape": s.reshape,
        "Flatten": s.flatten, "Transpose": s.transpose, "Concat": s.concat, "Squeeze": s.squeeze,
        "Unsqueeze": s.unsqueeze, "Gather": s.gather, "Slice": s.slice_, "Pad": s.pad, "Cast": s.cast,
        "Expand": s.expand, "ReduceMean": s.reduction(ops.mean), "ReduceSum": s.reduction(ops.sum),
        "ReduceMax": s.reduction(ops.max), "ReduceMin": s.reduction(s.minimum), "Resize": s.resize,
        "Upsample": s.resize,
    }  # fmt: skip


OPERATORS = table()
