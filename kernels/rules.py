"""Which arguments of a kernel are arrays, which of them it writes, and when their shapes fit together."""

from collections.abc import Callable
from typing import NamedTuple


class Rule(NamedTuple):
    """arrays: the names of the arguments that are arrays; "b?" may be None, "xs*" is a list or tuple of arrays.

    fits: called with the kernel's arguments; do the shapes fit? writes: the names of the arguments that it writes.
    any_type: does it only move numbers, of whatever type?
    """

    arrays: str
    fits: Callable
    writes: tuple = ("out",)
    any_type: bool = False


def any_shape(x, *_, **__):
    return x.shape is not None


def same_shape(a, b, *_, **__):
    return a.shape == b.shape


def with_channels(x, *_, **__):
    return x.ndim > 0


def vectors(x, gamma, beta, mean, var):
    """Does each vector have one number for each of x's channels?"""
    return x.ndim > 0 and gamma.shape == beta.shape == mean.shape == var.shape == x.shape[-1:]


def vector_or_none(b, count):
    return b is None or b.shape == (count,)


def filters_fit(c, w, groups):
    """Do filters w (K, R, S, C/groups) read c channels?"""
    return w.ndim == 4 and groups > 0 and c == w.shape[3] * groups and w.shape[0] % groups == 0


def conv_forward(x, w, b, stride, padding, dilation, groups, *_, **__):
    return x.ndim == 4 and filters_fit(x.shape[3], w, groups) and vector_or_none(b, w.shape[0])


