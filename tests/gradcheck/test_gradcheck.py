"""The public gradient check: what it finds, what it calls it, what it lets pass, and what it refuses."""

import re
import warnings
from functools import partial

import numpy as np
import pytest
from op_table import CASES
from planted import MISTAKES, MISTAKES_OF_KIND, inputs

import minigrad as mg
from minigrad import Tensor, nn, op, ops
from minigrad.gradcheck import GradcheckError, KinkWarning, check_case, gradcheck
from minigrad.gradcheck.cases import check_gradients

pytestmark = pytest.mark.usefixtures("reference_kernels")


def error(fn, inputs, **options):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(fn, inputs, **options)
    return caught.value


def one(*numbers):
    return Tensor(np.array(numbers), requires_grad=True)


# What it finds


def test_enough_kinds_of_mistakes_are_planted():
    assert len(MISTAKES_OF_KIND) >= 10 and len(MISTAKES) >= 60


@pytest.mark.parametrize("planted", MISTAKES, ids=str)
def test_a_planted_mistake_is_named(planted):
    with planted.living():
        found = error(planted.fn, planted.inputs)
    assert {m.input: m.guess and m.guess.kind for m in found.mistakes}[planted.input] == planted.kind


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_false_alarm(case, seed):
    check_gradients(case, seed=seed)


def test_a_case_passes_all_checks():
    check_case(CASES[0])


@op
def halved(ctx, x, w):
    """y = x w"""
    return x * w, lambda dy: (dy * w, dy * x / 2)


def test_the_message_names_op_input_index_numbers_and_mistake():
    x, w = inputs((5, 3), (5, 3))
    found = error(halved, [x, w])
    (mistake,) = found.mistakes
    assert (found.op, found.kind, mistake.input) == ("halved", "constant factor", "w")
    assert str(found) == (
        "halved: the backward pass is wrong\n"
        f"gradient of w[{mistake.index[0]}, {mistake.index[1]}]: expected {mistake.expected}, found {mistake.found} "
        "(15 of 15 elements are wrong)\n"
        "  looks like: constant factor: found = 1/2 x expected\n"
        "  hint: look for a constant 1/2 in the formula; or x is used twice and only one use is counted"
    )
    assert float(mistake.found) == pytest.approx(float(mistake.expected) / 2, rel=1e-4)


def test_a_mistake_in_one_element_is_found():
    @op
    def slipped(ctx, x):
        def backward(dy):
            dx = 2 * x * dy
            dx[2, 1] += 0.01
            return (dx,)

        return x * x, backward

    (mistake,) = error(slipped, inputs((4, 3))).mistakes
    assert mistake.index == (2, 1) and mistake.share.startswith("1 of 12") and mistake.guess is None
    assert "no simple mistake" in str(mistake)


def test_false_instead_of_an_exception():
    assert gradcheck(halved, inputs((2, 3), (2, 3)), raise_exception=False) is False
    assert gradcheck(ops.mul, inputs((2, 3), (2, 3)), raise_exception=False) is True


def test_a_factor_is_named_by_the_length_it_equals():
    @op
    def averaged(ctx, x, b):
        return x + b, lambda dy: (dy, dy.mean(0))

    assert "1/5 (= 1/N, axis 0 of the output)" in str(error(averaged, inputs((5, 3), (3,))))


def test_a_wrong_type_and_infinity_are_named():
    @op
    def single(ctx, x):
        return 2 * x, lambda dy: ((2 * dy).astype(np.float32),)

    @op
    def infinite(ctx, x):
        return 2 * x, lambda dy: (dy / np.zeros(3),)

    assert error(single, inputs((3,))).kind == "type"
    with np.errstate(divide="ignore"):
        assert error(infinite, inputs((3,))).kind == "not finite"


# Functions, modules, parameters


def test_any_function_of_tensors():
    x, w = inputs((4, 3), (5, 3))
    assert gradcheck(lambda x, w: ops.tanh(ops.linear(x, w)).sum(), [x, w])
    assert gradcheck(lambda x: (x * x + 2.0 * x).mean(), x)


