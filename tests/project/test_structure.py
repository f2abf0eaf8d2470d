"""Rules of the house, checked: who may import whom, one signature a kernel, no device questions outside device.py."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest
from op_table import CASES

import kernels.cpu
import kernels.cuda
import kernels.loops
import kernels.reference
from kernels.virtual import VirtualKernels
from minigrad import ops

ROOT = pathlib.Path(__file__).parent.parent.parent
PACKAGES = ("kernels", "minigrad", "architectures")
LAYERS = [
    "kernels",
    "minigrad.driver",
    "minigrad.cuda_graph",
    "minigrad.device",
    "minigrad.context",
    "minigrad.random",
    "minigrad.command",
    "minigrad.recipes",
    "minigrad.runs",
    "minigrad.autograd",
    "minigrad.guards",
    "minigrad.precision",
    "minigrad.fusing",
    "minigrad.leaf",
    "minigrad.tensor",
    "minigrad.derivatives",
    "minigrad.ops",
    "minigrad.creation",
    "minigrad.saving",
    "minigrad.recompute",
    "minigrad.nn",
    "minigrad.replay",
    "minigrad.optim",
    "minigrad.distributed",
    "minigrad.interop",
    "architectures",
    "minigrad.explain",
    "minigrad.doctor",
    "minigrad.gradcheck",
    "minigrad.predict",
    "minigrad.film",
    "minigrad.export",
    "minigrad.verify",
    "minigrad.watch",
    "minigrad.sweep",
    "minigrad.pack",
    "minigrad.train",
]
SOURCES = [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def rank(module):
    return max((i for i, l in enumerate(LAYERS) if (module + ".").startswith(l + ".")), default=None)


def imports(path):
    """The modules that a file imports anywhere, as absolute names ("from a import b" may mean module a.b)."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for n in ast.walk(ast.parse(path.read_text())):
        if isinstance(n, ast.Import):
            yield from (a.name for a in n.names)
        elif isinstance(n, ast.ImportFrom):
            base = package[: len(package) - n.level + 1] if n.level else []
            module = ".".join([*base, *([n.module] if n.module else [])])
            yield from (f"{module}.{a.name}" for a in n.names)
        elif (
            isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] in ("import_module", "__import__") and n.args
        ):
            yield from named_in(n.args[0])


def named_in(argument):
    """The module that a string names; of an f-string as much as is certain: "minigrad.ops" of f"minigrad.ops.{x}"."""
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
        yield first.value.rstrip(".")


def graph():
    """module -> the modules of ours that it imports."""
    names = {module_name(p) for p in SOURCES}

    def known(module):
        while module and module not in names:
            module = module.rpartition(".")[0]
        return module

    return {module_name(p): {known(m) for m in imports(p)} - {"", module_name(p)} for p in SOURCES}


def circle(edges):
    """The modules of a circle of imports, in order; an empty list where there is none."""
    done = set()

    def visit(module, path):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        done.add(module)
        return next(filter(None, (visit(other, [*path, module]) for other in sorted(edges[module]))), [])

    return next(filter(None, (visit(module, []) for module in edges)), [])


def test_no_circle_of_imports():
    """Also none through strings. (A package's face, __init__, imports its rooms, which don't import the face.)"""
    edges = graph()
    faces = {name for name in edges if any(n.startswith(name + ".") for n in edges)}
    edges = {m: {o for o in others if o not in faces} for m, others in edges.items()}
    assert circle(edges) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_string_imports_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "minigrad" / "tensor.py"
    path.parent.mkdir()
    path.write_text('import importlib\nimportlib.import_module(f"minigrad.ops.{family}")\n__import__("a.b")\n')
    assert {"minigrad.ops", "a.b"} <= set(imports(path))


def test_the_tensor_knows_no_op():
    assert not any(m.startswith("minigrad.ops") for m in imports(ROOT / "minigrad/tensor.py"))


def relative_id(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative_id)
def test_imports_point_down(path):
    me = rank(module_name(path))
    for other in imports(path):
        if me is not None and rank(other) is not None:
            assert rank(other) <= me, f"{module_name(path)} may not import {other}"


