"""A page for each module that users import, with every public name in it."""

import ast
import functools
import importlib
import inspect
from pathlib import Path

OURS = ("minigrad", "architectures", "kernels")
MODULES = (
    "minigrad", "minigrad.nn", "minigrad.nn.functional", "minigrad.nn.init", "minigrad.ops", "minigrad.optim",
    "minigrad.optim.lr_scheduler", "minigrad.data", "minigrad.data.transforms", "minigrad.distributed",
    "minigrad.explain", "minigrad.explain.drawings", "minigrad.film", "minigrad.gradcheck", "minigrad.train",
    "minigrad.interop", "minigrad.interop.onnx", "minigrad.predict", "architectures",
    "kernels.loops", "kernels.reference", "kernels.cpu", "kernels.cuda",
)  # fmt: skip


def public(module):
    """(name, what it names) of the functions and classes that a module offers, wherever they were written."""
    for name in [*dir(module), *lazy(module)]:
        value = getattr(module, name)
        written_by = (getattr(value, "__module__", None) or "").partition(".")[0]
        if not name.startswith("_") and callable(value) and written_by in OURS and name not in borrowed(module):
            yield name, value


@functools.cache
def borrowed(module):
    """Names that a module imports to use them; those that it offers are imported `as` themselves, or in __all__."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = (a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names if a.asname is None)
    return set(found) - set(getattr(module, "__all__", ()))


def lazy(module):
    """Names that a module makes on first use, and dir() does not list."""
    if module.__name__ == "minigrad.train":
        return ["Trainer"]
    if module.__name__ == "minigrad":
        return sorted(set(importlib.import_module("minigrad.ops.functions").FUNCTIONS) - set(dir(module)))
    return []


def write(source):
    """Write the pages into the folder `source`; a line that says how many."""
    folder, first, count = source / "api", {}, 0
    folder.mkdir()
    for name in MODULES:
        module = importlib.import_module(name)
        entries = sorted(public(module), key=lambda entry: (not inspect.isclass(entry[1]), entry[0].lower()))
        count += len(entries)
        (folder / f"{name}.rst").write_text(page(name, entries, first))
    return f"{len(MODULES)} modules with {count} public names"


def page(name, entries, first):
    """A page as reStructuredText; Sphinx's autodoc fills it in. first: {class: the name that it was met by first}."""
    parts = [f"{name}\n{'=' * len(name)}", f".. automodule:: {name}\n   :no-members:"]
    for title, is_class in (("Classes", True), ("Functions", False)):
        chosen = [entry for entry in entries if inspect.isclass(entry[1]) == is_class]
        if chosen:
            parts += [f"{title}\n{'-' * len(title)}", *(entry_of(name, n, value, first) for n, value in chosen)]
    return "\n\n".join(parts) + "\n"


def entry_of(module, name, value, first):
    """A function, a class with its methods; of a class under a second name, where to read about it."""
    if not inspect.isclass(value):
        return f".. autofunction:: {module}.{name}"
    own = f"{module}.{name}" if value.__name__ == name else f"{module}.{value.__name__}"
    if first.setdefault(value, own) != f"{module}.{name}":
        return f".. py:class:: {name}\n   :module: {module}\n\n   The same as :py:class:`{first[value]}`."
    return f".. autoclass:: {own}\n   :members:"
