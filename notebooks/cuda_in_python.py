"""Two CUDA kernels in Python, by Numba, for notebook 11: a first thing to read before kernels/cuda/src/*.cu.

A kernel is a function that every thread runs; the threads of a block share memory and can wait for each other. Here
each thread knows its number and picks its work by it. The CUDA C++ of the same is in kernels/cuda/src (activation.cu
and norm.cu), which loads 16 bytes at a time and knows more types and layouts.

It needs a GPU and `pip install numba-cuda`, or Numba's simulator, which runs the threads one by one in Python:

    NUMBA_ENABLE_CUDASIM=1 python notebooks/cuda_in_python.py
"""

import numpy as np
from numba import cuda, float32

THREADS = 128  # in a block; a power of two


@cuda.jit
def relu_kernel(x, y):
    """y = max(x, 0): one thread for each element."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x  # the number of this thread among all
    if i < x.size:  # the last block has more threads than there are elements left
        y[i] = max(x[i], float32(0))


@cuda.jit
def channel_sum_kernel(x, total):
    """total[c] = sum of x[:, c]: one block for each channel."""
    partial = cuda.shared.array(THREADS, float32)  # one number for each thread, seen by all threads of the block
    thread, channel = cuda.threadIdx.x, cuda.blockIdx.x
    own = float32(0)
    for row in range(thread, x.shape[0], THREADS):
        own += x[row, channel]
    partial[thread] = own
    cuda.syncthreads()  # until all have written
    half = THREADS // 2
    while half > 0:  # a tree: in each round half of the threads add the number of a thread of the other half
        if thread < half:
            partial[thread] += partial[thread + half]
        cuda.syncthreads()  # by all threads, also by those that had nothing to add
        half //= 2
    if thread == 0:
        total[channel] = partial[0]


def relu(x):
    """max(x, 0) of a float32 array of any shape, on the GPU and back."""
    y = cuda.device_array(x.size, np.float32)
    blocks = -(-x.size // THREADS)
    relu_kernel[blocks, THREADS](cuda.to_device(x.ravel()), y)
    return y.copy_to_host().reshape(x.shape)


def channel_sum(x):
    """The sum over all rows of a float32 matrix (rows, C), on the GPU and back."""
    total = cuda.device_array(x.shape[1], np.float32)
    channel_sum_kernel[x.shape[1], THREADS](cuda.to_device(x), total)
    return total.copy_to_host()


if __name__ == "__main__":
    numbers = np.random.default_rng(0).standard_normal((300, 3), np.float32)
    print("relu         differs by at most", abs(relu(numbers) - np.maximum(numbers, 0)).max())
    print("channel_sum  differs by at most", abs(channel_sum(numbers) - numbers.sum(0)).max())
