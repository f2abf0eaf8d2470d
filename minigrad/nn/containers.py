"""Modules made of modules: in a row, in a list, under names; and parameters in a list."""

from .conversion import described
from .folding import run_fused
from .module import Module, Parameter
from .tree import check_name, children


def member(owner, place, value, kind=Module):
    """The value, if it is a module (or of that kind). TypeError that says what it is and what to write instead."""
    if isinstance(value, kind):
        return value
    hint = ""
    if isinstance(value, type) and issubclass(value, kind):
        hint = f": write {value.__name__}(...), an object of it"
    elif isinstance(value, list | tuple | dict) or hasattr(value, "__next__"):
        hint = f": write {owner}(*modules)" if owner == "Sequential" else ": nest containers, or join the lists"
    elif callable(value):
        hint = ": write a Module that calls it, such as nn.ReLU() for F.relu"
    raise TypeError(f"{owner}: {place} must be a {kind.__name__}; got {described(value)}{hint}")


class Numbered(Module):
    """What containers with an order share: members under numbers (or names), reached by position."""

    kind: type = Module

    def entries(self):
        """(name, member) in order; the same member may be there twice."""
        return list(children(self, self.kind))

    def __iter__(self):
        return (value for _, value in self.entries())

    def __len__(self):
        return len(self.entries())

    def name_at(self, index):
        """The name of the member at a position, from the end if negative. TypeError, IndexError for no position."""
        try:
            return self.entries()[index][0]
        except (TypeError, IndexError) as e:
            owner = type(self).__name__
            raise type(e)(
                f"{owner}: index must be an int from {-len(self)} to {len(self) - 1}; got {index!r}"
            ) from None

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.part(self.entries()[index])
        return getattr(self, self.name_at(index))

    def part(self, entries):
        """A container of some members, which both then own."""
        return type(self)().extend([value for _, value in entries])

    def __setitem__(self, index, value):
        setattr(self, self.name_at(index), member(type(self).__name__, f"item {index}", value, self.kind))

    def __delitem__(self, index):
        entries = self.entries()
        gone = entries[index] if isinstance(index, slice) else [entries[index]]
        names = {name for name, _ in gone}
        self.replace([entry for entry in entries if entry[0] not in names])

    def replace(self, entries):
        """Only these members from now on; numbers count anew, names stay."""
        for name, _ in self.entries():
            delattr(self, name)
        for position, (name, value) in enumerate(entries):
            setattr(self, str(position) if name.isdecimal() else name, value)

    def append(self, module):
        """Add a member at the end. Returns self. TypeError for anything else."""
        value = member(type(self).__name__, f"item {len(self)}", module, self.kind)
        name = len(self)
        while str(name) in vars(self):  # a slice keeps the numbers that it had
            name += 1
        setattr(self, str(name), value)
        return self

    def extend(self, modules):
        """Add several members at the end. Returns self. TypeError, with none added, if one is something else."""
        owner = type(self).__name__
        values = [member(owner, f"item {len(self) + i}", value, self.kind) for i, value in enumerate(modules)]
        for value in values:
            self.append(value)
        return self

    def insert(self, index, module):
        """Put a member before position `index`; those behind it move on. Returns self."""
        value, entries = member(type(self).__name__, f"item {index}", module, self.kind), self.entries()
        entries.insert(index, (str(len(entries)), value))
        self.replace(entries)
        return self

    def pop(self, index=-1):
        """Take a member out and return it."""
        value = self[index]
        del self[index]
        return value


class Sequential(Numbered):
    """Modules one after the other: x goes through the first, its output through the second, and so on.

    Built from modules (named "0", "1", ...) or from one dict of name: module. Takes positions, slices (which keep
    names), item assignment and del, append, extend, insert and pop. TypeError for anything but modules.

    Where they follow each other, a convolution, batch norm or fully-connected layer and a ReLU run as one op, and in
    evaluation under no_grad a convolution and batch norm as one convolution: the same numbers up to rounding, in less
    time. Modules that have hooks, or a forward of their own, and all modules within `unfused()`, are called one by one.
    """

    def __init__(self, *modules):
        named = len(modules) == 1 and isinstance(modules[0], dict)
        for name, module in modules[0].items() if named else enumerate(modules):
            check_name(self, name if named else str(name))
            setattr(self, str(name), member("Sequential", f"module {name!r}" if named else f"argument {name}", module))

    def part(self, entries):
        """A Sequential of some of the modules, under the names that they have here."""
        return Sequential(dict(entries))

    def forward(self, x):
        """The output of the last module; x itself if there is none."""
        return run_fused(list(self), x)


class ModuleList(Numbered):
    """Modules in a list, for a forward that walks them itself.

    modules: any iterable of them. Takes positions, slices, item assignment and del, append, extend, insert and pop.
    TypeError for anything but modules.
    """

    def __init__(self, modules=()):
        self.extend(modules)


class ParameterList(Numbered):
    """Parameters in a list, as ModuleList. Arrays and tensors among the values become Parameters."""

    kind = Parameter

    def __init__(self, values=()):
        self.extend(values)

    def append(self, module):
        """Add a Parameter, or an array or a tensor as one, at the end. Returns self."""
        return super().append(as_parameter(module))

    def extend(self, modules):
        """Add several at the end. Returns self."""
        return super().extend([as_parameter(value) for value in modules])


def as_parameter(value):
    return Parameter(value) if hasattr(value, "shape") and not isinstance(value, Parameter) else value


class ModuleDict(Module):
    """Modules under names, for a forward that chooses among them: a dict whose values are found as members.

    modules: a dict or pairs of name and module. TypeError for values that are no modules and for names that are no
    strings, ValueError for names with a dot or such that hide a method of the class.
    """

    def __init__(self, modules=()):
        self.update(modules)

    def __getitem__(self, key):
        return dict(self.items())[key]

    def __setitem__(self, key, module):
        check_name(self, key)
        setattr(self, key, member("ModuleDict", f"module {key!r}", module))

    def __delitem__(self, key):
        self[key]
        delattr(self, key)

    def __len__(self):
        return len(self.keys())

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, key):
        return key in self.keys()

    def keys(self):
        """The names, in order."""
        return [name for name, _ in self.items()]

    def values(self):
        """The modules, in order."""
        return [module for _, module in self.items()]

    def items(self):
        """(name, module), in order."""
        return list(children(self, Module))

    def update(self, modules):
        """Set several: a dict or pairs of name and module."""
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key):
        """Take a module out and return it. KeyError for a name that is not there."""
        module = self[key]
        del self[key]
        return module

    def clear(self):
        """Take all modules out."""
        for key in self.keys():
            del self[key]
