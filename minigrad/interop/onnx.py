"""ONNX files as trainable modules, with the onnx package (`pip install minigrad[onnx]`).

    net = onnx.load("net.onnx")      a Module; net(x) takes and gives images with channels last
    net.run(images)                  arrays as the file has them, channels first

Nothing in a file is executed but the operators of `onnx_operators.OPERATORS`; weights in other files are refused.
"""

import numpy as np

from ..autograd import no_grad
from ..nn import Buffer, Module, Parameter
from ..tensor import Tensor
from .contents import check_values
from .errors import WeightsError, check_count

FLOATS = (np.float32, np.float64, np.float16)


def load(path):
    """The net in an ONNX file: an OnnxNet in evaluation mode. WeightsError, in one line, for one that can't be run."""
    return OnnxNet(model_of(path), str(path)).eval()


def model_of(path):
    """What an ONNX file says, checked. WeightsError, in one line, for a file that is missing or damaged."""
    try:
        import onnx
    except ImportError:
        raise WeightsError(f"{path}: reading ONNX needs the onnx package: pip install 'minigrad[onnx]'") from None
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except Exception as error:  # protobuf, the checker and the file system each have their own
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"{path}: damaged, or not an ONNX file: {text[0][:200]}") from None
    return model


class Step:
    """One node of the graph: its operator, the names of its inputs ("" where left out) and outputs, its attributes."""

    def __init__(self, node, opset):
        from onnx import helper

        self.op, self.name = node.op_type, node.name or (node.output[0] if node.output else node.op_type)
        self.inputs, self.outputs, self.opset = tuple(node.input), tuple(node.output), opset
        self.attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def get(self, name, default=None):
        """An attribute, texts as str and lists as tuples."""
        value = self.attributes.get(name, default)
        value = value.decode() if isinstance(value, bytes) else value
        return tuple(value) if isinstance(value, list) else value


class OnnxNet(Module):
    """An ONNX graph as a Module. Its float weights are Parameters, batch norm's running statistics are Buffers.

    forward(x, ...)  tensors in the order of the graph's inputs; those of 4 axes have channels last, and so have outputs
    """

    def __init__(self, model, path="<model>"):
        from .onnx_operators import OPERATORS, prepare

        graph, opset = model.graph, next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        check_count(path, len(graph.initializer) + len(graph.node))
        self.steps = [Step(node, opset) for node in graph.node]
        for step, node in zip(self.steps, graph.node):
            if step.op not in OPERATORS or node.domain not in ("", "ai.onnx"):
                raise WeightsError(f"{path}: operator {step.op} (node {step.name}) is not supported")
        arrays = {t.name: array_of(path, t) for t in graph.initializer}
        self.weights = {}  # {name in the graph: attribute here, or an array of integers}
        buffers = {n for step in self.steps if step.op == "BatchNormalization" for n in step.inputs[3:5]}
        for name, array in prepare(self.steps, arrays).items():
            self.keep(name, array, name in buffers)
        if odd := [i.name for i in graph.input if i.type.WhichOneof("value") != "tensor_type"]:
            raise WeightsError(f"{path}: input {odd[0]} is no tensor")
        self.input_names = tuple(i.name for i in graph.input if i.name not in arrays)
        self.output_names = tuple(o.name for o in graph.output)
        self.path, self.metadata = path, {entry.key: entry.value for entry in model.metadata_props}
        self.images = [sizes_of(i) for i in graph.input if i.name not in arrays]
        self.classes = sizes_of(graph.output[0])[-1:] if graph.output else []

    def sizes(self):
        """(classes, (H, W), channels) of a net from one batch of images to logits, as its graph declares them.

        WeightsError for a net of other inputs or outputs, and where the graph leaves a size open.
        """
        found = [*self.classes, *self.images[0][1:]] if len(self.images) == 1 else []
        if len(found) != 4 or not all(found):
            shapes = f"inputs {self.images}, classes {self.classes}"
            raise WeightsError(f"{self.path}: not a net from images of one size to classes: {shapes}")
        classes, channels, height, width = found
        return classes, (height, width), channels

    def keep(self, name, array, is_buffer):
        """A weight as an attribute of this module; integers, which nothing trains, as they are."""
        if array.dtype.type not in FLOATS:
            self.weights[name] = array
            return
        attribute = "".join(c if c.isalnum() else "_" for c in name)
        attribute = attribute if attribute not in vars(self) else f"{attribute}_{len(self.weights)}"
        setattr(self, attribute, (Buffer if is_buffer else Parameter)(np.array(array)))
        self.weights[name] = attribute

    def forward(self, *inputs):
        from .onnx_values import Image

        return self.outputs([Image(x) if x.ndim == 4 else x for x in inputs], channels_last=True)

    def run(self, *arrays):
        """The graph on arrays as the file has them: a list of arrays, channels first; without gradients."""
        inputs = [Tensor(a) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in map(np.asarray, arrays)]
        with no_grad():
            found = self.outputs(inputs, channels_last=False)
        found = found if isinstance(found, tuple) else (found,)
        return [t.numpy() if isinstance(t, Tensor) else np.asarray(t) for t in found]

    def outputs(self, inputs, channels_last):
        """The graph's outputs, one or a tuple. channels_last: of images. ValueError for another number of inputs."""
        from .onnx_values import Image, first, last

        if len(inputs) != len(self.input_names):
            raise ValueError(
                f"{self.path}: takes {len(self.input_names)} inputs ({self.input_names}); got {len(inputs)}"
            )
        values = dict(zip(self.input_names, inputs))
        for name, weight in self.weights.items():
            values[name] = getattr(self, weight) if isinstance(weight, str) else weight
        for step in self.steps:
            values.update(zip(step.outputs, self.step(step, [values[n] if n else None for n in step.inputs])))
        found = tuple(values[name] for name in self.output_names)
        found = tuple(last(v) if channels_last and isinstance(v, Image) else first(v) for v in found)
        return found if len(found) > 1 else found[0]

    def step(self, step, inputs):
        """The outputs of one node, a tuple. ValueError that names the node where it can't be done."""
        from .onnx_operators import OPERATORS

        try:
            found = OPERATORS[step.op](step, inputs, self.training)
        except (ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
            raise WeightsError(f"{self.path}: {step.op} (node {step.name}): {error}") from error
        return found if isinstance(found, tuple) else (found,)


def sizes_of(value):
    """The sizes of an input's or an output's axes; 0 where they are open."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]


def array_of(path, tensor):
    """An initializer's numbers. WeightsError for numbers elsewhere, or fewer than its shape says."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise WeightsError(f"{path}: refused: the numbers of {tensor.name} are in another file")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path}: {tensor.name}: {error}") from None
    if array.dtype.kind == "f":
        check_values(path, tensor.name, array)
    return array
