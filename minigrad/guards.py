"""Guards against writing in place: which tensors' memory a node has saved, and which version of it.

Tensors on the same memory share a cell that counts the writes into it. A backward pass whose saved numbers have been
overwritten is refused (autograd.py).
"""


def argument_names(names, count):
    """("a", "b") as they are; a variable ("xs",) numbered: xs[0], xs[1], ..."""
    fixed = names[:-1] if len(names) < count else names
    return (*fixed, *(f"{names[-1]}[{i}]" for i in range(count - len(fixed))))


def shared_version(y, inputs):
    """The version cell of the input that y is a view of: writing into one then counts for both."""
    root = getattr(y, "base", None)
    if root is not None:
        for t in inputs:
            if t is not None and (t.data is root or t.data.base is root):
                return t.version
    return None


def guards(node, named):
    """(name, version cell, version now) of the tensors whose memory the node's backward has saved."""
    roots = {id(memory(array)) for _, array in node.saved_arrays}
    return tuple((n, t.version, t.version[0]) for n, t in named if t is not None and id(memory(t.data)) in roots)


def memory(array):
    """The array that owns the memory of this one: itself, unless it is a view."""
    base = getattr(array, "base", None)
    return array if base is None else base
