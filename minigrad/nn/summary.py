"""summary: what a net consists of and what it costs, without computing anything."""

from dataclasses import dataclass, field

import numpy as np

from kernels.virtual import virtual

from ..autograd import enable_grad, no_grad
from ..tensor import Tensor
from .inspection import arrays_in, memory_of, nodes_below, shapes_only, tensors_in
from .module import Parameter


@dataclass
class Row:
    """One call of one module. parameters: those that no earlier row has; macs: multiply-accumulates for one image."""

    name: str
    kind: str
    output_shape: tuple = ()
    parameters: int = 0
    macs: int = 0
    inner_macs: int = field(default=0, repr=False)  # those of the modules that it called
    is_whole: bool = field(default=True, repr=False)  # did it call no other module?


@dataclass(frozen=True)
class Summary:
    """What `summary` found; str() or print() gives the table.

    rows              one Row for each call of a layer, in order (evaluation mode)
    parameters        numbers that training changes
    buffers           other numbers that belong to the state (running statistics)
    macs              multiply-accumulates of convolutions and fully-connected layers, for one image
    activation_bytes  what a training step keeps for the backward pass, for one image
    largest_bytes     the largest array among that
    itemsize          bytes of one number
    """

    name: str
    input_shape: tuple
    rows: tuple
    parameters: int
    buffers: int
    macs: int
    activation_bytes: int
    largest_bytes: int
    itemsize: int

    def training_bytes(self, batch_size, optimizer_slots=1, autocast=False):
        """Estimate of the memory that a training step needs at its peak, in bytes, workspace of kernels left out.

        Weights, gradients and the optimizer's arrays (optimizer_slots for each parameter: SGD with momentum 1, Adam 2);
        for each image what is kept for the backward pass, and two gradients as large as the largest activation. Within
        autocast those of an image have 16 bits, and so has a copy of each weight.
        """
        state = (2 + optimizer_slots) * self.parameters + self.buffers
        image = self.activation_bytes + 2 * self.largest_bytes
        low = 2 if autocast else self.itemsize
        return state * self.itemsize + batch_size * image * low // self.itemsize + autocast * low * self.parameters

    def __str__(self):
        return "\n".join((*_table(self), *_totals(self)))


def summary(model, input_shape):
    """Layers, output shapes, parameters and multiply-accumulates of a model for images of input_shape (H, W, C).

    The forward pass runs on shapes alone, so that any net takes milliseconds and no memory. The rows are those of
    evaluation mode, the memory that of a training step. The model is left as it was. ValueError for an input_shape
    that is not a tuple of ints >= 1, or that the model refuses.
    """
    shape = tuple(input_shape)
    if not 1 <= len(shape) <= 3 or any(not isinstance(n, int | np.integer) or n < 1 for n in shape):
        raise ValueError(
            f"summary: input_shape must be the shape of one image, (H, W, C) with ints >= 1; got {input_shape}"
        )
    parameters, buffers = list(model.parameters()), list(model.buffers())
    dtype = parameters[0].dtype if parameters else np.dtype(np.float32)
    state = parameters + buffers
    rows, macs = _evaluated(model, virtual((1, *shape), dtype))
    kept = _kept_in_training(model, state, virtual((2, *shape), dtype))  # two images: batch norm refuses a single value
    return Summary(
        name=type(model).__name__,
        input_shape=shape,
        rows=rows,
        parameters=sum(p.size for p in parameters),
        buffers=sum(b.size for b in buffers),
        macs=macs,
        activation_bytes=sum(kept) // 2,
        largest_bytes=max(kept, default=0) // 2,
        itemsize=dtype.itemsize,
    )


# Rows: each module's forward is wrapped, and notes what happened in it


def _evaluated(model, x):
    with shapes_only(model) as kernels, no_grad():
        watch = _Watch(kernels)
        for name, module in model.eval().named_modules():
            module.forward = watch.wrapped(name or type(module).__name__, module)
        model(Tensor(x))
        return tuple(row for row in watch.rows if row.is_whole or row.macs or row.parameters), kernels.macs


class _Watch:
    """The rows of the calls so far, and the calls that are in progress."""

    def __init__(self, kernels):
        self.kernels, self.rows, self.active, self.counted = kernels, [], [], set()

    def wrapped(self, name, module):
        forward = module.forward

        def watched(*inputs, **settings):
            kind = type(module).__name__ + (" + ReLU" if settings.get("relu") else "")
            row, before = Row(name, kind), self.kernels.macs
            self.rows.append(row)
            self.active.append(row)
            y = forward(*inputs, **settings)
            self.active.pop()
            self.finish(row, module, y, self.kernels.macs - before)
            return y

        vars(watched)["keeps_fusion"] = True  # the table shows what runs
        return watched

    def finish(self, row, module, y, macs):
        row.output_shape = next((t.shape for t in tensors_in(y)), ())
        row.macs = macs - row.inner_macs
        row.parameters = sum(self.newly_counted(p) for p in _own_parameters(module, row.is_whole))
        if self.active:
            self.active[-1].inner_macs += macs
            self.active[-1].is_whole = False

    def newly_counted(self, p):
        new = id(p) not in self.counted
        self.counted.add(id(p))
        return p.size if new else 0


def _own_parameters(module, is_whole):
    return module.parameters() if is_whole else (v for v in vars(module).values() if isinstance(v, Parameter))


# Memory: the graph of a forward pass in training mode, and the arrays that its nodes saved


def _kept_in_training(model, state, x):
    """Bytes of every array that a forward pass keeps for backward, the weights left out."""
    with shapes_only(model), enable_grad():
        outputs = model.train()(Tensor(x))
        weights = {id(t.data) for t in state}
        saved = (memory_of(a) for node in nodes_below(outputs) for a in arrays_in(tuple(node.saved.values())))
        return [a.nbytes for key, a in {id(a): a for a in saved}.items() if key not in weights]


# Text


def _table(found):
    header = ("layer", "type", "output shape", "parameters", "MACs")
    lines = [header, *(_cells(row) for row in found.rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for i, line in enumerate(lines):
        left = (cell.ljust(width) for cell, width in zip(line[:3], widths))
        right = (cell.rjust(width) for cell, width in zip(line[3:], widths[3:]))
        yield "  ".join((*left, *right))
        if i == 0:
            yield "-" * (sum(widths) + 2 * (len(widths) - 1))


def _cells(row):
    shape = f"({', '.join(('N', *map(str, row.output_shape[1:])))})"
    return row.name, row.kind, shape, f"{row.parameters:,}", f"{row.macs:,}"


def _totals(found):
    unused = found.parameters - sum(row.parameters for row in found.rows)
    yield f"{found.name} for images {found.input_shape}"
    yield f"parameters                {found.parameters:,}" + (f" ({unused:,} not in any row)" if unused else "")
    yield f"MACs for one image        {found.macs:,} (convolutions and fully-connected layers)"
    yield f"weights                   {(found.parameters + found.buffers) * found.itemsize / 1e6:,.1f} MB"
    yield f"activations of one image  {found.activation_bytes / 1e6:,.1f} MB kept for the backward pass"
