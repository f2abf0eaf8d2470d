"""gradcheck: is this the backward pass of that forward pass? (Central differences; cf. torch.autograd.gradcheck.)"""

import warnings
from typing import NamedTuple

import numpy as np

from .differences import elementwise, slopes, unit
from .guesses import Evidence, guess
from .problem import Problem
from .report import GradcheckError, KinkWarning, Mistake
from .watch import watched_run

OWN_STREAM = 20240229  # so that dy is not by chance the x that the caller drew from the same seed
LINEAR_TOLERANCE = 1e-10  # differences of a linear function have no truncation error, only rounding


class Settings(NamedTuple):
    step: float
    atol: float
    rtol: float
    linear: bool
    elementwise: bool
    explain: bool

    def agree(self, found, expected):
        """Element by element; small errors count relative to the largest element."""
        scale = max(np.abs(expected).max(initial=0), np.abs(found).max(initial=0))
        return np.abs(found - expected) <= self.atol + self.rtol * scale


def gradcheck(
    fn, inputs=(), *, parameters=None, linear=False, elementwise=False, eps=1e-6, atol=1e-7, rtol=1e-5, seed=0,
    raise_exception=True,
):  # fmt: skip
    """Compare fn's backward pass with differences of its forward pass. True if they belong together.

    fn: an op, a module, or any function of tensors that returns one tensor. inputs: a float64 tensor or several, those
    to check with requires_grad=True. parameters: further leaves that fn reads, a module or {name: tensor}; those of fn
    itself if it is a module.

    For a random dy the backward pass gives dx; the forward pass gives the derivative of <y, dy> along a random
    direction u, which must be <dx, u>. That costs two runs of fn an input. Only where it fails (or always, with
    elementwise=True) each element is moved on its own, by eps up and down; elements at a kink (the slopes to the left
    and to the right differ) are reported by a KinkWarning and pass if dx lies between the two. A number agrees if it
    is within atol + rtol times the input's largest gradient.

    linear=True: fn is linear (or affine) in each input on its own, as a convolution is in x and in w. Then the check
    is the adjoint identity <A u, dy> = <u, A^T dy> with no eps, and far sharper (1e-10); that fn is linear is tested.

    Raises GradcheckError, which names the op, the input, the index, both numbers and the likely mistake; also if an
    input or the incoming gradient was overwritten or if two runs differ. With raise_exception=False returns False
    instead. TypeError and ValueError for inputs that can't be checked (float32, none that requires a gradient, ...).
    """
    problem = Problem(fn, inputs, parameters)
    step, atol, rtol = (1.0, LINEAR_TOLERANCE, LINEAR_TOLERANCE) if linear else (eps, atol, rtol)
    settings = Settings(step, atol, rtol, linear, elementwise, explain=raise_exception)
    rng = np.random.default_rng([seed, OWN_STREAM])
    try:
        examine(problem, settings, rng)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def examine(problem, settings, rng):
    """Run fn, compare every leaf, raise for what is wrong."""
    run = watched_run(problem, rng)
    wrong, expected = [], {}
    for name in problem.leaves:
        direction = rng.standard_normal(problem.array(name).shape)
        if not passes(problem, settings, run, name, direction, expected):
            wrong.append(name)
            if not settings.explain:
                raise GradcheckError(problem.name)
    if wrong:
        raise GradcheckError(problem.name, [mistake(problem, settings, run, n, expected) for n in wrong])


def passes(problem, settings, run, name, direction, expected):
    """Is this leaf's gradient right? What was computed element by element on the way is left in `expected`."""
    found, x = run.found[name], problem.array(name)
    if found is not None and (found.shape != x.shape or found.dtype != x.dtype or not np.isfinite(found).all()):
        return False
    found = np.zeros_like(x) if found is None else found
    along = slopes(problem, run.y, name, direction, settings.step)
    if settings.linear:
        check_linear(problem, run, name, along)
    along = along.times(run.dy)
    if not settings.elementwise:
        if settings.agree(np.vdot(found, direction), along.middle):
            return True
        if not settings.explain and settings.agree(along.left, along.right):
            return False  # smooth there, so no kink is to blame
    expected[name] = elementwise(problem, run, name, settings.step)
    return not wrong_elements(problem, settings, run, name, found, expected[name].gradient)


def check_linear(problem, run, name, along):
    if along.gap > 1e-9 * max(np.abs(run.y).max(initial=0), np.abs(along.middle).max(initial=0)):
        text = (
            f"linear=True, but y is not linear in {name}: a step forth and a step back change it by different amounts"
        )
        raise GradcheckError(problem.name, kind="not linear", text=text)


def wrong_elements(problem, settings, run, name, found, expected):
    """Indices where found is wrong. Where only a kink is to blame, warn, and take what was found for right."""
    wrong, kinks = [], []
    for index in map(tuple, np.argwhere(~settings.agree(found, expected))):
        near = slopes(problem, run.y, name, unit(found.shape, index), settings.step / 10).times(run.dy)
        low, high = min(near.left, near.right), max(near.left, near.right)
        slack = settings.atol * 10 + settings.rtol * np.abs(expected).max()
        if not low - slack <= found[index] <= high + slack:
            wrong.append(index)
            continue
        expected[index] = found[index]
        if near.gap > slack:
            kinks.append((index, near))
    if kinks:
        warn_of_kinks(problem, name, kinks)
    return wrong


def warn_of_kinks(problem, name, kinks):
    index, near = kinks[0]
    more = f" and {len(kinks) - 1} more" if len(kinks) > 1 else ""
    where = f"{name}[{', '.join(map(str, map(int, index)))}]{more}"
    text = (
        f"{problem.name}: {where}: a kink or a tie: the slope is {near.left:.6g} to the left and {near.right:.6g} to "
        "the right, and the gradient found lies between; choose inputs away from it to check this element"
    )
    warnings.warn(text, KinkWarning, stacklevel=6)


def mistake(problem, settings, run, name, expected):
    """The Mistake for a leaf whose gradient is wrong."""
    x, found = problem.array(name), run.found[name]
    if name not in expected:
        expected[name] = elementwise(problem, run, name, settings.step)
    evidence = Evidence(problem, settings.step, run, name, expected)
    guessed, right = guess(evidence), expected[name].gradient
    if found is None or found.shape != x.shape:
        what = "None" if found is None else f"shape {found.shape}"
        return Mistake(name, None, f"shape {x.shape}", what, "the whole gradient", guessed)
    error = np.nan_to_num(np.abs(found - right), nan=np.inf)
    worst = tuple(map(int, np.unravel_index(error.argmax(), x.shape)))
    share = f"{int((~settings.agree(found, right)).sum())} of {x.size} elements are wrong"
    return Mistake(name, worst, f"{right[worst]:.6g}", f"{found[worst]:.6g}", share, guessed)
