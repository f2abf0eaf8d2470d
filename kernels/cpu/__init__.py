"""CPU kernels: the reference, with the hot functions overridden by Numba. A name not listed below is the reference.

The words that all files use, one for one thing:

    tile      a small matrix of sums in registers: some rows, and as many columns as a few vectors have lanes
    lane      a place in a vector, or in a row of several pixels
    row       one pixel's channels in memory; Rows are the address of the first and the bytes to the next
    panel     channels side by side: as many as the tile has columns, or rows
    chunk     the panels (or channels) that a task takes at a time
    block     the pixels (or patches) that a task works on at a time, so few that they stay in a cache
    part      a piece of all blocks with sums of its own; parts are cut by shape alone, and added in order
    portion   the steps of a long sum between two visits of the result to memory
    stretch   the depths of a filter that a task packs at a time
    task      one turn of the loop that the threads share (tasks.py)
    tap       one position of a filter, or of a pooling window; its offset in memory
    depth     how many numbers a sum has at each tap: the input channels of a group
    patch     4x4 outputs of Winograd's algorithm; a strip is a row of patches; each has 36 points
    plan      all numbers of a call but its addresses
    scratch   memory of a thread's own

Steps and addresses are in bytes. A kernel that takes addresses gets each array as a plain tuple (address, step).
"""

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
from .elementwise.program import each_element as each_element
from .elementwise.program import normal_cdf as normal_cdf
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
from .norm import moments_line as moments_line
from .norm import move_statistics as move_statistics
from .norm import through_moments as through_moments
from .norm_relu_conv.fused import norm_relu_conv_backward as norm_relu_conv_backward
from .norm_relu_conv.fused import norm_relu_conv_forward as norm_relu_conv_forward
from .optim import adam_step as adam_step
from .optim import copy_all as copy_all
from .optim import sgd_step as sgd_step
from .pooling.average import adaptive_avg_pool2d_backward as adaptive_avg_pool2d_backward
from .pooling.average import adaptive_avg_pool2d_forward as adaptive_avg_pool2d_forward
from .pooling.average import avg_pool2d_backward as avg_pool2d_backward
from .pooling.average import avg_pool2d_forward as avg_pool2d_forward
from .pooling.max import max_pool2d_backward as max_pool2d_backward
from .pooling.max import max_pool2d_forward as max_pool2d_forward
from .runtime import give_memory_back as give_memory_back

recordable = True  # a capture can take down what these kernels do (../recording.py)
enforce(globals())
