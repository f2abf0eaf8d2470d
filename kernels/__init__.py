"""Array kernels: plain functions on arrays. No tensors, no graph, no layers.

Four modules, the tiers, have the same functions with the same signatures; minigrad.use_kernels(name) runs on one:

    kernels.loops       plain loops over single numbers, to be read and stepped through; slow
    kernels.reference   the readable definition, in array code that runs on NumPy and on CuPy; the oracle of every test
    kernels.cpu         Numba: the reference with the hot functions overridden
    kernels.cuda        CuPy and CUDA C++: the reference with the hot functions overridden

Beside them:

    kernels.virtual     VirtualKernels(): the same functions on shapes alone, without numbers; they count the arithmetic
    kernels.shapes      how many windows fit into an image, for all of them
    kernels.recording   calls of compiled kernels taken down, to be replayed, on the memory of kernels.arena
    kernels.pieces      element-wise work, shared by all threads
    kernels.contract    the check of what compiled kernels receive; kernels.rules has its rules, kernel by kernel

The contract
    Layout      channels last: x (N, H, W, C), w (K, R, S, C/groups), y (N, P, Q, K)
    Inputs      never written. The channels of a pixel are contiguous, but the step from pixel to pixel may exceed C
                (an array may be a channel slice of a wider buffer). Any other layout is accepted and may be copied.
    Outputs     fresh, or written to `out=`, which may itself be such a slice
    Pairs       stride, padding, dilation and size are (vertical, horizontal) pairs of ints
    Types       float32 and float64, the same for all arrays of a call; the result has that type
    Repeatable  the same inputs on the same machine with the same number of threads give the same bits
"""

# Another distribution on PyPI also installs a top-level package called `kernels`. This name marks ours.
OWNER = "minigrad"
