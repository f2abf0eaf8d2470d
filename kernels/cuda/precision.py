"""Whether float32 products may run on tensor cores as TF32: 8 times the speed, 10 bits of mantissa instead of 23."""

import contextlib
import contextvars

_tf32 = contextvars.ContextVar("tf32", default=False)


def tf32_allowed():
    return _tf32.get()


@contextlib.contextmanager
def allow_tf32(allowed=True):
    """Within this block, float32 convolutions and matrix products round their operands to TF32 (or don't)."""
    token = _tf32.set(allowed)
    try:
        yield
    finally:
        _tf32.reset(token)
