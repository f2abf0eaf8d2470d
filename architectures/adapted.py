"""Options that every net takes, for weights that were trained elsewhere with other conventions."""

from minigrad.nn import BatchNorm2d, Conv2d, MaxPool2d
from minigrad.nn import functional as F
from minigrad.ops.checks import pair

OPTIONS = ("eps", "padding")


def adapt(name, net, options):
    """The net with these of OPTIONS. ValueError for a value that makes no sense.

    eps      of every batch norm (Keras has 1e-3)
    padding  "same": convolutions and max-pools with a stride and a padding pad as TensorFlow does, less before than
             after
    """
    eps, padding = options.get("eps"), options.get("padding")
    if eps is not None:
        set_eps(name, net, eps)
    if padding not in (None, "same"):
        raise ValueError(f"{name}: padding must be 'same' (TensorFlow's) or None (the net's own); got {padding!r}")
    if padding == "same":
        replace_strided(net)
    return net


def set_eps(name, net, eps):
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
        raise ValueError(f"{name}: eps must be a number between 0 and 1; got {eps!r}")
    for module in net.modules():
        if isinstance(module, BatchNorm2d):
            module.eps = eps


def replace_strided(net):
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if type(child) is Conv2d and max(child.stride) > 1 and max(child.padding) > 0:
                setattr(module, name, SameConv2d(child))
            if type(child) is MaxPool2d and is_strided_and_padded(child):
                setattr(module, name, SameMaxPool2d(child))


def is_strided_and_padded(pool):
    """Does a pool pad, and move by more than a pixel? One of stride 1 pads alike here and there."""
    stride = pair("MaxPool2d", "stride", pool.stride or pool.kernel_size, 1)
    return max(stride) > 1 and max(pair("MaxPool2d", "padding", pool.padding, 0)) > 0


class SameConv2d(Conv2d):
    """A convolution that pads as TensorFlow's "same": P = ceil(H / stride), and an odd pixel of padding at the end.

    With stride 2, a 3x3 filter and even sizes there is none before and one after, where PyTorch has one on both sides:
    the filter looks at other pixels.
    """

    def __init__(self, conv):
        vars(self).update(vars(conv))
        self.padding = 0, 0

    def forward(self, x, relu=False):
        sizes = zip(x.shape[1:3], self.kernel_size, self.stride, self.dilation)
        pads = [same(n, size, stride, dilation) for n, size, stride, dilation in sizes]
        return super().forward(F.pad(x, ((0, 0), *pads, (0, 0))), relu)


class SameMaxPool2d(MaxPool2d):
    """A max-pool that pads as TensorFlow's "same", as SameConv2d does, with what never wins."""

    def __init__(self, pool):
        vars(self).update(vars(pool))
        self.ceil_mode = False

    def forward(self, x):
        size = pair("MaxPool2d", "kernel_size", self.kernel_size, 1)
        stride = pair("MaxPool2d", "stride", self.stride or size, 1)
        (top, bottom), (left, right) = (same(*axis, 1) for axis in zip(x.shape[1:3], size, stride))
        return F.max_pool2d(x, size, stride, (left, right, top, bottom))


def same(n, size, stride, dilation):
    """(before, after) of TensorFlow's "same" along one axis of n pixels."""
    total = max((-(-n // stride) - 1) * stride + dilation * (size - 1) + 1 - n, 0)
    return total // 2, total - total // 2
