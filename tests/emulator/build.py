"""Compiles the engine and the kernels with g++ into shared objects, once for each content."""

import ctypes
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
INCLUDE = HERE / "include"
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-fno-gnu-unique", "-fno-strict-aliasing", "-ffp-contract=off",
         "-Wno-unknown-pragmas", "-Wno-attributes")  # fmt: skip

CHECKED = (
    "-fsanitize=alignment",
)  # of loads and stores in kernels; what happens then is the engine's, not a library's
SANITIZERS = {
    "none": (),
    "address": ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
    "thread": ("-g", "-fsanitize=thread"),
}


class Launch(ctypes.Structure):
    """Launch in engine.cpp."""

    _fields_ = (
        ("run", ctypes.c_void_p), ("arguments", ctypes.c_void_p),
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("dynamic_bytes", ctypes.c_size_t),
        ("shared_begin", ctypes.c_void_p), ("shared_end", ctypes.c_void_p),
        ("order", ctypes.c_int), ("seed", ctypes.c_uint),
    )  # fmt: skip


def compiler():
    """The path of g++, or None."""
    return shutil.which("g++")


def checks():
    """Flags for kernels, beside those of the sanitizers, which have checks of their own."""
    return () if sanitizer() else CHECKED


def sanitizer():
    """Flags for what the environment asks for: MINIGRAD_EMULATOR_SANITIZE=address or thread."""
    return SANITIZERS[os.environ.get("MINIGRAD_EMULATOR_SANITIZE", "none")]


def cache():
    """Where shared objects are kept: in MINIGRAD_CACHE, else among the temporary files, one folder a user."""
    base = os.environ.get("MINIGRAD_CACHE") or os.path.join(tempfile.gettempdir(), f"minigrad-{os.getuid()}")
    folder = pathlib.Path(base, "emulator")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


@functools.cache
def included(*folders):
    """A hash of all that kernels in these folders may include: them, and our headers."""
    files = [f for folder in (*folders, INCLUDE) for f in sorted(folder.iterdir()) if f.is_file()]
    return digest(*((f.name, f.read_bytes()) for f in files))


def compile_once(target, code, flags, in_steps=False):
    """Run g++ on code unless `target` is there already. RuntimeError, with what g++ says, if it fails.

    in_steps: compile with CHECKED, then link without it: what it calls is the engine's.
    """
    if not target.exists():
        partial, source, object_ = (target.with_suffix(f".{os.getpid()}.{kind}") for kind in ("tmp", "cpp", "o"))
        source.write_text(code)
        if in_steps:
            run(target, [*sanitizer(), *checks(), *flags, "-c", str(source), "-o", str(object_)])
            run(target, [*sanitizer(), str(object_), "-o", str(partial)])
            object_.unlink()
        else:
            run(target, [*sanitizer(), *flags, str(source), "-o", str(partial)])
        source.unlink()
        partial.replace(target)  # at once, so that a process beside this one never sees half a file
    return target


def run(target, arguments):
    """g++ with these. RuntimeError, with what it says, if it fails."""
    done = subprocess.run([compiler(), *FLAGS, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{target.name}: g++ failed\n{done.stderr}")


@functools.cache
def headers():
    """A folder with our headers, CUDA's names precompiled: a kernel then compiles in a third of the time."""
    folder = cache() / f"headers-{digest(included(), sanitizer())}"
    folder.mkdir(exist_ok=True)
    for header in INCLUDE.iterdir():
        shutil.copy(header, folder)
    names = (INCLUDE / "cuda_emulator.h").read_text().replace("#pragma once", "")
    compile_once(folder / "cuda_emulator.h.gch", names, (*checks(), "-x", "c++-header", f"-I{folder}"))
    return folder


@functools.cache
def engine():
    """The engine, whose functions the kernels' shared objects then find."""
    source = HERE / "engine.cpp"
    path = cache() / f"engine-{digest(source.read_bytes(), included(), sanitizer())}.so"
    compile_once(path, source.read_text(), ("-x", "c++", f"-I{INCLUDE}"))
    library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    library.emulator_launch.restype = ctypes.c_char_p
    library.emulator_address.restype = ctypes.c_void_p
    return library


@functools.cache
def kernel_library(code, expressions, folders, defines):
    """The shared object of these kernels, whose sources are in these folders."""
    engine()
    exports = "".join(f"EMULATED_KERNEL({i}, {e})\n" for i, e in enumerate(expressions))
    text = f'#include "cuda_emulator.h"\n{code}\n{exports}'
    name = re.sub(r"\W+", "_", expressions[0])[:60]
    path = cache() / f"{name}-{digest(text, defines, included(*folders), sanitizer())}.so"
    flags = ("-x", "c++", f"-I{headers()}", *(f"-I{folder}" for folder in folders), *defines)
    return ctypes.CDLL(str(compile_once(path, text, flags, in_steps=True)))
