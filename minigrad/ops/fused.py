"""Several ops in one pass over memory. Each equals the plain composition that its first line names (tested)."""

from ..precision import floats, norms, products
from ..tensor import op
from . import conv, linear
from .activation import relu
from .arithmetic import add
from .norm import batch_norm, normalise


def with_relu(op):
    """relu(op(...)), as one writes it."""
    return lambda *inputs, **settings: relu(op(*inputs, **settings))


@op(autocast=norms, types=floats, written=with_relu(batch_norm), kernels_only=True)
def batch_norm_relu(ctx, x, gamma, beta, *, running_mean=None, running_var=None, training=True, momentum=0.1, eps=1e-5):
    """relu(batch_norm(x)). y is not kept: backward computes its sign again from x.

    y  = max(z, 0)   with   z = gamma xhat + beta,   xhat = (x - mean) / sqrt(var + eps)
    dx, dgamma, dbeta as of batch_norm, with dz = dy where z > 0, else 0, in the place of dy
    """
    name = "batch_norm_relu"
    return normalise(ctx, name, x, gamma, beta, running_mean, running_var, training, momentum, eps, relu=True)


@op(types=floats, written=with_relu(add), kernels_only=True)
def add_relu(ctx, a, b):
    """y = relu(a + b),   da = db = dy where y > 0, else 0: the end of a residual block (He et al. 2015)"""
    if a.shape != b.shape:
        raise ValueError(f"add_relu: a and b must have the same shape; got {a.shape} and {b.shape}")
    k = ctx.kernels
    y = k.add_relu_forward(a, b)

    def backward(dy):
        dx = k.relu_backward(dy, y)
        return dx, dx

    return y, backward


@op(autocast=products, types=floats, written=with_relu(conv.conv2d), kernels_only=True)
def conv2d_relu(ctx, x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """relu(conv2d(x, w, b)): bias and activation while the result is still in registers.

    y  = max(z, 0)   with   z = conv2d(x, w, b)
    dx, dw, db as of conv2d, with dz = dy where y > 0, else 0, in the place of dy
    """
    settings = conv.checked("conv2d_relu", x, w, b, stride, padding, dilation, groups)
    return conv.convolve(ctx, x, w, b, settings, relu=True)


@op(autocast=products, types=floats, written=with_relu(linear.linear), kernels_only=True)
def linear_relu(ctx, x, w, b=None):
    """y = relu(x w^T + b);   with dz = dy where y > 0, else 0:   dx = dz w,   dw = dz^T x,   db = sum dz"""
    linear.checked("linear_relu", x, w, b)
    return linear.apply(ctx, x, w, b, relu=True)
