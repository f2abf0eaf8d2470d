"""The boundary of ops: types that meet, gradients that are sent, what an op returns, writing in place."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, op, ops
from minigrad.nn import functional as F

F32 = np.float32


def leaf(*values):
    return mg.tensor(values, requires_grad=True)


@pytest.mark.parametrize(
    "other",
    [np.array([1, 2]), np.array([True, False]), np.int64(2), np.float64(0.5), 3, True, np.array([0.5, 1.0]), 0.5],
    ids=repr,
)
@pytest.mark.parametrize("operation", [ops.add, ops.sub, ops.mul, ops.div])
def test_a_float_tensor_keeps_its_type_whatever_it_meets(operation, other):
    x = leaf(1.5, 2.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = operation(x, other)
        np.testing.assert_allclose(y.data, operation(Tensor(np.array([1.5, 2.5])), np.asarray(other, float)).data)
        swapped = operation(other, x)
        (y.sum() + swapped.sum()).backward()
    assert y.dtype == swapped.dtype == x.grad.dtype == F32


def test_a_tensor_of_integers_beside_floats_and_alone():
    n = mg.tensor([1, 2])
    assert (leaf(1.0, 2.0) * n).dtype == F32 and (n * leaf(1.0, 2.0)).dtype == F32
    assert (n + n).dtype == np.int64 and (n + mg.tensor(np.array([1, 2], np.int32))).dtype == np.int64
    assert (n / n).dtype == (n / 2).dtype == (n * 0.5).dtype == (n + np.float64(0.5)).dtype == F32
    assert n.exp().dtype == n.sqrt().dtype == n.mean().dtype == (n**0.5).dtype == (n**-1).dtype == F32
    assert (n**2).dtype == n.sum().dtype == mg.tensor([True, True]).sum().dtype == np.int64
    assert mg.tensor([True, True]).sum().item() == 2 and (n == n).mean().item() == 1
    assert ops.concat(n, leaf(1.0)).dtype == F32


def test_an_integer_target_or_mask_in_the_loss():
    """[F01] The gradient was float64, and the compiled kernels read its bytes as float32."""
    x, age, mask = np.ones((2, 3), F32), np.array([[1], [2]]), np.array([[True], [False]])
    w = mg.tensor(np.zeros((1, 3), F32), requires_grad=True)
    ((F.linear(mg.tensor(x), w) - age) ** 2).mean().backward()
    np.testing.assert_allclose(w.grad, [[-3, -3, -3]])
    w.grad = None
    ((F.linear(mg.tensor(x), w) * mask).sum() / mask.sum()).backward()
    np.testing.assert_allclose(w.grad, [[1, 1, 1]])
    w.grad = None
    y = F.linear(mg.tensor(x), w)
    y.register_hook(lambda g: g * np.sqrt(2))
    y.sum().backward()
    np.testing.assert_allclose(w.grad, np.full((1, 3), 2 * np.sqrt(2)), rtol=1e-6)
    assert w.grad.dtype == F32


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64", "float16"])
@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.relu(x),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.dropout(x, 0.5),
        lambda x: F.conv2d(x, np.ones((2, 3, 3, 3), F32)),
        lambda x: F.linear(x, np.ones((2, 3), F32)),
        lambda x: F.batch_norm(x, None, None, np.ones(3, F32), np.ones(3, F32), training=True),
        lambda x: F.local_response_norm(x, 3),
    ],
)
def test_images_of_other_types_get_one_error_that_says_to_convert(call, dtype):
    """[F09]"""
    with pytest.raises(TypeError, match=r"\.astype\(np\.float32\)|different types|arrays of one type"):
        call(mg.tensor(np.ones((1, 4, 4, 3), dtype)))


def test_an_integer_filter_is_refused():
    """[F15]"""
    with pytest.raises(TypeError, match="conv2d: w must hold floating-point numbers, but is int64"):
        F.conv2d(mg.tensor(np.ones((1, 5, 5, 1), F32)), np.ones((1, 3, 3, 1), np.int64))


def sending(gradient):
    @op
    def sender(ctx, x):
        return 2 * x, lambda dy: gradient(dy)

    return sender


@pytest.mark.parametrize(
    "gradient, error, message",
    [
        (lambda dy: (dy[:1],), ValueError, "sender: .* for x (input 0) must have its shape (2,); got (1,)"),
        (lambda dy: dy, TypeError, "sender: backward must return a tuple, one gradient for each input; got array"),
        (lambda dy: None, TypeError, "sender: backward must return a tuple, one gradient for each input; got None"),
        (lambda dy: (dy, dy), ValueError, "sender: backward returned 2 gradients for 1 inputs"),
        (lambda dy: (1.5,), TypeError, "sender: .* for x (input 0) must be an array (numpy.ndarray); got 1.5"),
        (lambda dy: ("a",), TypeError, "sender: .* must be an array"),
        (lambda dy: (mg.tensor(dy),), TypeError, "sender: .* must be an array (numpy.ndarray); got tensor"),
        (lambda dy: (dy.astype(complex),), TypeError, "sender: .* must be of type float32; got complex128"),
    ],
)
def test_what_a_backward_sends_is_checked(gradient, error, message):
    """[F12]"""
    with pytest.raises(error, match=re.escape(message).replace(r"\.\*", ".*")):
        sending(gradient)(leaf(1.0, 2.0)).sum().backward()


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64"])
def test_a_gradient_of_another_type_is_converted(dtype):
    x = leaf(1.0, 2.0)
    F.relu(sending(lambda dy: (dy.astype(dtype),))(F.relu(x))).sum().backward()
    assert x.grad.dtype == F32 and x.grad.tolist() == [1, 1]


@pytest.mark.parametrize("returned", [1.0, (np.ones(2),), (np.ones(2), None), None, (1.0, lambda dy: (dy,))])
def test_an_op_must_return_an_array_and_a_backward(returned):
    @op
    def broken(ctx, x):
        return returned

    with pytest.raises(TypeError, match="broken: "):
        broken(leaf(1.0))


@pytest.mark.parametrize("hooked, error", [(lambda g: g[:1], ValueError), (lambda g: "no", TypeError)])
def test_what_a_hook_returns_is_checked(hooked, error):
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(hooked)
    with pytest.raises(error, match="mul: the gradient that a hook returns must"):
        y.sum().backward()


def test_a_hook_that_removes_itself_does_not_skip_the_next():
    x, seen = leaf(1.0), []

    def once(g):
        seen.append("once")
        remove()

    remove = x.register_hook(once)
    x.register_hook(lambda g: seen.append("next"))
    for _ in range(2):
        (x * 1).backward()
    assert seen == ["once", "next", "next"]


def test_a_hook_is_taken_away_by_its_own_handle_once():
    """The same function, registered twice, is called once after one removal, however often that is repeated."""
    x, seen = leaf(1.0), []
    hook = lambda g: seen.append("called")  # noqa: E731
    handle, _ = x.register_hook(hook), x.register_hook(hook)
    handle.remove()
    handle.remove()
    (x * 1).backward()
    assert seen == ["called"]
    with pytest.raises(TypeError, match="register_hook: hook must be a function; got float"):
        x.register_hook(1.0)


@pytest.mark.parametrize("first", ["retain", "hook"])
def test_retain_grad_keeps_what_the_hooks_leave(first):
    x = leaf(1.0)
    y = x * 2
    if first == "retain":
        y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.retain_grad()
    y.backward()
    assert y.grad == 10 and x.grad == 20
    with pytest.raises(RuntimeError, match="retain_grad"):
        mg.tensor(1.0).retain_grad()


def test_a_checkpoint_requires_a_gradient_only_if_something_in_it_does():
    w, x = leaf(2.0), mg.tensor([3.0])
    assert not mg.checkpoint(lambda t: t * 2, x).requires_grad
    y = mg.checkpoint(lambda t: t * w, x)
    y.backward(np.ones(1))
    assert w.grad == 3


def test_a_parameter_is_updated_in_place_without_recording():
    """[F06]"""
    p = leaf(1.0, 2.0)
    same, memory = p, p.data
    with mg.no_grad():
        p -= 0.5
        p += np.ones(2)
        p *= 2
        p /= mg.tensor([1.0, 2.0])
    assert p is same and p.data is memory and p.data.tolist() == [3, 2.5] and p.requires_grad
    with pytest.raises(RuntimeError, match="into a leaf that requires a gradient; use no_grad"):
        p -= 1.0


def test_in_place_operators_elsewhere():
    total, x = mg.tensor(0.0), leaf(2.0)
    before = total
    total += (x * x).sum()  # a graph: the name now stands for a new tensor
    assert total.requires_grad and total is not before and before.item() == 0
    n = mg.tensor([1, 2])
    n += 1
    assert n.data.tolist() == [2, 3] and n.dtype == np.int64
    with pytest.raises(TypeError, match="writing in place: the result is float32"):
        n /= 2
    with pytest.raises(ValueError, match="writing in place: the result has shape"):
        n += np.ones((3, 2), np.int64)
    y = x * mg.tensor([3.0])
    constant = y.node.saved["b"]
    with pytest.raises(RuntimeError, match="a value that requires a gradient"):
        mg.tensor([0.0])[0] = x
    assert constant == 3


@pytest.mark.parametrize("value", [[1.0, 2.0], (1.0,), 1.0, "a", None, np.array(["a"]), np.array([1j]), np.array([{}])])
def test_what_is_no_array_of_numbers_is_no_tensor(value):
    with pytest.raises(TypeError, match="Tensor: data must"):
        Tensor(value)


def test_swapped_bytes_are_put_right_and_what_is_no_number_refused():
    assert (
        mg.tensor(np.array([1.5], ">f4")).data.dtype == F32 and F.relu(mg.tensor(np.array([1.5], ">f4"))).item() == 1.5
    )
    with pytest.raises(TypeError, match="tensor: data must hold real numbers"):
        mg.tensor(["a"])


def test_running_statistics_may_be_arrays():
    mean, var = np.zeros(3, F32), np.ones(3, F32)
    x = mg.tensor(np.random.default_rng(0).random((4, 3)).astype(F32))
    one, zero = np.ones(3, F32), np.zeros(3, F32)
    F.batch_norm(x, mean, var, one, zero, training=True)
    np.testing.assert_allclose(mean, 0.1 * x.data.mean(0), rtol=1e-5)
    y = F.batch_norm(x, mean, var, one, zero)
    np.testing.assert_allclose(y.data, (x.data - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)


def test_soft_targets_get_no_gradient_and_say_so():
    q = mg.tensor([[0.5, 0.5]], requires_grad=True)
    with pytest.raises(ValueError, match="cross_entropy: target is a constant"):
        F.cross_entropy(mg.tensor([[1.0, 2.0]]), q)
    with pytest.raises(ValueError, match="cross_entropy: weight is a constant"):
        F.cross_entropy(mg.tensor([[1.0, 2.0]]), np.array([0]), weight=leaf(1.0, 2.0))


DIMS = {
    "softmax": lambda x, d: F.softmax(x, d),
    "log_softmax": lambda x, d: F.log_softmax(x, d),
    "sum": lambda x, d: x.sum(d),
    "mean": lambda x, d: x.mean(d),
    "max": lambda x, d: x.max(d),
    "amax": lambda x, d: x.amax(d),
    "any": lambda x, d: x.any(d),
    "transpose": lambda x, d: x.transpose(0, d),
    "permute": lambda x, d: x.permute(0, d),
    "flatten": lambda x, d: x.flatten(d),
    "flatten to": lambda x, d: x.flatten(0, d),
    "concat": lambda x, d: ops.concat(x, x, dim=d),
}


@pytest.mark.parametrize("name", DIMS)
def test_dims_are_refused_where_there_is_no_such_axis(name):
    x = mg.tensor(np.ones((2, 3), F32))
    for dim in (2, 7, -3, 1.0, "0", True):
        with pytest.raises((ValueError, TypeError), match=r"dim|ax[ei]s"):
            DIMS[name](x, dim)
    for dim in (1, -1, np.int64(1)):
        DIMS[name](x, dim)


def test_another_array_in_a_leaf_gets_a_gradient_of_its_form():
    w = mg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    w.data = np.ones((4, 3), np.float64)
    (w * 2.0).sum().backward()
    assert w.grad.shape == (4, 3) and w.grad.dtype == np.float64
    with pytest.raises(TypeError, match="data: must be an array; got list"):
        w.data = [1.0]


MASKED = np.ma.masked_array(np.ones(2, F32), [False, True])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tensor(MASKED),
        lambda: mg.tensor(MASKED),
        lambda: mg.from_numpy(MASKED),
        lambda: mg.ones(2) + MASKED,
        lambda: F.relu(MASKED),
        lambda: mg.where(np.ones(2, bool), mg.ones(2), MASKED),
        lambda: setattr(mg.ones(2), "data", MASKED),
    ],
)
def test_a_masked_array_is_refused_for_its_mask_would_be_ignored(make):
    with pytest.raises(TypeError, match="masked array's mask would be ignored"):
        make()


def test_a_matrix_is_an_array_here():
    """Its own * is a product of matrices."""
    with pytest.warns(PendingDeprecationWarning):
        m = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    for t in (Tensor(m), mg.tensor(m), mg.from_numpy(m)):
        np.testing.assert_array_equal((t * t).data, [[1, 4], [9, 16]])
        assert t.sum(0).shape == (2,) and type(t.data) is np.ndarray
    assert np.shares_memory(mg.from_numpy(m).data, m)