def is_conv_output(y_shape, x_shape, w_shape, stride, padding, dilation):
    """Is it the shape of conv2d's y?   (See window_count in shapes.py; this is the same, written out for speed.)"""
    n, h, w, _ = x_shape
    k, r, s, _ = w_shape
    p = (h + 2 * padding[0] - dilation[0] * (r - 1) - 1) // stride[0] + 1
    return y_shape == (n, p, (w + 2 * padding[1] - dilation[1] * (s - 1) - 1) // stride[1] + 1, k)


def conv_backward_input(dy, w, x_shape, stride, padding, dilation, groups, *_, **__):
    fit = len(x_shape) == 4 and filters_fit(x_shape[3], w, groups)
    return fit and is_conv_output(dy.shape, x_shape, w.shape, stride, padding, dilation)


def conv_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    fit = x.ndim == len(w_shape) == 4 and groups > 0 and x.shape[3] == w_shape[3] * groups
    fit = fit and w_shape[0] % groups == 0
    return fit and is_conv_output(dy.shape, x.shape, w_shape, stride, padding, dilation)


def unit_forward(x, gamma, beta, mean, var, eps, w, *_, **__):
    return x.ndim == 4 and w.ndim == 4 and w.shape[3] == x.shape[3] and vectors(x, gamma, beta, mean, var)


def unit_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    same = (1, 1), (w.shape[1] // 2, w.shape[2] // 2), (1, 1)
    fit = unit_forward(x, gamma, beta, mean, var, eps, w) and is_conv_output(dy.shape, x.shape, w.shape, *same)
    through = line is None or through_moments(dy, *line)
    return fit and through and (add_to is None or add_to.shape == x.shape)


def concat(xs, *_, **__):
    leading = xs[0].shape[:-1]
    return all(x.ndim > 0 and x.shape[:-1] == leading for x in xs)


def linear(x, w, b, *_, **__):
    return x.ndim > 0 and w.ndim == 2 and x.shape[-1] == w.shape[1] and vector_or_none(b, w.shape[0])


def linear_input(dy, w, *_, **__):
    return dy.ndim > 0 and w.ndim == 2 and dy.shape[-1] == w.shape[0]


def linear_weight(dy, x):
    return dy.ndim > 0 and x.ndim > 0 and dy.shape[:-1] == x.shape[:-1]


def norm(x, gamma, beta, *_, **__):
    return vectors(x, gamma, beta, gamma, beta)


def norm_apply(x, gamma, beta, mean, var, *_, **__):
    return vectors(x, gamma, beta, mean, var)


def norm_backward(dy, x, gamma, beta, mean, var, *_, **__):
    return dy.shape == x.shape and vectors(x, gamma, beta, mean, var)


def through_moments(g, x, mean, slope, offset, *_, **__):
    return g.shape == x.shape and vectors(x, mean, slope, offset, offset)


def shapes_of(arrays):
    return [a.shape for a in arrays]


def one_shape(*vectors):
    return len({v.shape for v in vectors if v is not None}) == 1 and vectors[0].ndim == 1


def line(gamma, var, dgamma, dbeta, eps, count, slope=None, offset=None):
    return (slope is None) is (offset is None) and one_shape(gamma, var, dgamma, dbeta, slope, offset)


def response_backward(dy, x, d, *_, **__):
    return dy.shape == x.shape == d.shape and x.ndim > 0


def images(x, *_, **__):
    return x.ndim == 4


def pooled(dy, x_shape, *_, **__):
    """Has dy the images and channels of x? (How many windows there are, the kernel reads from dy.)"""
    return dy.ndim == len(x_shape) == 4 and dy.shape[::3] == (x_shape[0], x_shape[3])


def max_pooled(dy, winner, x_shape, *_, **__):
    if winner.dtype.name not in ("uint8", "int32"):
        raise TypeError(f"winner must hold uint8 or int32, as the forward pass gives it; got {winner.dtype}")
    return pooled(dy, x_shape) and winner.shape == dy.shape


def losses(dloss, p, q):
    return p.ndim == 2 and p.shape == q.shape and dloss.shape == p.shape[:1]


def probabilities(x, q):
    return x.ndim == 2 and x.shape == q.shape


def columns(*lists):
    """Have the arrays of each row (w, dw, state ...) one shape?"""
    lists = [each for each in lists if each is not None]
    shapes = [[a.shape for a in each] for each in lists]
    return all(each == shapes[0] for each in shapes)


def sgd(ws, dws, vs, *_):
    return columns(ws, dws, vs)


def adam(ws, dws, ms, vs, *_):
    return columns(ws, dws, ms, vs)


RULES = {
    "relu_forward": Rule("x", any_shape),
    "relu_backward": Rule("dy y", same_shape),
    "add_relu_forward": Rule("a b", same_shape),
    "conv2d_forward": Rule("x w b?", conv_forward),
    "conv2d_backward_input": Rule("dy w", conv_backward_input),
    "conv2d_backward_weight": Rule("dy x", conv_backward_weight),
    "norm_relu_conv_forward": Rule("x gamma beta mean var w", unit_forward),
    "norm_relu_conv_backward": Rule("dy line?* x gamma beta mean var w", unit_backward, writes=("add_to",)),
    "dropout_forward": Rule("x", any_shape),
    "concat_forward": Rule("xs*", concat, any_type=True),
    "linear_forward": Rule("x w b?", linear),
    "linear_backward_input": Rule("dy w", linear_input),
    "linear_backward_weight": Rule("dy x", linear_weight),
    "cross_entropy_forward": Rule("x q", probabilities),
    "cross_entropy_backward": Rule("dloss p q", losses),
    "batch_norm_forward": Rule("x gamma beta", norm),
    "batch_norm_apply": Rule("x gamma beta mean var", norm_apply),
    "batch_norm_backward": Rule("dy x gamma beta mean var", norm_backward),
    "batch_norm_apply_backward": Rule("dy x gamma beta mean var", norm_backward),
    "channel_sum": Rule("x", with_channels),
    "channel_mean_var": Rule("x", with_channels),
    "through_moments": Rule("g x mean slope offset", through_moments),
    "moments_line": Rule("gamma var dgamma dbeta", line, writes=("slope", "offset")),
    "move_statistics": Rule("mean var", lambda *a: one_shape(*a[:4]), writes=("running_mean", "running_var")),
    "local_response_norm_forward": Rule("x", with_channels),
    "local_response_norm_backward": Rule("dy x d", response_backward),
    "max_pool2d_forward": Rule("x", images),
    "max_pool2d_backward": Rule("dy", max_pooled),
    "avg_pool2d_forward": Rule("x", images),
    "avg_pool2d_backward": Rule("dy", pooled),
    "adaptive_avg_pool2d_forward": Rule("x", images),
    "adaptive_avg_pool2d_backward": Rule("dy", pooled),
    "sgd_step": Rule("ws* dws* vs?*", sgd, writes=("ws", "vs")),
    "adam_step": Rule("ws* dws* ms* vs*", adam, writes=("ws", "ms", "vs")),
    "cast_all": Rule("arrays*", lambda arrays, dtype: True),
    "copy_all": Rule(
        "targets* sources*", lambda targets, sources: shapes_of(targets) == shapes_of(sources), writes=("targets",)
    ),
    "scale_all": Rule("arrays*", lambda arrays, factor: True, writes=("arrays",)),
    "squared_norm": Rule("arrays*", lambda arrays: True),
}
