"""The same contract on the GPU: each kernel with one array in every wrong form gives the right number or an error.

Every launch on the emulated device checks the canaries around each array; on a GPU the sanitizer does.
"""

import collections

import numpy as np
import pytest
from contract_cases import CALLS, CANARY, arguments, changed, places
from cuda_cases import BFLOAT16, needs_device, to_device, xp

import minigrad as mg
from kernels import cuda, reference

pytestmark = [needs_device, pytest.mark.long]


def within(a, shape, at):
    """The numbers as a view `at` of a buffer of this shape, full of canaries elsewhere."""
    view = xp.asarray(np.full(shape, CANARY, a.dtype))[at]
    view[...] = xp.asarray(a)
    return view


WRONG = {  # never accepted
    **{t: (lambda a, t=t: xp.asarray(a.astype(t))) for t in ("int8", "uint8", "int32", "int64", "bool", "complex64")},
    **{"on the host": lambda a: a, "a list": lambda a: a.tolist(), "a number": lambda a: 1.5},
    **{"a scalar": lambda a: a.flat[0], "a tensor": lambda a: mg.tensor(a)},
}
DOUBTFUL = {  # right if it is all there is, else refused
    **{t: (lambda a, t=t: xp.asarray(a.astype(t))) for t in ("float64", "float16", BFLOAT16)},
    **{
        "0-d": lambda a: xp.asarray(a.reshape(-1)[:1].reshape(())),
        "one axis less": lambda a: xp.asarray(a.reshape(-1)),
    },
    **{"one more row": lambda a: xp.asarray(np.concatenate([a, a[:1]])), "empty": lambda a: xp.asarray(a[:0])},
    **{"fewer channels": lambda a: xp.asarray(a[..., :-1].copy())},
}
LAYOUTS = {  # always right
    "sliced": lambda a: within(a, (*a.shape[:-1], 2 * a.shape[-1]), (..., slice(None, None, 2))),
    "one element further": lambda a: within(a, (*a.shape[:-1], 1 + a.shape[-1]), (..., slice(1, None))),
    "reversed": lambda a: xp.asarray(a[::-1].copy())[::-1],
    "last reversed": lambda a: xp.asarray(a[..., ::-1].copy())[..., ::-1],
    "axes reversed": lambda a: xp.asarray(a.T.copy()).T,
}


def numbers(value):
    """The value with arrays of the device as float64 on the host."""
    if isinstance(value, list | tuple):
        return [numbers(each) for each in value]
    if hasattr(value, "get"):
        value = value.get()
    return np.array(value, np.float64) if isinstance(value, np.ndarray | np.generic) else value


def arrays_in(value):
    """All arrays in nested lists and tuples, one after the other."""
    if isinstance(value, list | tuple):
        return [a for each in value for a in arrays_in(each)]
    return [value] if isinstance(value, np.ndarray) else []


def try_one(name, args):
    """Run the kernel: "right" as the reference says, or "refused" with its name. What else happens fails the test."""
    wanted = numbers(args)
    low = any(a.dtype.itemsize == 2 for a in flat_arrays(args))
    try:
        found = getattr(cuda, name)(*args)
    except (TypeError, ValueError) as error:
        assert name in str(error), error
        return "refused"
    expected = getattr(reference, name)(*wanted)
    written = [a for a in args if isinstance(a, list)], [a for a in wanted if isinstance(a, list)]
    pairs = zip(arrays_in(numbers([found, written[0]])), arrays_in(numbers([expected, written[1]])), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=0.05 if low else 2e-3, atol=0.05 if low else 2e-3, err_msg=name)
    return "right"


def flat_arrays(args):
    """The arrays among the arguments, and among their lists."""
    return [a for value in args for a in (value if isinstance(value, list) else [value]) if hasattr(a, "dtype")]


def with_one_changed(name, place, change):
    """The kernel's arguments on the device, one of them in another form."""
    i, j = place
    host = arguments(name, [])
    form = change(host[i] if j is None else host[i][j])
    return changed(to_device(host), place, lambda _: form)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_kernel_gives_the_right_number_or_a_clear_error(name):
    counts = collections.Counter()
    assert try_one(name, to_device(arguments(name, []))) == "right"
    for place in places(arguments(name, [])):
        for kinds, allowed in ((WRONG, {"refused"}), (DOUBTFUL, {"right", "refused"}), (LAYOUTS, {"right"})):
            for kind, change in kinds.items():
                outcome = try_one(name, with_one_changed(name, place, change))
                any_type = name == "concat_forward" and kind not in ("on the host", "a list", "a tensor")
                assert outcome in ({"right", "refused"} if any_type else allowed), (
                    f"{name}: {kind} at {place}: {outcome}"
                )
                counts[outcome] += 1
    assert counts["refused"]


def with_float32_vectors(value):
    """Arrays in bfloat16, those of one axis or none in float32."""
    if isinstance(value, list | tuple):
        return type(value)(map(with_float32_vectors, value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(BFLOAT16 if value.ndim > 1 else np.float32)
    return value


@pytest.mark.parametrize("name", CALLS)
def test_float32_vectors_beside_16_bit_arrays_are_never_read_as_such(name):
    """The contract lets them pass. On a GPU nothing else would notice a kernel that takes their bytes for bfloat16."""
    assert try_one(name, to_device(with_float32_vectors(arguments(name, [])))) == "right"
