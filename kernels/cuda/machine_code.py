"""A kernel's main loop in machine code, its instructions counted without a GPU: `python -m kernels.cuda.machine_code`.

Needs NVRTC and nvdisasm (packages nvidia-cuda-nvrtc, nvidia-cuda-runtime and nvidia-cuda-nvdisasm).
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import NamedTuple

from . import report

INSTRUCTION = re.compile(r"/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)")
LABEL, JUMP = re.compile(r"^(\.L_\w+):"), re.compile(r"\bBRA\b.*?(\.L_\w+)")
PRODUCTS = "HMMA", "IMMA", "DMMA"


class Loop(NamedTuple):
    """Instructions of a loop, and how many of them are tensor cores' products."""

    products: int
    instructions: int


def disassembler():
    """The path of nvdisasm. RuntimeError, saying what to install, where there is none."""
    found = [path for folder in report.folders("bin") if os.path.exists(path := os.path.join(folder, "nvdisasm"))]
    path = next(iter(found), None) or shutil.which("nvdisasm")
    if path is None:
        raise RuntimeError("no disassembler: pip install nvidia-cuda-nvdisasm")
    return path


def main_loop(file, instance, arch):
    """The Loop with the most products of an instance's machine code; of two, the shorter one."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = pathlib.Path(folder, "code.cubin")
        cubin.write_bytes(report.machine_code(file, instance, arch))
        text = subprocess.run([disassembler(), "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    return max(loops_in(text), key=lambda loop: (loop.products, -loop.instructions))


def loops_in(text):
    """A Loop for each jump backwards in a disassembly."""
    names, labels, loops = [], {}, [Loop(0, 0)]
    for line in text.splitlines():
        if match := LABEL.match(line.strip()):
            labels[match[1]] = len(names)
        elif match := INSTRUCTION.search(line):
            names.append(match[1])
            jump = JUMP.search(line)
            if jump and jump[1] in labels:
                inside = names[labels[jump[1]] :]
                loops.append(Loop(sum(name in PRODUCTS for name in inside), len(inside)))
    return loops


def main():
    for tile in ("128, 128", "128, 64", "64, 128", "64, 64"):
        for file, kernel in (("conv_gather.cu", "conv_gather"), ("conv_weight.cu", "conv_weight")):
            for dtype in ("__nv_bfloat16", "float"):
                instance = f"{kernel}<{dtype}, true, {tile}, 16>"
                loop = main_loop(file, instance, "sm_90")
                print(f"| `{instance}` | {loop.products} | {loop.instructions} |")


if __name__ == "__main__":
    main()
