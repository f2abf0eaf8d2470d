"""What runs together: a ReLU in the op before it, and in evaluation batch norm in the convolution before it.

Evaluation without gradients: batch norm scales and shifts each channel, and the convolution before it can do that.

    s (w x + b - mean) + beta  =  (s w) x + (s (b - mean) + beta)     with   s = gamma / sqrt(var + eps)

The filters are scaled anew in each call: a copy that is kept would be wrong as soon as somebody writes into a weight.
"""

from contextlib import contextmanager
from contextvars import ContextVar

from kernels.shapes import window_counts

from ..autograd import recording
from ..tensor import Tensor
from . import functional as F
from .hooks import is_observed
from .layers import BatchNorm2d, Conv2d, ReLU

fusing: ContextVar[bool] = ContextVar("fusing", default=True)


@contextmanager
def unfused():
    """Within this block Sequential calls each of its modules by itself, for those who look at what each one gives."""
    token = fusing.set(False)
    try:
        yield
    finally:
        fusing.reset(token)


def may_fuse(*modules):
    """Can these run as one op without anybody missing the call of one?"""
    return fusing.get() and not any(is_observed(m) for m in modules)


def run_fused(modules, x):
    """x through modules one after the other, some of them together (see Sequential)."""
    while modules:
        layer = last = modules.pop(0)
        if type(layer) is Conv2d and modules and type(modules[0]) is BatchNorm2d and may_fuse(layer, modules[0]):
            last = modules.pop(0)
        ending = {}
        if modules and takes_relu(last, modules[0]):
            modules.pop(0)
            ending = {"relu": True}
        x = layer(x, **ending) if last is layer else conv_norm(layer, last, x, **ending)
    return x


def takes_relu(layer, after):
    """Can `layer` do the work of the module after it? (A subclass has a forward of its own, and no say in this.)"""
    return type(after) is ReLU and "fuses_relu" in vars(type(layer)) and may_fuse(layer, after)


def conv_norm(conv, norm, x, relu=False):
    """norm(conv(x)), then max(y, 0) if relu; one convolution in evaluation mode under no_grad, if that is less work.

    The two ways give the same numbers up to rounding. x (N, H, W, C) -> (N, P, Q, K)
    """
    if recording.get() or not foldable(conv, norm) or not pays(conv, x):
        return norm(conv(x), relu=True) if relu else norm(conv(x))
    w, b = folded(conv, norm)
    return F.conv2d(x, w, b, conv.stride, conv.padding, conv.dilation, conv.groups, relu)


def foldable(conv, norm):
    """A plain convolution and a plain batch norm in evaluation mode, with the forwards that they were born with."""
    plain = type(conv) is Conv2d and type(norm) is BatchNorm2d
    plain = plain and conv.outer is None and norm.affine and norm.track_running_stats
    return plain and not norm.training and may_fuse(conv, norm) and "forward" not in {*vars(conv), *vars(norm)}


def pays(conv, x):
    """Are the filters no larger than the output, which batch norm would read and write once more?"""
    if x.ndim != 4:
        return False
    p, q = window_counts(x.shape[1:3], conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    return conv.weight.size <= x.shape[0] * p * q * conv.out_channels


def folded(conv, norm):
    """The (w, b) of one convolution that does the work of both."""
    scale = norm.weight.data / (norm.running_var.data.astype("d") + norm.eps) ** 0.5
    mean = norm.running_mean.data if conv.bias is None else norm.running_mean.data - conv.bias.data
    w, dtype = conv.weight.data, conv.weight.dtype
    return Tensor(w * scale.astype(dtype)[:, None, None, None]), Tensor((norm.bias.data - mean * scale).astype(dtype))
