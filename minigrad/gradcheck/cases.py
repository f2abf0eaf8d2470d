"""A case of an op (which inputs, which settings), and the checks that every op must pass on each of its cases."""

import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from ..device import CPU
from ..tensor import Tensor
from .check import OWN_STREAM, gradcheck
from .inputs import normal
from .problem import host


@dataclass(frozen=True, eq=False)
class Case:
    """An op with what it is tried on. A table of cases drives the checks and the mutation test.

    op, shapes, params   the op, the shapes of the inputs that are differentiated, its settings
    make                 how the inputs are drawn: make(rng, shape, dtype) -> array (minigrad.gradcheck.inputs)
    constants            further positional inputs, not differentiated
    linear               is the op linear in each input on its own? Then it is checked without eps
    """

    op: Callable
    shapes: tuple
    params: dict = field(default_factory=dict)
    _: KW_ONLY
    make: Callable = normal
    constants: tuple = ()
    linear: bool = False

    def __str__(self):
        settings = (f"{k}={v}" for k, v in self.params.items() if isinstance(v, int | float | str | tuple))
        return "-".join([self.op.__name__, *settings, *("x".join(map(str, s)) for s in self.shapes)])

    def arrays(self, dtype=np.float64, seed=0):
        """The inputs to differentiate, the same for the same seed."""
        rng = np.random.default_rng(seed)
        return [self.make(rng, s, dtype) for s in self.shapes]

    def tensors(self, dtype=np.float64, seed=0, device=CPU):
        """The same as tensors that require a gradient."""
        return [Tensor(device.asarray(a), requires_grad=True) for a in self.arrays(dtype, seed)]

    def run(self, tensors):
        """The op's output for these inputs."""
        return self.op(*tensors, *self.constants, **self.settings(tensors[0].device, tensors[0].dtype))

    def settings(self, device, dtype=np.float64):
        """params with the tensors among them on this device and of this type."""
        return {name: converted(value, device, dtype) for name, value in self.params.items()}


def converted(value, device, dtype):
    if isinstance(value, list | tuple):
        return type(value)(converted(v, device, dtype) for v in value)
    return Tensor(device.asarray(value.data.astype(dtype))) if isinstance(value, Tensor) else value


def outcome(fn, tensors, seed=1):
    """fn's output and, for a random incoming gradient, the gradient of each tensor that requires one (NumPy arrays)."""
    y = fn(tensors)
    y.backward(np.random.default_rng([seed, OWN_STREAM]).standard_normal(y.shape))
    return [host(y), *(host(t.grad) for t in tensors if t.requires_grad)]


def check_gradients(case, device=CPU, **options):
    """gradcheck: the gradients are those of the forward pass, and nothing is overwritten on the way."""
    constants = [Tensor(device.asarray(c)) for c in case.constants]
    fn = functools.partial(case.op, **case.settings(device))
    return gradcheck(fn, [*case.tensors(device=device), *constants], linear=case.linear, **options)


def check_each_alone(case, device=CPU):
    """Where only one input requires its gradient, that gradient is the same."""
    _, *together = outcome(case.run, case.tensors(device=device))
    for i, expected in enumerate(together):
        tensors = [Tensor(t.data, requires_grad=i == j) for j, t in enumerate(case.tensors(device=device))]
        np.testing.assert_allclose(outcome(case.run, tensors)[1], expected, rtol=1e-12, atol=1e-12)


def check_layouts(case, device=CPU):
    """Inputs that are not contiguous in memory give what contiguous ones give."""
    expected = outcome(case.run, case.tensors(device=device))
    for layout in (strided, fortran):
        tensors = [Tensor(layout(t.data, device.xp), requires_grad=True) for t in case.tensors(device=device)]
        for a, b in zip(outcome(case.run, tensors), expected):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def strided(a, xp):
    """Every second element of a wider array."""
    if not a.ndim:
        return a
    wide = xp.full((*a.shape[:-1], 2 * a.shape[-1]), xp.nan, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def fortran(a, xp):
    """The axes in the reverse order in memory."""
    return a.T.copy().T


CHECKS = (check_gradients, check_each_alone, check_layouts)


def check_case(case, device=CPU):
    """All checks of one case. AssertionError (GradcheckError among them) for the first that fails."""
    for check in CHECKS:
        check(case, device)
