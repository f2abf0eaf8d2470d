"""`python -m minigrad.export`. Exit status: 0 done, 2 a wrong call or file."""

import sys
from pathlib import Path

from ..command.arguments import Parser
from ..command.screen import concluded, say, writing
from ..interop import WeightsError
from ..predict import load
from ..predict.files import BEST, LAST
from .write import FORMATS, export

EXAMPLES = """examples:
  python -m minigrad.export runs/NAME --to onnx                        runs/NAME/best.onnx
  python -m minigrad.export runs/NAME --to onnx --fold -o net.onnx     batch norm within the convolutions
  python -m minigrad.export runs/NAME/last.safetensors --to torch      weights for torch's load_state_dict
  python -m minigrad.export resnet50.npz --arch resnet50 --to onnx     published weights
"""


def parser():
    top = Parser(
        "export", "RUN_OR_FILE --to FORMAT [option ...]", description="Write a net for others.", epilog=EXAMPLES
    )
    top.add_argument("source", metavar="RUN_OR_FILE", help="a run's directory, a checkpoint, or a file of weights")
    top.add_argument("--to", required=True, choices=tuple(FORMATS), help="the format")
    top.add_argument("-o", "--output", metavar="FILE", help="where to (default: beside the source)")
    top.add_argument("-a", "--arch", metavar="NAME", help="the net, where the file does not tell")
    top.add_argument("--fold", action="store_true", help="ONNX: batch norms become part of the convolutions")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.export", lambda: write(argv), ValueError, OSError, MemoryError)


def write(argv):
    with writing():
        asked = parser().parse_args(argv)
    if "" in (asked.source, asked.output):
        raise WeightsError("RUN_OR_FILE and --output must not be empty")
    source, classifier = Path(asked.source), load(asked.source, asked.arch)
    path = Path(asked.output) if asked.output else beside(source, FORMATS[asked.to])
    refuse_to_lose(source, path)
    try:
        export(classifier, path, asked.to, asked.fold)
    except OSError as error:
        raise WeightsError(f"{path}: cannot write: {error.strerror or error}") from error
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def refuse_to_lose(source, path):
    """WeightsError where the output is a run's checkpoint, or the source itself."""
    if path.is_file() and (path.name in (BEST, LAST) or path.samefile(source)):
        raise WeightsError(
            f"{path}: a checkpoint, or the source itself, would be written over; choose another --output"
        )


def beside(source, ending):
    """Where a file goes unless told: never over the source."""
    path = (source / "best").with_suffix(ending) if source.is_dir() else source.with_suffix(ending)
    return path if not path.exists() else path.with_stem(f"{path.stem}-exported")


if __name__ == "__main__":
    sys.exit(main())