def test_names_of_lambda_partial_and_variable_arguments():
    x, w = inputs((3, 2), (3, 2))
    assert error(lambda u, v: halved(u, v), [x, w]).op == "halved"
    found = error(partial(halved), [x, w])
    assert found.op == "halved" and found.mistakes[0].input == "w"

    @op
    def joined(ctx, *xs):
        return np.concatenate(xs), lambda dy: (dy[:3], -dy[3:])

    assert error(joined, [x, w]).mistakes[0].input == "xs[1]"


def test_the_parameters_of_a_module():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()).double()
    assert gradcheck(net, inputs((2, 4, 4, 2)))


def test_a_wrong_gradient_of_a_parameter_is_named():
    class Halved(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.array([1.0, 2.0, 3.0]))

        def forward(self, x):
            return halved(x, self.weight + x * 0.0)

    net, (x,) = Halved(), inputs((2, 3))
    net.weight.grad = np.ones(3)
    found = error(net, x)
    assert found.op == "Halved" and [m.input for m in found.mistakes] == ["weight"]
    np.testing.assert_array_equal(net.weight.grad, np.ones(3))  # as it was
    np.testing.assert_array_equal(net.weight.data, [1.0, 2.0, 3.0])
    assert x.grad is None


def test_parameters_that_a_function_reads():
    (x,) = inputs((2, 3))
    weight = nn.Parameter(np.array([1.0, 2.0, 3.0]))
    assert gradcheck(lambda x: (x * weight).sum(), x, parameters={"weight": weight})
    found = error(lambda: halved(Tensor(x.data[0]), weight), (), parameters={"weight": weight})
    assert found.mistakes[0].input == "weight"


def test_module_in_float64():
    layer = nn.BatchNorm2d(2)
    layer(mg.tensor(np.ones((2, 2, 2, 2), np.float32))).sum().backward()
    assert {t.dtype for t in (*layer.double().parameters(), *layer.buffers())} == {np.dtype(np.float64)}
    assert layer.weight.grad.dtype == np.float64


# Linear ops


def slightly_wrong(ctx, x):
    return 3 * x, lambda dy: (3 * (1 + 1e-8) * dy,)


def test_the_adjoint_identity_is_sharper_than_differences():
    (x,) = inputs((4, 3))
    assert gradcheck(op(slightly_wrong), x)
    assert "expected" in str(error(op(slightly_wrong), x, linear=True))
    assert gradcheck(partial(ops.conv2d, padding=1), inputs((2, 4, 4, 3), (2, 3, 3, 3)), linear=True)


def test_a_function_that_is_said_to_be_linear_must_be():
    assert error(ops.exp, inputs((3,)), linear=True).kind == "not linear"


# Kinks and ties


