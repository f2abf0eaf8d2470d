"""Every op under its torch name, beside torch in float64: the largest difference of value and gradient.

    python benchmarks/torch_names.py            print the table
    python benchmarks/torch_names.py --write    put it into docs/torch_names.md

Needs PyTorch. Nothing is in the table that has no row in tests/op_table.py, which checks gradients on every device.
"""

import argparse
import inspect
import pathlib
import re
import sys
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from torch_calls import NAMES  # noqa: E402

import minigrad  # noqa: E402
from minigrad import Tensor  # noqa: E402

TO_NCHW, TO_NHWC = {4: (0, 3, 1, 2), 3: (0, 2, 1)}, {4: (0, 2, 3, 1), 3: (0, 2, 1)}


def found(root, path):
    for part in path.split("."):
        root = getattr(root, part)
    return root


def first(y):
    """The values of (values, indices)."""
    return y[0] if isinstance(y, tuple) else y


def called(function, name, inputs, constants, settings):
    inputs = [inputs] if name.sequence else inputs
    return first(
        function(*constants, *inputs, **settings) if name.before else function(*inputs, *constants, **settings)
    )


def turned(array, order):
    return array.transpose(order[array.ndim]) if array.ndim in order else array


def ours(name):
    """Value and gradients."""
    tensors = [Tensor(a, requires_grad=True) for a in name.arrays()]
    settings = name.settings if name.mine is None else name.mine
    y = called(found(minigrad, name.ours or name.path), name, tensors, name.constants, settings)
    y.backward(incoming(y.shape))
    return [y.numpy(), *(t.grad for t in tensors)]


def incoming(shape):
    return np.random.default_rng(1).standard_normal(shape)


def theirs(name):
    """The same of torch, channels last."""
    import torch

    def converted(value):
        return torch.tensor(value) if isinstance(value, np.ndarray) else value

    tensors = [torch.tensor(turned(a, TO_NCHW) if name.image else a, requires_grad=True) for a in name.arrays()]
    settings = {n: converted(v) for n, v in name.settings.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means that torch is going to change, and of its own copies
        y = called(found(torch, name.path), name, tensors, [converted(c) for c in name.constants], settings)
    has_channels = name.image and y.ndim == len(name.shapes[0])
    mine = turned(y.detach().numpy(), TO_NHWC) if has_channels else y.detach().numpy()
    dy = incoming(mine.shape)
    y.backward(torch.tensor(turned(dy, TO_NCHW) if has_channels else dy))
    grads = [t.grad.numpy() for t in tensors]
    return [mine, *(turned(g, TO_NHWC) if name.image else g for g in grads)]


def differences(name):
    """(largest difference of the values, of the gradients)"""
    (y, *grads), (z, *expected) = ours(name), theirs(name)
    assert y.shape == z.shape, f"{name.path}: shape {y.shape}, torch {z.shape}"
    apart = [float(np.abs(a - b).max(initial=0)) for a, b in zip([y, *grads], [z, *expected])]
    return apart[0], max(apart[1:])


def signature(function, name):
    """How it is called; of torch's built-in functions the first line of their documentation."""
    try:
        return name + str(inspect.signature(function)).split(" ->")[0]
    except ValueError:
        line = next((l for l in (function.__doc__ or "").splitlines() if "(" in l), "(...)")
        return name + re.sub(r"\s*->.*", "", line[line.index("(") :]).replace("\\", "")


def shortened(text):
    """Without types and what torch keeps for older programs only."""
    text = re.sub(r": [^,)=]*(\[[^\]]*\])?[^,)=]*", "", text)
    return re.sub(r", (size_average|reduce|_stacklevel|memory_format)\s*=[^,)]*", "", text).replace("|", "\\|")


def table():
    """The lines of the table: one for each name, the largest of its calls."""
    import torch

    rows = {}
    for name in NAMES:
        rows.setdefault(name.path, []).append(differences(name))
    yield "| torch | minigrad | value | gradient |"
    yield "|---|---|---:|---:|"
    for path, found_there in rows.items():
        short = path.rpartition(".")[2]
        both = [shortened(signature(found(module, path), short)) for module in (torch, minigrad)]
        yield "| `{}` | `{}` | {:.0e} | {:.0e} |".format(*both, *(max(c) for c in zip(*found_there)))


HEAD = """# PyTorch's names

What torch calls each op, what it is here, and the largest difference of value and gradient beside torch in float64,
over all calls in `benchmarks/torch_names.py`, which wrote this table (`--write`). Images are channels last here. Every
op has its rows in `tests/op_table.py`: gradients by differences on each device, memory, and the bits of a second run.

"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/torch_names.md")
    text = "\n".join(table()) + "\n"
    if parser.parse_args().write:
        target = ROOT / "docs" / "torch_names.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(HEAD + text)
    else:
        print(text)


if __name__ == "__main__":
    main()
