"""The kernels as plain loops over single numbers: one line of arithmetic each, with the equation that it computes.

The first of three tiers of an op. The second, kernels.reference, says the same in array code; the third, kernels.cpu
and kernels.cuda, is compiled. All have the same functions with the same arguments, and tests compare them, so that a
whole net can run on any tier, to be stepped through in a debugger:

    with minigrad.use_kernels("loops"): ...         # these loops; what is not written here is the reference
    with minigrad.use_kernels("reference"): ...     # array code

A loop takes a microsecond or so a turn: use tiny images. Letters: N batch, H W input size, C input channels, K output
channels, R S filter size, P Q output size, G groups. stride, padding, dilation, size: (vertical, horizontal) pairs.
"""

from ..reference import *  # noqa: F403
from .activation import relu_backward as relu_backward
from .activation import relu_forward as relu_forward
from .conv import conv2d_backward_input as conv2d_backward_input
from .conv import conv2d_backward_weight as conv2d_backward_weight
from .conv import conv2d_forward as conv2d_forward
from .dense import norm_relu_conv_backward as norm_relu_conv_backward
from .dense import norm_relu_conv_forward as norm_relu_conv_forward
from .joining import concat_forward as concat_forward
from .linear import linear_backward_input as linear_backward_input
from .linear import linear_backward_weight as linear_backward_weight
from .linear import linear_forward as linear_forward
from .loss import cross_entropy_backward as cross_entropy_backward
from .loss import cross_entropy_forward as cross_entropy_forward
from .norm import batch_norm_apply as batch_norm_apply
from .norm import batch_norm_apply_backward as batch_norm_apply_backward
from .norm import batch_norm_backward as batch_norm_backward
from .norm import batch_norm_forward as batch_norm_forward
from .norm import channel_mean_var as channel_mean_var
from .norm import channel_sum as channel_sum
from .pool import avg_pool2d_backward as avg_pool2d_backward
from .pool import avg_pool2d_forward as avg_pool2d_forward
from .pool import max_pool2d_backward as max_pool2d_backward
from .pool import max_pool2d_forward as max_pool2d_forward
