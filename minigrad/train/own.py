"""Nets and data sets of the user's own, named as `file.py:name`: --arch net.py:Net, --data data.py:make."""

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path

import numpy as np

from kernels.virtual import virtual

from .. import nn, random
from ..command.errors import UsageError, shortened
from ..command.reference import short
from ..nn.inspection import shapes_only
from ..tensor import Tensor

NEEDED = ("classes", "image_shape", "num_classes", "__len__", "__getitem__")  # of a data set, see data.Dataset


def named(flag, text):
    """What a Python file calls by that name; the file is run. UsageError if there is none, or the file fails."""
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise UsageError(f"{flag} {text}: no such file: {path}")
    module = executed(flag, text, Path(path))
    if not hasattr(module, name):
        raise UsageError(f"{flag} {text}: {path} has no {name!r}")
    return getattr(module, name)


def executed(flag, text, path):
    """The module of a file. Files beside it can be imported by it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise failed(flag, text, error) from error
    finally:
        sys.path.remove(beside)
    return module


def failed(flag, text, error):
    """UsageError that says what the user's code raised, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if last.filename == __file__ else f" ({Path(last.filename).name}, line {last.lineno})"
    return UsageError(f"{flag} {text}: {type(error).__name__}: {error}{where}")


def build(arch, sizes, seed):
    """The net of --arch, called with those of the sizes (num_classes, in_channels, image_size) that it takes.

    Its initial weights depend on the seed alone. UsageError for what is no Module.
    """
    make = named("--arch", arch)
    try:
        with random.seeded(seed):
            net = make(**taken(make, sizes))
    except Exception as error:
        raise failed("--arch", arch, error) from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"--arch {arch}: {short(arch)} must give a minigrad.nn.Module; got {type(net).__name__}")
    return checked(net, arch, sizes)


def taken(make, sizes):
    """Those of the sizes that a function or a class takes."""
    parameters = inspect.signature(make).parameters
    return {name: value for name, value in sizes.items() if name in parameters}


def checked(net, arch, sizes):
    """The net. UsageError if it doesn't make logits of images."""
    if not any(True for _ in net.parameters()):
        raise UsageError(f"--arch {arch}: the net has no parameters to train")
    image, wanted = (2, sizes["image_size"], sizes["image_size"], sizes["in_channels"]), (2, sizes["num_classes"])
    try:
        with shapes_only(net):
            out = net.eval()(Tensor(virtual(image, np.dtype(np.float32))))
    except Exception as error:
        raise failed(f"--arch {arch}: of", f"images {image}", error) from error
    net.train()
    if getattr(out, "shape", None) != wanted:
        found = getattr(out, "shape", type(out).__name__)
        raise UsageError(f"--arch {arch}: of images {image} it must make logits {wanted}; it makes {found}")
    return net


def datasets(text):
    """(training set, test set) of --data, a function without arguments. UsageError for anything else.

    What it draws with minigrad's own functions is the same in each run.
    """
    make = named("--data", text)
    try:
        with random.seeded(0):
            pair = make()
    except Exception as error:
        raise failed("--data", text, error) from error
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise UsageError(f"--data {text}: must give (training set, test set); got {shortened(repr(pair))}")
    for part, dataset in zip(("training", "test"), pair):
        missing = [name for name in NEEDED if getattr(dataset, name, None) is None]
        if missing:
            raise UsageError(f"--data {text}: its {part} set has no {missing[0]}; see minigrad.data.Dataset")
        if getattr(dataset, "transforms_itself", False):
            rule = "the command prepares images itself; a minigrad.train.Trainer takes them as they come"
            raise UsageError(f"--data {text}: its {part} set has a transform of its own: {rule}")
        if not len(dataset):
            raise UsageError(f"--data {text}: its {part} set is empty")
    return tuple(pair)
