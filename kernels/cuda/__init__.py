"""CUDA kernels: the reference on CuPy arrays, with the hot functions overridden by CUDA C++ under src/.

A name not listed below is the reference. Imports without CuPy and a driver. How to add a kernel: README.md here.
"""

from ..contract import enforce
from ..reference import *  # noqa: F403
from .activation import add_relu_forward as add_relu_forward
from .activation import relu_backward as relu_backward
from .activation import relu_forward as relu_forward
from .casting import cast_all as cast_all
from .casting import copy_all as copy_all
from .conv import conv2d_backward_input as conv2d_backward_input
from .conv import conv2d_backward_weight as conv2d_backward_weight
from .conv import conv2d_forward as conv2d_forward
from .dense import norm_relu_conv_backward as norm_relu_conv_backward
from .dense import norm_relu_conv_forward as norm_relu_conv_forward
from .dropout import dropout_forward as dropout_forward
from .graphed import GraphedUpdates as GraphedUpdates
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
from .norm import local_response_norm_backward as local_response_norm_backward
from .norm import local_response_norm_forward as local_response_norm_forward
from .norm import moments_line as moments_line
from .norm import through_moments as through_moments
from .optim import adam_step as adam_step
from .optim import scale_all as scale_all
from .optim import sgd_step as sgd_step
from .optim import squared_norm as squared_norm
from .pool import adaptive_avg_pool2d_backward as adaptive_avg_pool2d_backward
from .pool import adaptive_avg_pool2d_forward as adaptive_avg_pool2d_forward
from .pool import avg_pool2d_backward as avg_pool2d_backward
from .pool import avg_pool2d_forward as avg_pool2d_forward
from .pool import max_pool2d_backward as max_pool2d_backward
from .pool import max_pool2d_forward as max_pool2d_forward
from .statistics import move_statistics as move_statistics
from .statistics import moving_together as moving_together

LOW_TYPES = "float16", "bfloat16"  # 16-bit types that all kernels take, with sums in float32
enforce(globals(), LOW_TYPES)
