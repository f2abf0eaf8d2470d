"""CPU kernels: the reference, with the hot functions overridden by Numba. A name not listed below is the reference."""

from ..contract import enforce
from ..reference import *  # noqa: F403
from .activation import add_relu_forward as add_relu_forward
from .activation import relu_backward as relu_backward
from .activation import relu_forward as relu_forward
from .compiling import start_first_compilation as start_first_compilation
from .convolution.conv import conv2d_backward_input as conv2d_backward_input
from .convolution.conv import conv2d_forward as conv2d_forward
from .convolution.conv_weight import conv2d_backward_weight as conv2d_backward_weight
from .dropout import dropout_forward as dropout_forward
from .joining import concat_forward as concat_forward
from .linear import linear_backward_input as linear_backward_input
from .linear import linear_backward_weight as linear_backward_weight
from .linear import linear_forward as linear_forward
from .local_response_norm import local_response_norm_backward as local_response_norm_backward
from .local_response_norm import local_response_norm_forward as local_response_norm_forward
from .norm import batch_norm_apply as batch_norm_apply
from .norm import batch_norm_apply_backward as batch_norm_apply_backward
from .norm import batch_norm_backward as batch_norm_backward
from .norm import batch_norm_forward as batch_norm_forward
from .norm import channel_mean_var as channel_mean_var
from .norm import channel_sum as channel_sum
from .norm import through_moments as through_moments
from .norm_relu_conv.fused import norm_relu_conv_backward as norm_relu_conv_backward
from .norm_relu_conv.fused import norm_relu_conv_forward as norm_relu_conv_forward
from .optim import adam_step as adam_step
from .optim import sgd_step as sgd_step
from .pooling.average import adaptive_avg_pool2d_backward as adaptive_avg_pool2d_backward
from .pooling.average import adaptive_avg_pool2d_forward as adaptive_avg_pool2d_forward
from .pooling.average import avg_pool2d_backward as avg_pool2d_backward
from .pooling.average import avg_pool2d_forward as avg_pool2d_forward
from .pooling.max import max_pool2d_backward as max_pool2d_backward
from .pooling.max import max_pool2d_forward as max_pool2d_forward

enforce(globals())
