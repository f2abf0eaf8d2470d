"""Our net as an ONNX file, batch norm folded, for engines that evaluate.

A process of its own writes it (python -m peers.exported NET IMAGE CHANNELS CLASSES PATH): what that takes is not in the
engine's memory.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def exported(net, image, channels, classes, mode):
    """The path of the net's ONNX file within this block. ValueError for a mode that engines don't have."""
    if mode != "forward":
        raise ValueError("it evaluates only: --mode forward")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        command = [sys.executable, "-m", "peers.exported", net, *map(str, (image, channels, classes, path))]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=env, cwd=ROOT / "benchmarks", capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"no ONNX file of {net}: {done.stderr.strip().splitlines()[-1]}")
        yield path


def main(net, image, channels, classes, path):
    import architectures
    from minigrad.export import export

    sizes = dict(num_classes=int(classes), image_size=int(image), in_channels=int(channels))
    export(architectures.create(net, **sizes).eval(), path, "onnx", fold=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
