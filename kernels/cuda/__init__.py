"""CUDA kernels: the reference on CuPy arrays. The hot ones will be overridden by CUDA C++ under src/."""

from ..reference import *  # noqa: F403
