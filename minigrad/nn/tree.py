"""The tree that a module's attributes make: its members, their names, and what may stand where."""

from ..tensor import Tensor
from .conversion import described
from .parameter import Buffer, Parameter


def children(module, kind):
    """(name, value) of the attributes of a kind, in the order they were set."""
    return ((name, value) for name, value in vars(module).items() if isinstance(value, kind))


def nested(module, kind, prefix, seen, above=()):
    """(dotted name, module) of a module and, parents first, all modules of a kind below.

    seen: a set, for each once; None for all their names. A module that stands below itself is not entered again.
    """
    if id(module) in (above if seen is None else seen):
        return
    if seen is not None:
        seen.add(id(module))
    yield prefix, module
    for name, child in children(module, kind):
        yield from nested(child, kind, join(prefix, name), seen, (*above, id(module)))


def members(modules, kind, remove_duplicate=True):
    """(dotted name, value) of the attributes of a kind of these (name, module); one that is there twice once."""
    seen = set()
    for prefix, module in modules:
        for name, value in children(module, kind):
            if id(value) not in seen:
                yield join(prefix, name), value
            if remove_duplicate:
                seen.add(id(value))


def join(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def check_name(module, name):
    """Refuse a name that attributes can't have, or that hides something of the module that is no member."""
    owner = type(module).__name__
    if not isinstance(name, str):
        raise TypeError(f"{owner}: names must be strings; got {name!r}")
    if not name or "." in name:
        raise ValueError(f"{owner}: a name must not be empty or have a dot in it; got {name!r}")
    if name not in vars(module) and hasattr(type(module), name):
        raise ValueError(f"{owner}: the name {name!r} is taken by an attribute of the class")


def check_assignment(module, kind, name, value):
    """What may become attribute `name`: value, or a Buffer around it. TypeError for what would be lost without a word.

    kind: the class of modules.
    """
    owned, now, place = (Parameter, Buffer, kind), vars(module).get(name), f"{type(module).__name__}.{name}"
    if isinstance(value, list | tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        if any(isinstance(item, kind | Parameter) for item in items):
            way = "use ModuleList, ModuleDict or ParameterList"
            raise TypeError(f"{place}: parameters in a {type(value).__name__} would not be found; {way}")
    if not isinstance(now, owned) or value is None or isinstance(value, owned):
        return value
    if isinstance(now, Buffer) and isinstance(value, Tensor):
        return Buffer(value)
    wanted = next(k.__name__ for k in owned if isinstance(now, k))
    hint = (
        "; write into it with copy_() under no_grad()" if isinstance(value, Tensor) or hasattr(value, "shape") else ""
    )
    raise TypeError(f"{place} is a {wanted}, only another one or None may take its place; got {described(value)}{hint}")
