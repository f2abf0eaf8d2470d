"""A net as an ONNX graph, with the onnx package (`pip install minigrad[onnx]`).

The net runs once on shapes alone (trace.py), and each op that ran becomes one or two ONNX nodes. ONNX has channels
first: images stay (N, C, H, W) from the first node to the last, filters are (K, C, R, S), and only where numbers are
put in a row (a flatten over several pixels) a Transpose brings them into the order here. The batch is of any size.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from .errors import WeightsError
from .trace import calls

OPSET, IR_VERSION = 18, 10
TO_IMAGE, TO_PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)  # axes of Transpose


class Value(NamedTuple):
    """A tensor of the graph: its name, and whether it is an image with channels first."""

    name: str
    is_image: bool


class Graph:
    """The ONNX nodes and weights so far, and under which name each tensor of the run is.

    net: whose parameters are called by their names. ran: the calls of its run. fold: batch norms into convolutions.
    """

    def __init__(self, net, ran, fold):
        from onnx import helper

        self.helper, self.fold = helper, fold
        self.nodes, self.weights, self.values, self.counts = [], {}, {}, Counter()
        self.names = {id(t): name for name, t in (*net.named_parameters(), *net.named_buffers())}
        self.ran = ran
        self.users = Counter(id(t) for call in ran for t in call.inputs if t is not None)
        self.next_user = {id(t): call for call in reversed(ran) for t in call.inputs if t is not None}

    def add(self, op, inputs, **attributes):
        """A node with one output, whose name it returns."""
        self.counts[op] += 1
        name = f"{op}_{self.counts[op]}"
        self.nodes.append(self.helper.make_node(op, inputs, [name], name=f"node_{name}", **attributes))
        return name

    def weight(self, array, name=None):
        """The name of an initializer with these numbers; one array is stored once for each name."""
        name = name or f"constant_{len(self.weights)}"
        if name in self.weights and self.weights[name] is not array and not np.array_equal(self.weights[name], array):
            name = f"{name}_{len(self.weights)}"
        self.weights[name] = array
        return name

    def parameter(self, t, convert=lambda array: array):
        """The name of a parameter's or a constant's numbers, converted."""
        return self.weight(np.ascontiguousarray(convert(host(t))), self.names.get(id(t)))

    def set(self, t, name, is_image):
        self.values[id(t)] = Value(name, is_image)

    def image(self, t):
        """The name of a 4-axis tensor with channels first."""
        return self.as_layout(t, True)

    def plain(self, t):
        """The name of a tensor with its axes as they are here."""
        return self.as_layout(t, False)

    def as_layout(self, t, is_image):
        if id(t) not in self.values:
            return self.parameter(t, (lambda a: a.transpose(TO_IMAGE)) if is_image else (lambda a: a))
        name, is_already = self.values[id(t)]
        if is_already == is_image:
            return name
        return self.add("Transpose", [name], perm=TO_IMAGE if is_image else TO_PLAIN)


def host(t):
    """A tensor's numbers as a NumPy array."""
    return t.numpy()


def write_onnx(net, path, image_shape, metadata=None, fold=False):
    """Write a net as an ONNX file and check it.

    image_shape  (H, W, C) of the images; the graph's input is "images" (N, C, H, W) float32, its output "logits"
    metadata     {name: text} for the file's metadata
    fold         True: each batch norm that follows a convolution becomes part of it

    WeightsError, naming the op, where the net has one that is not translated.
    """
    try:
        import onnx
    except ImportError:
        raise WeightsError("writing ONNX needs the onnx package: pip install 'minigrad[onnx]'") from None
    ran = calls(net, image_shape)
    graph = Graph(net, ran, fold)
    graph.set(ran[0].inputs[0], "images", True)
    for call in ran:
        translate(graph, call)
    model = model_of(graph, image_shape, ran[-1].output, metadata or {})
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    return path


def translate(graph, call):
    if id(call.output) in graph.values:  # became part of an earlier node
        return
    from .onnx_ops import TRANSLATIONS

    if call.op not in TRANSLATIONS:
        known = ", ".join(sorted(TRANSLATIONS))
        raise WeightsError(f"ONNX: the op {call.op} is not translated; those that are: {known}")
    TRANSLATIONS[call.op](graph, call)


def model_of(graph, image_shape, output, metadata):
    from onnx import TensorProto, helper, numpy_helper

    h, w, c = image_shape
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", c, h, w])
    graph.nodes.append(helper.make_node("Identity", [graph.plain(output)], ["logits"], name="node_logits"))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", *output.shape[1:]])
    weights = [numpy_helper.from_array(array, name) for name, array in graph.weights.items()]
    body = helper.make_graph(graph.nodes, "net", [images], [logits], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, producer_name="minigrad", opset_imports=opsets, ir_version=IR_VERSION)
    helper.set_model_props(model, metadata)
    return model