def test_autograd_and_data_stand_alone():
    ours = {m.rpartition(".")[0] for m in imports(ROOT / "minigrad/autograd.py") if m.split(".")[0] in PACKAGES}
    assert ours == {"kernels.recording", "kernels.arena"}, "its sums and copies are taken down where a pass is captured"
    for path in (ROOT / "minigrad/data").rglob("*.py"):
        for m in imports(path):
            assert m.split(".")[0] not in PACKAGES or m.startswith("minigrad.data"), f"{path} imports {m}"


def test_cupy_is_named_in_two_places_only():
    for path in SOURCES:
        if relative_id(path) != "minigrad/device.py" and not relative_id(path).startswith("kernels/cuda/"):
            assert not any(m.split(".")[0] == "cupy" for m in imports(path)), path


def test_mpi_is_named_in_one_place_only():
    for path in SOURCES:
        if relative_id(path) != "minigrad/distributed/mpi.py":
            assert not any(m.split(".")[0] == "mpi4py" for m in imports(path)), path


def test_peers_are_never_imported_by_the_product():
    for path in SOURCES:
        assert not {m.split(".")[0] for m in imports(path)} & {"torch", "torchvision", "tinygrad", "jax"}, path


def test_numba_is_imported_in_the_cpu_kernels_only():
    for path in SOURCES:
        if not relative_id(path).startswith("kernels/cpu/"):
            assert not any(m.split(".")[0] in ("numba", "llvmlite") for m in imports(path)), path


@pytest.mark.parametrize("path", sorted((ROOT / "kernels/reference").glob("*.py")), ids=lambda p: p.name)
def test_reference_kernels_name_no_array_module(path):
    """They take it from the array, so that they run on NumPy and on CuPy."""
    assert not any(m.split(".")[0] == "numpy" for m in imports(path))


def test_reference_kernels_are_short():
    assert sum(len(p.read_text().splitlines()) for p in (ROOT / "kernels/reference").glob("*.py")) < 900


@pytest.mark.parametrize("name", [n for n, _ in inspect.getmembers(kernels.reference, inspect.isfunction)])
def test_every_device_has_every_kernel_with_one_signature(name):
    expected = inspect.signature(getattr(kernels.reference, name))
    for tier in (kernels.loops, kernels.cpu, kernels.cuda, VirtualKernels()):
        assert inspect.signature(getattr(tier, name)) == expected, f"{tier}: {name}"


def test_every_op_has_a_row():
    public = {name for name, f in inspect.getmembers(ops, inspect.isfunction)}
    assert public - {c.op.__name__ for c in CASES} == {"cast", "copy_to"}, "they need a second type or device"


def test_every_op_states_its_formula():
    for name, f in inspect.getmembers(ops, inspect.isfunction):
        assert f.__doc__ and len(f.__doc__) >= 15, name


BESIDE = [path for folder in ("benchmarks", "book", "notebooks") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", [*SOURCES, *TESTS, *BESIDE], ids=relative_id)
def test_files_are_not_too_long(path):
    assert len(path.read_text().splitlines()) <= 350


def test_kernels_take_addresses_in_one_way():
    """Else a recording would not keep the memory alive. (Compiled code, where they are int64, is not recorded.)"""
    for path in sorted((ROOT / "kernels/cpu").rglob("*.py")):
        taken = [line for line in path.read_text().splitlines() if ".ctypes.data" in line.replace("np.int64(", "(", 1)]
        assert all("np.int64(" in line for line in taken), path


def test_import_is_light():
    """`import minigrad` must not pull in what only some runs need."""
    heavy = ("numba", "matplotlib", "PIL", "safetensors", "tqdm", "torch", "cupy")
    code = f"import sys, minigrad; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_arithmetic_compiles_nothing():
    """Ops that need no kernel don't import them, and with them Numba."""
    code = "import sys, minigrad as mg; (mg.tensor([1.0], requires_grad=True) * 2).sum().backward(); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print('numba' in sys.modules)"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
