"""How each op is written in ONNX: one function for each, which takes the graph under way and the call that ran."""

import numpy as np

from .errors import WeightsError
from .layout import to_torch

AXES = (0, 2, 3, 1)  # where each axis of (N, H, W, C) stands in (N, C, H, W)


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


# Convolutions and batch norms


def conv2d(graph, call, relu=False):
    s = call.settings
    pads, dilations = pair(s.get("padding", 0)), pair(s.get("dilation", 1))
    settings = dict(strides=pair(s.get("stride", 1)), pads=pads * 2, dilations=dilations, group=s.get("groups", 1))
    norm = graph.next_user.get(id(call.output))
    if graph.fold and not relu and graph.users[id(call.output)] == 1 and is_foldable(norm):
        weights, out, relu = folded(graph, call, norm), norm.output, norm.op.endswith("relu")
    else:
        w, b = call.inputs[1], call.inputs[2] if len(call.inputs) > 2 else None
        weights, out = [graph.parameter(w, to_torch)] + ([graph.parameter(b)] if b is not None else []), call.output
    finish(graph, out, graph.add("Conv", [graph.image(call.inputs[0]), *weights], **settings), relu)


def is_foldable(norm):
    """Is this call a batch norm that can become part of the convolution before it?"""
    return norm is not None and norm.op in NORMS and not norm.settings.get("training")


def folded(graph, call, norm):
    """Names of the filters and the bias of a convolution that does the work of its batch norm, too."""
    w, b = call.inputs[1].numpy(), call.inputs[2].numpy() if len(call.inputs) > 2 and call.inputs[2] is not None else 0
    gamma, beta = (t.numpy().astype(np.float64) for t in norm.inputs[1:3])
    mean, var = (norm.settings[n].numpy().astype(np.float64) for n in ("running_mean", "running_var"))
    scale = gamma / np.sqrt(var + norm.settings["eps"])
    name = graph.names.get(id(call.inputs[1]), f"folded_{len(graph.weights)}").removesuffix("weight")
    filters = to_torch((w * scale[:, None, None, None]).astype(np.float32))
    bias = ((b - mean) * scale + beta).astype(np.float32)
    return [graph.weight(filters, f"{name}weight"), graph.weight(bias, f"{name}bias")]


def finish(graph, out, name, relu=False, is_image=True):
    graph.set(out, graph.add("Relu", [name]) if relu else name, is_image)


def batch_norm(graph, call, relu=False):
    x, gamma, beta = call.inputs
    s = call.settings
    if s.get("training"):
        raise WeightsError("ONNX: a batch norm without running statistics is not translated")
    is_image = x.ndim == 4
    vectors = (gamma, beta, s["running_mean"], s["running_var"])
    inputs = [graph.as_layout(x, is_image), *map(graph.parameter, vectors)]
    finish(graph, call.output, graph.add("BatchNormalization", inputs, epsilon=float(s["eps"])), relu, is_image)


def dense_block(graph, call):
    """Layer by layer, with the concats that the op itself avoids."""
    x, *weights = call.inputs
    units, eps = call.settings["units"], float(call.settings["eps"])
    features = graph.image(x)
    triples = [weights[i : i + 3] for i in range(0, len(weights), 3)]
    for first in range(0, len(triples), units):
        y = features
        for unit, (mean, var) in zip(triples[first : first + units], call.settings["running"][first : first + units]):
            y = norm_relu_conv(graph, y, unit, (mean, var), eps)
        features = graph.add("Concat", [features, y], axis=1)
    graph.set(call.output, features, True)


