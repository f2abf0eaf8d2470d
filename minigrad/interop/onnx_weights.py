"""ONNX files as weights for one of minigrad's nets: the initializers that have a parameter's name.

Who wrote the file tells how they are laid out. What was folded or transposed at export has lost its name: such a file
is refused, since the net that it holds can still be loaded as it is (`onnx.load`).
"""

import re

import numpy as np

from .contents import Contents
from .errors import WeightsError, check_count
from .onnx import array_of, model_of

PRODUCERS = {"pytorch": "torch", "minigrad": "minigrad"}
PARAMETER = re.compile(r"\w+(\.\w+)+")  # layer1.0.conv1.weight; not onnx::Conv_193, nor /fc/Constant
TO_MINIGRAD = (0, 2, 3, 1)


def read(path):
    """Contents of an ONNX file that PyTorch or minigrad wrote. WeightsError for others, and for folded weights."""
    model = model_of(path)
    origin = PRODUCERS.get(model.producer_name)
    other = "minigrad.load(path) or interop.onnx.load(path) has the net itself, which can be trained"
    if origin is None:
        known = "only of files by pytorch and minigrad is it known how weights are named and laid out"
        raise WeightsError(f"{path}: an ONNX file by {model.producer_name or 'an unknown program'}; {known}. {other}")
    check_count(path, len(model.graph.initializer))
    arrays = {t.name: array_of(path, t) for t in model.graph.initializer}
    named = {name: a for name, a in arrays.items() if PARAMETER.fullmatch(name)}
    if lost := [n for n, a in arrays.items() if n not in named and a.ndim in (2, 4) and a.dtype.kind == "f"]:
        folded = f"{len(lost)} weights have lost their names at export ({lost[0]}), as folded batch norms do"
        raise WeightsError(f"{path}: {folded}. {other}")
    facts = {"metadata": {entry.key: entry.value for entry in model.metadata_props}}
    return Contents(str(path), {n: laid_out(origin, a) for n, a in named.items()}, origin, facts)


def laid_out(origin, array):
    """As the origin has it: minigrad's filters have channels last, which ONNX does not."""
    if origin == "minigrad" and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(TO_MINIGRAD))
    return array
