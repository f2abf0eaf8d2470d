"""Ops take settings by keyword; PyTorch's functions also take them by position. This makes the one of the other."""

import functools
import inspect


def by_position(fn, inplace=False):
    """fn whose settings may be given by position, in the order of its signature, and whose tensors by name.

    inplace: add torch's argument of that name. No op writes into its input, so it changes nothing.
    """
    own = [p for p in inspect.signature(fn).parameters.values() if p.name != "ctx"]
    tensors = [p.name for p in own if p.kind is not p.KEYWORD_ONLY]
    shown = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in own]
    if inplace:
        shown.append(inspect.Parameter("inplace", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False))
    signature = inspect.Signature(shown)

    @functools.wraps(fn)
    def call(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as e:
            raise TypeError(f"{fn.__name__}: {e}; its arguments are {signature}") from None
        given.pop("inplace", None)
        inputs = [given.pop(name, None) for name in tensors]
        return fn(*inputs, **given)

    call.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    return call
