"""What the source says of an op: its formula and the text of its backward."""

import functools
import inspect
import re
import textwrap

# a line of a docstring that defines something: "y = ...", "dx[n,i,j,c] = ...", "x_l = ...", "dx_i = ..."
DEFINITION = re.compile(r"^(y|loss|xhat|x_l|d[a-z]+)(_[a-z])?\b[^=]*=[^=]|^dx, d")


def formula(fn):
    """The lines of an op's docstring that say what it computes, forward and backward, as one text."""
    lines = [line.strip() for line in (fn.__doc__ or "").strip().splitlines()]
    if not lines:
        return ""
    found = [line for line in lines if DEFINITION.match(line)]
    return "\n".join(found or [" ".join(lines[: (lines + [""]).index("")])])


def backward_source(backward):
    """(text, "file.py:line") of a backward function; both empty where there is no source."""
    code = getattr(backward, "__code__", None)
    return _source(code) if code is not None else ("", "")


def arrays_by_path(saved):
    """(path, array) of the arrays in what a backward function has kept: x, layers[0][1].w of a list of named tuples."""
    for name, value in saved.items():
        yield from _paths(name, value)


def _paths(path, value):
    if hasattr(value, "_fields"):
        for field in value._fields:
            yield from _paths(f"{path}.{field}", getattr(value, field))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _paths(f"{path}[{i}]", item)
    elif hasattr(value, "strides"):
        yield path, value


@functools.lru_cache(1024)
def _source(code):
    try:
        text = textwrap.dedent(inspect.getsource(code)).rstrip()
    except (OSError, TypeError):  # typed at a prompt
        return "", ""
    name = code.co_filename.replace("\\", "/")
    where = "/".join(name.split("/")[-2:]) if "/ops/" in name else name.rsplit("/", 1)[-1]
    return text, f"{'cell' if 'ipykernel' in name else where}:{code.co_firstlineno}"
