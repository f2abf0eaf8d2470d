"""Compiles every declared instance of every kernel, without a GPU: `python -m kernels.cuda.report [ARCH ...]`.

Prints registers, shared memory and spills as ptxas reports them; exit status 1 if anything spills. The compiler is
NVRTC, which CuPy uses too (package nvidia-cuda-nvrtc), where there is one, else nvcc.
"""

import ctypes
import ctypes.util
import functools
import glob
import importlib
import os
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from typing import NamedTuple

from .loader import OPTIONS, Kernel

ARCHITECTURES = ("sm_75", "sm_80", "sm_89", "sm_90")
ASIDE = "report", "machine_code"  # modules that launch nothing
ENTRY = re.compile(r"Compiling entry function '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


class Usage(NamedTuple):
    """What an instance takes: registers a thread, bytes of static shared memory a block, bytes spilled."""

    instance: str
    registers: int
    shared: int
    spilled: int


def declared():
    """Every Kernel that a module of this package names, alone or in a list: {"activation.cu": [Kernel, ...]}."""
    by_file = defaultdict(list)
    package = pathlib.Path(__file__).parent
    for module in sorted(m.name for m in pkgutil.iter_modules([str(package)]) if m.name not in ASIDE):
        found = vars(importlib.import_module(f".{module}", __package__)).values()
        flat = (k for value in found for k in (value if isinstance(value, list | tuple) else [value]))
        for kernel in (k for k in flat if isinstance(k, Kernel)):
            if kernel not in by_file[kernel.file]:
                by_file[kernel.file].append(kernel)
    return dict(by_file)


def compiled(file, instances, arch):
    """The Usage of each instance of a file's kernels. RuntimeError, with the compiler's words, if it fails."""
    log = compiler()(file, instances, arch)
    usages, name, spilled = [], None, 0
    for line in log.splitlines():
        if match := ENTRY.search(line):
            name = demangled(match[1])
        elif match := SPILLS.search(line):
            spilled = int(match[1]) + int(match[2])
        elif match := USED.search(line):
            usages.append(Usage(name, int(match[1]), int(match[2] or 0), spilled))
    return sorted(usages)


def demangled(symbol):
    """_Z12relu_forwardIfLb1EEv... -> relu_forward<float, true>"""
    library = ctypes.CDLL(ctypes.util.find_library("stdc++") or "libstdc++.so.6")
    library.__cxa_demangle.restype = ctypes.c_char_p
    text = library.__cxa_demangle(symbol.encode(), None, None, None) or symbol.encode()
    return re.sub(r"^void |\(.*", "", text.decode())


# Compilers: (file, instances, architecture) -> what ptxas says


@functools.cache
def compiler():
    """The one to use. RuntimeError, saying what to install, where there is none."""
    if library := nvrtc():
        return functools.partial(by_nvrtc, library)
    if shutil.which("nvcc"):
        return by_nvcc
    raise RuntimeError("no CUDA compiler: neither NVRTC (pip install nvidia-cuda-nvrtc nvidia-cuda-runtime) nor nvcc")


def folders(name):
    """Folders of this name ("lib", "include") of CUDA, from the package registry or installed for the machine."""
    wheels = [os.path.join(p, "nvidia/*/") + name for p in sys.path]
    installed = os.path.join(os.environ.get("CUDA_PATH", "/usr/local/cuda"), name)
    return [folder for pattern in (*wheels, installed, installed + "64") for folder in glob.glob(pattern)]


def headers():
    """-I flags of the folder that has CUDA's headers."""
    return [f"-I{folder}" for folder in folders("include") if os.path.exists(os.path.join(folder, "cuda_fp16.h"))][:1]


def nvrtc():
    """The library, or None where it, or CUDA's headers, are missing."""
    for folder in folders("lib"):
        libraries = sorted(glob.glob(os.path.join(folder, "libnvrtc.so*")))
        if libraries and headers():
            for builtins in glob.glob(os.path.join(folder, "libnvrtc-builtins.so*")):
                ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(libraries[0])
    return None


def by_nvrtc(library, file, instances, arch):
    return compiled_by(library, file, instances, arch, None)


def machine_code(file, instance, arch):
    """The cubin of an instance, as bytes. RuntimeError without NVRTC."""
    library = nvrtc()
    if library is None:
        raise RuntimeError("machine code needs NVRTC: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime")
    code = []
    compiled_by(library, file, [instance], arch, code)
    return code[0]


def cubin_of(library, program):
    size = ctypes.c_size_t()
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    library.nvrtcGetCUBIN(program, code)
    return code.raw


def compiled_by(library, file, instances, arch, code):
    """What the compiler says. code: None, or a list that gets the machine code."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    library.nvrtcCreateProgram(ctypes.byref(program), f'#include "{file}"\n'.encode(), None, 0, None, None)
    for instance in instances:
        library.nvrtcAddNameExpression(program, instance.encode())
    options = [o.encode() for o in (*OPTIONS, *headers(), f"-arch={arch}", "--ptxas-options=-v")]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    if code is not None and not failed:
        code.append(cubin_of(library, program))
    library.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise RuntimeError(f"{file}: {log.value.decode()}")
    return log.value.decode()


def by_nvcc(file, instances, arch):
    named = "".join(f"  use((const void*){instance});\n" for instance in instances)
    code = f'#include "{file}"\nvoid use(const void*);\nvoid instances() {{\n{named}}}\n'
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "all.cu")
        source.write_text(code)
        options = (*OPTIONS, f"-arch={arch}", "-cubin", "-Xptxas", "-v", "-o", f"{folder}/all.cubin")
        done = subprocess.run(["nvcc", *options, str(source)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{file}: {done.stderr}")
    return done.stderr


# The table


def table(architectures):
    """(lines of a Markdown table of all instances, bytes spilled by all)"""
    lines = ["| Kernel | Registers | Shared, bytes | Spilled, bytes |", "|---|---|---|---|"]
    spilled = 0
    for file, kernels in declared().items():
        instances = [instance for kernel in kernels for instance in kernel.instances()]
        lines.append(f"| **{file}** | {' / '.join(architectures)} | | |")
        for usages in zip(*(compiled(file, instances, arch) for arch in architectures)):
            columns = (" / ".join(str(number) for number in column) for column in list(zip(*usages))[1:])
            lines.append(f"| `{usages[0].instance}` | {' | '.join(columns)} |")
            spilled += sum(usage.spilled for usage in usages)
    return lines, spilled


def main(architectures):
    try:
        lines, spilled = table(architectures or ARCHITECTURES)
    except RuntimeError as error:
        print(f"kernels.cuda.report: error: {error}", file=sys.stderr)
        return 2
    print(*lines, sep="\n")
    return 1 if spilled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