def norm_relu_conv(graph, x, unit, running, eps):
    gamma, beta, w = unit
    vectors = [graph.parameter(t) for t in (gamma, beta, *running)]
    y = graph.add("Relu", [graph.add("BatchNormalization", [x, *vectors], epsilon=eps)])
    pads = (w.shape[1] // 2, w.shape[2] // 2) * 2
    return graph.add("Conv", [y, graph.parameter(w, to_torch)], pads=pads)


def conv_transpose2d(graph, call):
    s = call.settings
    settings = dict(strides=pair(s.get("stride", 1)), pads=pair(s.get("padding", 0)) * 2, group=s.get("groups", 1))
    settings |= dict(dilations=pair(s.get("dilation", 1)), output_padding=pair(s.get("output_padding", 0)))
    x, w, b = (*call.inputs, None)[:3]
    weights = [graph.parameter(w, to_torch)] + ([graph.parameter(b)] if b is not None else [])
    finish(graph, call.output, graph.add("ConvTranspose", [graph.image(x), *weights], **settings))


def linear(graph, call, relu=False):
    x, w, b = (*call.inputs, None)[:3]
    if x.ndim == 2:
        inputs = [graph.plain(x), graph.parameter(w)] + ([graph.parameter(b)] if b is not None else [])
        return finish(graph, call.output, graph.add("Gemm", inputs, transB=1), relu, False)
    y = graph.add("MatMul", [graph.plain(x), graph.weight(np.ascontiguousarray(w.numpy().T))])
    y = y if b is None else graph.add("Add", [y, graph.parameter(b)])
    return finish(graph, call.output, y, relu, False)


# Elementwise


def elementwise(op, relu=False, **fixed):
    def write(graph, call):
        tensors = [t for t in call.inputs if t is not None]
        is_image = call.output.ndim == 4 and all(t.ndim == 4 for t in tensors)
        names = [graph.as_layout(t, is_image) for t in tensors]
        finish(graph, call.output, graph.add(op, names, **fixed), relu, is_image)

    return write


def leaky_relu(graph, call):
    elementwise("LeakyRelu", alpha=float(call.settings.get("negative_slope", 0.01)))(graph, call)


def softmax(op):
    def write(graph, call):
        finish(graph, call.output, graph.add(op, [graph.plain(call.inputs[0])], axis=-1), is_image=False)

    return write


def power(graph, call):
    exponent = graph.weight(np.float32(call.settings["exponent"]).reshape(()))
    is_image = call.output.ndim == 4
    finish(graph, call.output, graph.add("Pow", [graph.as_layout(call.inputs[0], is_image), exponent]), False, is_image)


# Pooling and response norm


def pads_of(call, size, stride, padding, dilation=(1, 1)):
    """ONNX's (top, left, bottom, right), so that rounding down gives the size that the run had, ceil_mode or not."""
    after = []
    for n, p, k, s, pad, d in zip(call.inputs[0].shape[1:3], call.output.shape[1:3], size, stride, padding, dilation):
        needed = (p - 1) * s + d * (k - 1) + 1 - n - pad
        after.append(needed if call.settings.get("ceil_mode") and needed > pad else pad)
    return (*padding, *after)


def window(call):
    size = pair(call.settings["kernel_size"])
    stride = call.settings.get("stride")
    return size, size if stride is None else pair(stride), pair(call.settings.get("padding", 0))


def max_pool2d(graph, call):
    size, stride, padding = window(call)
    dilations = pair(call.settings.get("dilation", 1))
    settings = dict(kernel_shape=size, strides=stride, dilations=dilations)
    pads = pads_of(call, size, stride, padding, dilations)
    finish(graph, call.output, graph.add("MaxPool", [graph.image(call.inputs[0])], pads=pads, **settings))


def avg_pool2d(graph, call):
    size, stride, padding = window(call)
    pads, counted = pads_of(call, size, stride, padding), call.settings.get("count_include_pad", True) and any(padding)
    if counted and pads[2:] != pads[:2]:
        raise WeightsError("ONNX: avg_pool2d with ceil_mode that counts its padding is not translated")
    settings = dict(kernel_shape=size, strides=stride, pads=pads, count_include_pad=int(counted))
    finish(graph, call.output, graph.add("AveragePool", [graph.image(call.inputs[0])], **settings))


def adaptive_avg_pool2d(graph, call):
    hw, pq = call.inputs[0].shape[1:3], call.output.shape[1:3]
    x = graph.image(call.inputs[0])
    if pq == (1, 1):
        return finish(graph, call.output, graph.add("GlobalAveragePool", [x]))
    if any(n % p for n, p in zip(hw, pq)):
        raise WeightsError(f"ONNX: adaptive_avg_pool2d from {hw} to {pq} is not translated: the windows differ in size")
    size = tuple(n // p for n, p in zip(hw, pq))
    y = x if size == (1, 1) else graph.add("AveragePool", [x], kernel_shape=size, strides=size)
    return finish(graph, call.output, y)


def local_response_norm(graph, call):
    """Over images as it is; over more axes (the towers of AlexNet) with all but the channels in a row."""
    s, x = call.settings, call.inputs[0]
    settings = dict(size=s["size"], alpha=float(s.get("alpha", 1e-4)), beta=float(s.get("beta", 0.75)))
    settings["bias"] = float(s.get("k", 1.0))
    if s["size"] % 2 == 0:
        raise WeightsError(f"ONNX: local_response_norm of an even size ({s['size']}) is not translated")
    if x.ndim == 4:
        return finish(graph, call.output, graph.add("LRN", [graph.image(x)], **settings))
    rows = reshape_to(graph, graph.plain(x), (-1, x.shape[-1], 1, 1))
    y = reshape_to(graph, graph.add("LRN", [rows], **settings), (-1, *x.shape[1:]))
    return finish(graph, call.output, y, is_image=False)


# Shapes


def reshape_to(graph, name, shape):
    return graph.add("Reshape", [name, graph.weight(np.array(shape, np.int64))])


def reshape(graph, call):
    x, y = call.inputs[0], call.output
    if x.shape[0] != y.shape[0]:
        raise WeightsError(f"ONNX: a reshape that joins images ({x.shape} to {y.shape}) is not translated")
    one_pixel = x.ndim == 4 and x.shape[1:3] == (1, 1)  # the order is the same
    name = graph.image(x) if one_pixel and id(x) in graph.values else graph.plain(x)
    finish(graph, y, reshape_to(graph, name, (-1, *y.shape[1:])), is_image=False)


def concat(graph, call):
    tensors = [t for t in call.inputs if t is not None]
    dim = call.settings.get("dim", -1) % tensors[0].ndim
    is_image = tensors[0].ndim == 4
    names = [graph.as_layout(t, is_image) for t in tensors]
    finish(graph, call.output, graph.add("Concat", names, axis=AXES[dim] if is_image else dim), False, is_image)


def pad(graph, call):
    x, pads = call.inputs[0], call.settings["pads"]
    is_image = x.ndim == 4
    order = (0, 3, 1, 2) if is_image else range(x.ndim)
    flat = [pads[axis][0] for axis in order] + [pads[axis][1] for axis in order]
    inputs = [graph.as_layout(x, is_image), graph.weight(np.array(flat, np.int64))]
    inputs.append(graph.weight(np.float32(call.settings.get("value", 0.0)).reshape(())))
    finish(graph, call.output, graph.add("Pad", inputs), False, is_image)


def getitem(graph, call):
    x, index = call.inputs[0], call.settings["index"]
    index = index if isinstance(index, tuple) else (index,)
    if any(not isinstance(i, slice) or (i.step or 1) < 1 for i in index):
        raise WeightsError(f"ONNX: indexing by {index} is not translated, only by slices with a step > 0")
    is_image, name = x.ndim == 4, graph.as_layout(x, x.ndim == 4)
    for axis, i in enumerate(index):
        start, stop, step = i.indices(x.shape[axis])
        if (start, stop, step) != (0, x.shape[axis], 1):
            where = AXES[axis] if is_image else axis
            arrays = (graph.weight(np.array([v], np.int64)) for v in (start, stop, where, step))
            name = graph.add("Slice", [name, *arrays])
    finish(graph, call.output, name, False, is_image)


def with_relu(write):
    return lambda graph, call: write(graph, call, relu=True)


NORMS = ("batch_norm", "batch_norm_relu")
TRANSLATIONS = {
    "conv2d": conv2d, "conv2d_relu": with_relu(conv2d), "conv_transpose2d": conv_transpose2d, "linear": linear,
    "linear_relu": with_relu(linear), "batch_norm": batch_norm, "batch_norm_relu": with_relu(batch_norm),
    "dense_block": dense_block, "relu": elementwise("Relu"), "sigmoid": elementwise("Sigmoid"),
    "exp": elementwise("Exp"),
    "tanh": elementwise("Tanh"), "leaky_relu": leaky_relu, "add": elementwise("Add"), "sub": elementwise("Sub"),
    "mul": elementwise("Mul"), "div": elementwise("Div"), "neg": elementwise("Neg"), "sqrt": elementwise("Sqrt"),
    "log": elementwise("Log"), "add_relu": elementwise("Add", relu=True), "power": power, "softmax": softmax("Softmax"),
    "log_softmax": softmax("LogSoftmax"), "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d, "local_response_norm": local_response_norm, "reshape": reshape,
    "concat": concat, "pad": pad, "getitem": getitem,
}  # fmt: skip
