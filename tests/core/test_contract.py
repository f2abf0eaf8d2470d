"""What kernels and ops receive: every wrong type, shape, layout and flag gives the right number or a clear error.

Arrays lie between canaries inside larger buffers, so that a write beside them is seen.
"""

import collections
import functools
import inspect

import numpy as np
import pytest
from contract_cases import (
    CALLS,
    DOUBTFUL,
    LAYOUTS,
    WITHOUT,
    WRONG,
    X,
    arguments,
    changed,
    intact,
    places,
    read_only,
    sliced,
)  # fmt: skip
from op_table import CASES

import minigrad as mg
from kernels import contract, cpu, cuda, reference
from kernels.rules import RULES

ALIGNED_ANYHOW = {"relu_forward", "conv2d_forward", "concat_forward"}  # of the others each would compile once more

WRITES = {  # kernels that write arguments, and which
    "sgd_step": (0, 2), "adam_step": (0, 2, 3), "scale_all": (0,), "copy_all": (0,), "moments_line": (6, 7),
    "move_statistics": (0, 1),
}  # fmt: skip


def flat(results, args):
    """Results, and the arguments that may have been written, as float64 arrays."""
    results = results if isinstance(results, tuple) else (results,)
    return [np.asarray(r, np.float64) for r in (*results, *(a for a in args if isinstance(a, list))) if _numeric(r)]


def _numeric(r):
    return r is not None and not (isinstance(r, list) and len({a.shape for a in r}) > 1)


def try_one(name, args, counts):
    """Run the kernel: right as the reference says, or refused with its name. What else happens fails the test."""
    expected_args = [
        [np.array(b) for b in a] if isinstance(a, list) and all(isinstance(b, np.ndarray) for b in a)
        else np.array(a) if isinstance(a, np.ndarray) else a
        for a in args
    ]  # fmt: skip
    try:
        found = getattr(cpu, name)(*args)
    except (TypeError, ValueError) as error:
        assert name in str(error), error
        counts["refused"] += 1
        return "refused"
    expected = getattr(reference, name)(*expected_args)
    for a, b in zip(flat(found, args), flat(expected, expected_args), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4, err_msg=name)
    counts["right"] += 1
    return "right"


def test_every_kernel_has_its_rule_and_a_call_here():
    functions = {n for n, f in vars(cpu).items() if inspect.isfunction(f) and n in vars(reference)}
    own = {n for n in functions if inspect.unwrap(getattr(cpu, n)).__module__.startswith("kernels.cpu")}
    look_themselves = {"each_element", "normal_cdf"}  # they take any array, and look at it (test_elementwise)
    assert own - look_themselves <= set(RULES), "a compiled kernel that nothing checks"
    assert set(RULES) == set(CALLS) | WITHOUT
    for module in (cpu, cuda):
        assert all(hasattr(getattr(module, name), "__wrapped__") for name in RULES)


@pytest.mark.parametrize("name", CALLS)
def test_right_arguments_are_seen_to_be_right_at_a_glance(name, monkeypatch):
    """Those that are looked at one by one take ten times as long, and would be right all the same."""
    monkeypatch.setattr(contract.Checked, "examine", lambda self, args, settings: pytest.fail("examined"))
    kernel = getattr(cpu, name).__wrapped__
    contract.Checked(functools.wraps(kernel)(lambda *args, **settings: None), "kernels.cpu").wrapped()(
        *arguments(name, [])
    )


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_kernel_gives_the_right_number_or_a_clear_error(name):
    counts, buffers = collections.Counter(), []
    assert try_one(name, arguments(name, buffers), counts) == "right"
    for place in places(arguments(name, [])):
        for kinds, allowed in ((WRONG, {"refused"}), (DOUBTFUL, {"right", "refused"}), (LAYOUTS, {"right"})):
            for kind, change in kinds.items():
                if kind == "misaligned" and name not in ALIGNED_ANYHOW:
                    continue
                args = changed(arguments(name, buffers), place, change)
                any_type = name == "concat_forward" or (name in ("scale_all", "squared_norm") and kinds is DOUBTFUL)
                written = kind == "read-only" and place[0] in WRITES.get(name, ())
                outcome = try_one(name, args, counts)
                may = {"refused"} if written else {"right", "refused"} if any_type else allowed
                assert outcome in may, f"{name}: {kind} at {place} was {outcome}"
    assert all(map(intact, buffers)), f"{name} wrote beside its arrays"
    print(f"{name}: {counts['right']} right, {counts['refused']} refused")


def test_max_pooling_backward_checks_its_winners():
    x = np.ones((1, 4, 4, 2), np.float32)
    settings = (2, 2), (2, 2), (0, 0), (1, 1)
    y, winner = cpu.max_pool2d_forward(x, *settings, False)
    with pytest.raises(ValueError, match="max_pool2d_backward: shapes do not fit"):
        cpu.max_pool2d_backward(y, winner[:, :1], x.shape, *settings)
    for wrong in (winner.astype(np.int64), winner.astype(np.float32)):
        with pytest.raises(TypeError, match="max_pool2d_backward: winner"):
            cpu.max_pool2d_backward(y, wrong, x.shape, *settings)


@pytest.mark.parametrize("name", ["relu_forward", "batch_norm_apply"])
def test_out_must_be_writable_and_of_the_type(name):
    args, buffers = arguments(name, []), []
    for wrong in (read_only(np.ones(X, np.float32)), np.ones(X), np.ones(X, np.int32)):
        with pytest.raises((TypeError, ValueError), match=name):
            getattr(cpu, name)(*args, out=wrong)
    assert not buffers


KINDS = {
    **{t: (lambda a, t=t: a.astype(t)) for t in ("float16", "int64", "uint8", "bool", "float64")},
    **{"0-d": lambda a: a.reshape(-1)[:1].reshape(()), "fewer": lambda a: a[..., :-1], "sliced": sliced},
    **{
        "reversed": lambda a: a[::-1],
        "read-only": read_only,
        "swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    },
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.* is NaN without more values")
def test_every_op_gives_what_the_reference_gives_or_a_clear_error(case):
    """Each input in each wrong form; float32 otherwise. The error is a TypeError or a ValueError."""
    arrays = [a.astype(np.float32) for a in case.arrays()]
    for i in range(len(arrays)):
        for kind, change in KINDS.items():
            if not arrays[i].ndim and kind in ("fewer", "sliced", "reversed"):
                continue
            inputs = [change(a) if i == j else a for j, a in enumerate(arrays)]
            assert_agree(kind, *(outcome_on(k, case, inputs) for k in ("cpu", "reference")))


def outcome_on(kernels, case, arrays):
    with mg.use_kernels(kernels):
        try:
            y = case.run([mg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays])
            return y.numpy().astype(np.float64)
        except (TypeError, ValueError) as error:
            return error
        except IndexError as error:
            if case.op.__name__ != "getitem":
                raise
            return error


def assert_agree(kind, found, expected):
    if isinstance(found, Exception):
        assert str(found), kind
        return
    assert not isinstance(expected, Exception), f"{kind}: the reference refuses it: {expected}"
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3, err_msg=kind)
