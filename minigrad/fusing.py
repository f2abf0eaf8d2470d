"""Ops that stand for several, in one pass over memory; and a block within which they run as they are written out.

A fused op names what it stands for: `@op(written=...)`. Readers (`explain.Stepper(..., readable=True)`) run the net
within `written_out()`, where such an op calls its composition; numbers agree up to rounding.
"""

from contextlib import contextmanager
from contextvars import ContextVar

_written_out: ContextVar[bool] = ContextVar("written_out", default=False)


@contextmanager
def written_out():
    """Within this block fused ops run as the ops that they stand for."""
    token = _written_out.set(True)
    try:
        yield
    finally:
        _written_out.reset(token)


def is_written_out():
    """Are fused ops written out here?"""
    return _written_out.get()
