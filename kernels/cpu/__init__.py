"""CPU kernels: the reference, with the hot functions overridden by Numba. A name not listed below is the reference."""

from ..reference import *  # noqa: F403
