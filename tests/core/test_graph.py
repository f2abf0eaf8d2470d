"""Hazards of whole graphs, which no single op shows."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, ops


def leaf(*values):
    return Tensor(np.array(values, dtype=np.float64), requires_grad=True)


# Accumulation


def test_a_gradient_shared_by_two_parents_is_not_written_to():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    p, q = a * 1.0, b * 1.0
    shared = (p + q) * 1.0  # the add hands one array to both p and q ...
    ((p * 10.0).sum() + (q * 10.0).sum() + shared.sum()).backward()  # ... and each receives more
    np.testing.assert_array_equal(a.grad, [11, 11])
    np.testing.assert_array_equal(b.grad, [11, 11])


def test_leaves_that_share_a_gradient_own_separate_arrays():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).backward(np.array([1.0, 1.0]))
    assert not np.shares_memory(a.grad, b.grad)
    a.grad *= 5  # as gradient clipping does
    np.testing.assert_array_equal(b.grad, [1, 1])


def test_the_callers_gradient_is_copied():
    a, dy = leaf(1.0, 2.0), np.array([1.0, 1.0])
    (a + 0.0).backward(dy)
    a.grad *= 5
    np.testing.assert_array_equal(dy, [1, 1])


def test_a_gradient_that_backward_saved_is_not_written_to():
    kept = np.array([1.0, 1.0])

    @mg.op
    def constant_gradient(ctx, x):
        def backward(dy):
            return (kept,)

        return x * 1, backward

    x = leaf(1.0, 2.0)
    mid = x * 1.0
    y = constant_gradient(mid) + constant_gradient(mid) + mid
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3, 3])
    np.testing.assert_array_equal(kept, [1, 1])


def test_gradients_in_plain_view_of_a_debugger_stay_as_they_were():
    x = leaf(1.0, 2.0)
    mid = x * 1.0
    steps = []
    for step in (mid * 2.0 + mid * 3.0 + mid * 4.0).backward_steps(np.ones(2)):
        steps.append((step, [None if d is None else d.copy() for d in step.dxs]))
    for step, then in steps:
        for now, before in zip(step.dxs, then):
            if before is not None:
                np.testing.assert_array_equal(now, before)
    np.testing.assert_array_equal(x.grad, [9, 9])


def test_sums_in_place_where_nobody_else_looks():
    """The third gradient to reach a node is added into the sum of the first two: the same array."""
    seen = []
    x = leaf(1.0, 2.0)
    mid = x * 1.0
    mid.register_hook(lambda g: seen.append(g.__array_interface__["data"][0]))
    branches = [mid * float(i) for i in range(2, 6)]
    total = branches[0] + branches[1] + branches[2] + branches[3]
    total.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [14, 14])
    from minigrad.autograd import _add

    box = [np.ones(2)]
    address = box[0].__array_interface__["data"][0]
    assert _add(box, np.ones(2)).__array_interface__["data"][0] == address
    held = box[0]
    assert _add(box, np.ones(2)).__array_interface__["data"][0] != address and (held == 2).all()


def test_diamond():
    x = leaf(3.0)
    a = x * x
    (a * x + a).sum().backward()  # x^3 + x^2
    assert x.grad == 3 * 9 + 2 * 3


def test_one_tensor_as_both_inputs():
    x = leaf(3.0, 4.0)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 8])


def test_backward_adds_to_the_gradient_that_is_there():
    x = leaf(1.0)
    (x * 2.0).backward()
    (x * 3.0).backward()
    assert x.grad == 5
    x.grad = None
    (x * 3.0).backward()
    assert x.grad == 3


def test_a_chain_of_100_000_nodes_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.sum().backward()
    assert x.grad == 100_001


@pytest.mark.long
def test_a_long_chain_that_is_never_differentiated_is_freed():
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    del y


def test_order_is_the_same_every_time():
    def order():
        x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
        y = ops.relu(x * w + x) * ops.tanh(w) + x
        return [step.node.name for step in y.sum().backward_steps()]

    assert order() == order()
    assert order()[0] == "sum"


def test_a_branch_without_gradient_is_skipped():
    @mg.op
    def blind(ctx, x):
        def backward(dy):
            return (None,)

        return x * 2, backward

    x = leaf(1.0)
    (blind(x * 1.0) + x).backward()
    assert x.grad == 1


# Releasing and retaining


def test_backward_twice_is_refused_and_says_why():
    x = leaf(1.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"mul: backward already ran .*retain_graph=True"):
        y.backward()


def test_retain_graph_allows_it():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 12


def test_nodes_are_released_as_they_are_used():
    x = leaf(1.0, 2.0)
    mid = ops.exp(x)
    steps = mid.sum().backward_steps()
    next(steps)
    assert mid.node.saved  # its turn has not come
    next(steps)
    next(steps)
    assert not mid.node.saved and mid.node.parents == ()


def test_retain_grad():
    x = leaf(1.0, 2.0)
    mid = x * 2.0
    mid.retain_grad()
    (mid * 3.0).sum().backward()
    np.testing.assert_array_equal(mid.grad, [3, 3])
    assert (x * 2.0).grad is None


def test_hooks_see_and_replace_the_gradient():
    x, seen = leaf(1.0, 2.0), []
    mid = x * 2.0
    mid.register_hook(seen.append)
    remove = mid.register_hook(lambda g: g * 10)
    (mid * 3.0).sum().backward()
    np.testing.assert_array_equal(seen[0], [3, 3])
    np.testing.assert_array_equal(x.grad, [60, 60])
    remove()
    assert len(mid.node.hooks) == 1


def test_a_hook_on_a_leaf_changes_what_comes_to_rest():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 0.5)
    (x * 4.0).backward()
    assert x.grad == 2


# What is recorded


def test_no_grad_records_nothing():
    x = leaf(1.0)
    with mg.no_grad():
        y = x * 2.0
        with mg.enable_grad():
            z = x * 2.0
    assert not y.requires_grad and z.requires_grad and (x * 2.0).requires_grad

    @mg.no_grad()
    def f():
        return x * 2.0

    assert not f().requires_grad


def test_detach_shares_the_numbers_but_not_the_graph():
    x = leaf(1.0, 2.0)
    d = (x * 2.0).detach()
    assert not d.requires_grad
    (d * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_backward_needs_a_scalar_or_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"shape \(2,\) is not a single number; pass its gradient"):
        (x * 2.0).backward()
    with pytest.raises(ValueError, match=r"grad has shape \(3,\), but the tensor has \(2,\)"):
        (x * 2.0).backward(np.ones(3))
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        Tensor(np.ones(())).backward()


def test_a_backward_with_the_wrong_number_of_gradients_is_named():
    @mg.op
    def broken(ctx, a, b):
        def backward(dy):
            return (dy,)

        return a + b, backward

    with pytest.raises(ValueError, match="broken: backward returned 1 gradients for 2 inputs"):
        broken(leaf(1.0), leaf(2.0)).backward()


# Writing in place


def test_writing_into_a_saved_input_is_detected_and_named():
    x, w = Tensor(np.ones(2)), leaf(3.0, 4.0)
    y = x * w
    x[0] = 7.0
    with pytest.raises(RuntimeError, match=r"mul saved a for its backward pass, but a was written in place"):
        y.sum().backward()


def test_writing_into_a_saved_output_is_detected():
    x = leaf(1.0, 2.0)
    y = ops.exp(x)
    y.detach().copy_(0.0)
    with pytest.raises(RuntimeError, match="exp saved its output"):
        y.sum().backward()


def test_writing_through_a_view_is_detected():
    x, w = Tensor(np.ones((2, 3))), leaf(*range(6))
    y = x.reshape(6) * w
    x[0, 0] = 7.0
    with pytest.raises(RuntimeError, match="mul saved a"):
        y.sum().backward()


def test_writing_into_what_nobody_saved_is_fine():
    x, w = Tensor(np.ones(2)), leaf(3.0, 4.0)
    y = x + w
    x[0] = 7.0
    y.sum().backward()
    np.testing.assert_array_equal(w.grad, [1, 1])


def test_a_tracked_tensor_can_not_be_written_by_accident():
    w = leaf(3.0, 4.0)
    with pytest.raises(RuntimeError, match="use no_grad"):
        w[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        w.numpy()[0] = 1.0
    with mg.no_grad():
        w[0] = 1.0
    np.testing.assert_array_equal(w.numpy(), [1, 4])


def test_saved_input_of_a_variable_op_is_numbered():
    @mg.op
    def product(ctx, *xs):
        a, b = xs

        def backward(dy):
            return dy * b, dy * a

        return a * b, backward

    x, w = Tensor(np.ones(2)), leaf(3.0, 4.0)
    y = product(w, x)
    x.copy_(2.0)
    with pytest.raises(RuntimeError, match=r"product saved xs\[1\]"):
        y.sum().backward()