@pytest.mark.parametrize("x", [0.0, 4e-7])
def test_a_kink_is_reported_and_is_no_mistake(x):
    with pytest.warns(KinkWarning, match=re.escape("relu: x[1]: a kink or a tie: the slope is ")):
        assert gradcheck(ops.relu, one(1.0, 0.0, -1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        assert gradcheck(ops.relu, one(1.0, x, -1.0))


def test_a_tie_of_a_maximum():
    with pytest.warns(KinkWarning, match=r"max: x\[0\] and 1 more"):
        assert gradcheck(lambda x: ops.max(x, dim=0), one(2.0, 2.0, 1.0))


def test_a_wrong_gradient_at_a_kink_or_beside_one_is_still_found():
    @op
    def double_relu(ctx, x):
        return np.maximum(x, 0), lambda dy: (2 * dy * (x >= 0),)

    (mistake,) = error(double_relu, one(0.0, -1.0)).mistakes
    assert mistake.index == (0,)
    with pytest.warns(KinkWarning):
        (mistake,) = error(double_relu_off_zero, one(0.0, 1.0, -1.0)).mistakes
    assert mistake.index == (1,) and mistake.share == "1 of 3 elements are wrong"


@op
def double_relu_off_zero(ctx, x):
    return np.maximum(x, 0), lambda dy: (2 * dy * (x > 0),)


def test_every_element_on_request():
    @op
    def cancelling(ctx, x):
        """Wrong, but not along the direction that the check happens to take."""
        return x.copy(), lambda dy: (dy + wrong,)

    (x,) = inputs((2,))
    wrong = np.zeros(2)
    with_direction = np.random.default_rng([0, 20240229])
    with_direction.standard_normal(2)  # dy
    u = with_direction.standard_normal(2)
    wrong[:] = 1e-3 * u[1], -1e-3 * u[0]
    assert gradcheck(cancelling, x)
    assert gradcheck(cancelling, x, elementwise=True, raise_exception=False) is False


# What is overwritten, what is random


def damaging(forward=None, backward=None):
    @op
    def damage(ctx, x):
        y = 2 * x
        if forward:
            forward(x)

        def run(dy):
            dx = 2 * dy
            if backward:
                backward(x, y, dy)
            return (dx,)

        return y, run

    return damage


def clear(array):
    array[0] = 0


@pytest.mark.parametrize(
    "fn, text",
    [
        (damaging(forward=clear), "its forward pass overwrote its input x in place: element [0] was 1, is now 0"),
        (damaging(backward=lambda x, y, dy: clear(x)), "its backward pass overwrote its input x in place"),
        (damaging(backward=lambda x, y, dy: clear(y)), "its backward pass overwrote its output in place"),
        (
            damaging(backward=lambda x, y, dy: clear(dy)),
            "its backward pass overwrote the incoming gradient dy in place",
        ),
    ],
    ids=["input forward", "input backward", "output", "dy"],
)
def test_in_place_damage(fn, text):
    x = one(1.0, 2.0)
    found = error(fn, x)
    assert found.kind == "in-place damage" and str(found).startswith(f"damage: {text}")
    np.testing.assert_array_equal(x.data, [1.0, 2.0])  # the caller's own array is not touched


def test_the_op_that_overwrites_dy_is_named_inside_a_function():
    inner = damaging(backward=lambda x, y, dy: clear(dy))
    assert error(lambda x: ops.tanh(inner(x * 2.0)), one(1.0, 2.0)).op == "damage"


def test_randomness():
    rng = np.random.default_rng(0)

    @op
    def noisy_gradient(ctx, x):
        return 2 * x, lambda dy: (2 * dy + 1e-9 * rng.standard_normal(dy.shape),)

    found = error(lambda x: x * Tensor(rng.standard_normal(2)), one(1.0, 2.0))
    assert found.kind == "random" and "in the output" in str(found)
    assert "in the gradient of x" in str(error(noisy_gradient, one(1.0, 2.0)))


# What it refuses

REFUSED = [
    (lambda: gradcheck(ops.relu, mg.tensor([1.0], requires_grad=True)), TypeError,
     "gradcheck: x is float32; its rounding, 1 part in 8,388,608, drowns"),
    (lambda: gradcheck(nn.Linear(2, 2), inputs((1, 2))), TypeError, "gradcheck: weight is float32"),
    (lambda: gradcheck(ops.relu, [np.ones(2)]), TypeError, "gradcheck: x must be a Tensor; got ndarray"),
    (lambda: gradcheck(ops.mul, [one(1.0), 2.0]), TypeError, "gradcheck: b must be a Tensor; got float"),
    (lambda: gradcheck(ops.mul, [Tensor(np.ones(2)), Tensor(np.ones(2))]), ValueError,
     "gradcheck: none of the inputs (a, b) was made with requires_grad=True"),
    (lambda: gradcheck("relu", [one(1.0)]), TypeError, "gradcheck: fn must be a function of tensors; got str"),
    (lambda: gradcheck(lambda x: x.detach(), one(1.0)), ValueError,
     "gradcheck: the output (float64, shape (1,)) depends on no input that requires a gradient"),
    (lambda: gradcheck(lambda x: Tensor(x.data > 0), one(1.0)), ValueError, "gradcheck: the output (bool"),
    (lambda: gradcheck(lambda x: (x, x), one(1.0)), TypeError,
     "gradcheck: fn must return one Tensor; it returned tuple"),
    (lambda: gradcheck(op(lambda ctx, x: (x.astype(np.float32), lambda dy: (dy,))), one(1.0)), TypeError,
     "the output is float32"),
    (lambda: gradcheck(lambda x: x * Tensor(np.array([1.0, np.nan])), one(1.0, 2.0)), ValueError,
     "gradcheck: the output at [1] is nan"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, message", REFUSED, ids=[m[:50] for *_, m in REFUSED])
def test_refused_with_reason(call, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        call()


def test_integer_inputs_are_constants():
    (x,) = inputs((3, 4))
    assert gradcheck(ops.cross_entropy, [x, Tensor(np.array([1, 0, 3]))])
