"""`python -m minigrad.predict`: what is in these pictures?

Exit status: 0 all pictures named, 1 some files could not be read, 2 a wrong call or file of weights.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from ..command.arguments import Parser, check_counts
from ..command.errors import UsageError
from ..command.screen import clear_of_bars, concluded, encodable, writing
from ..data.image import EXTENSIONS
from ..data.scan import is_clutter
from ..data.text import shown
from ..interop import Preprocessing, WeightsError
from .classifier import opened
from .files import load
from .pictures import Pictures

BAR = 24  # characters of a probability of 1

EXAMPLES = """examples:
  python -m minigrad.predict photo.jpg --arch resnet50 --pretrained resnet50.pth
  python -m minigrad.predict photos/ --run runs/NAME --json
  python -m minigrad.predict photo.jpg --run runs/NAME --explain why/      why/photo-explained.png
"""


def parser():
    top = Parser(
        "predict",
        "PATH ... (--run DIR | --pretrained FILE) [...]",
        description="Name what is in pictures.",
        epilog=EXAMPLES,
    )
    top.add_argument("paths", nargs="+", metavar="PATH", help="picture files, and folders of them")
    source = top.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", metavar="PATH", help="a run of minigrad.train, a checkpoint, or an exported net")
    source.add_argument("--pretrained", metavar="FILE", help="published weights (.pth, .safetensors, .npz, .h5, ...)")
    top.add_argument("-a", "--arch", metavar="NAME", help="the net of --pretrained, where the file does not tell")
    top.add_argument("--top", type=int, default=5, metavar="N", help="classes to name for each picture (default: 5)")
    top.add_argument("-b", "--batch-size", type=int, default=16, metavar="N", help="pictures at a time (default: 16)")
    top.add_argument("--mean", type=float, nargs="+", metavar="X", help="of the channels, where the file does not tell")
    top.add_argument("--std", type=float, nargs="+", metavar="X", help="likewise")
    top.add_argument(
        "--explain", metavar="DIR", help="write there where the net looks for the likeliest class (Grad-CAM)"
    )
    top.add_argument("--json", action="store_true", help="one JSON object a line instead of bars")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.predict", lambda: predict(argv), ValueError, OSError, MemoryError)


def predict(argv):
    with writing():
        asked = parser().parse_args(argv)
    check(asked)
    paths = pictures(asked.paths)
    explanations = Pictures(asked.explain, paths) if asked.explain else None
    classifier = load(asked.run or asked.pretrained, asked.arch)
    if asked.mean is not None:
        classifier.preprocessing = told_preprocessing(asked, classifier)
    return run(classifier, asked, paths, explanations)


def check(asked):
    if "" in (*asked.paths, asked.run, asked.pretrained, asked.explain):
        raise UsageError("a PATH, --run, --pretrained and --explain must not be empty")
    check_counts(asked, "top", "batch_size")
    if asked.run and asked.arch:
        raise UsageError("--arch goes with --pretrained; a run says which net it is of")
    if (asked.mean is None) != (asked.std is None):
        raise UsageError("--mean and --std go together")


def told_preprocessing(asked, classifier):
    """What the file says, but with --mean and --std; where it says nothing, images of the size that the net is for."""
    _, (size, _), channels = classifier.sizes()
    channels = "L" if channels == 1 else "RGB"
    resize, none, one = round(size * 256 / 224) if size > 64 else None, [0] * len(channels), [1] * len(channels)
    told = classifier.preprocessing or Preprocessing(size, none, one, resize, channels=channels)
    if not len(asked.mean) == len(asked.std) == len(told.channels):
        raise WeightsError(f"--mean and --std need a number for each of the net's channels, {told.channels}")
    return replace(told, mean=asked.mean, std=asked.std)


def pictures(paths):
    """The files meant by paths: files as they are, and the pictures in folders and the folders below, sorted."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = pictures_below(path)
            if not inside:
                raise WeightsError(f"{shown(path)}: no pictures in it ({', '.join(sorted(EXTENSIONS))})")
            found += inside
        else:
            found.append(path)
    return found


def pictures_below(folder):
    """The pictures in a folder and the folders below, sorted. WeightsError for a folder that can't be read."""

    def refuse(error):
        raise WeightsError(f"{shown(error.filename)}: cannot read this folder: {error.strerror}")

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not is_clutter(name)]
        wanted = [name for name in files if not is_clutter(name) and Path(name).suffix.lower() in EXTENSIONS]
        found += [Path(place, name) for name in wanted]
    return sorted(found)


def run(classifier, asked, paths, explanations=None):
    """Classify and print, batch by batch; a file that can't be read is named, and the others go on.

    explanations: Pictures, to which the explanation of each photograph is added.
    """
    from tqdm import tqdm

    failed = 0
    with tqdm(total=len(paths), unit="picture", disable=True if len(paths) <= asked.batch_size else None) as bar:
        for start in range(0, len(paths), asked.batch_size):
            batch, wrong = readable(paths[start : start + asked.batch_size])
            failed += len(wrong)
            for error in wrong:
                bar.write(f"minigrad.predict: {error}", file=sys.stderr)
            for path, found in zip(batch, classifier.predict(list(batch.values()), asked.top) if batch else ()):
                why = explanations and explanations.add(classifier, path, batch[path])
                put((as_json if asked.json else as_text)(path, found, why))
                bar.update()
            bar.update(len(wrong))
    return 1 if failed else 0


def put(text):
    with writing(), clear_of_bars():
        print(encodable(text))


def readable(paths):
    """({path: picture}, [error of a file that is none])."""
    images, wrong = {}, []
    for path in paths:
        try:
            images[path] = opened(path)
        except OSError as error:
            wrong.append(error)
    return images, wrong


def as_json(path, found, why=None):
    """A line for programs. why: the path of the explaining picture, or None."""
    rows = zip(found.names, found.classes, found.probabilities)
    best = [{"name": name, "class": k, "probability": round(p, 6)} for name, k, p in rows]
    said = {"file": shown(path), "predictions": best} | ({"explanation": shown(why)} if why else {})
    return json.dumps(said, ensure_ascii=False)


def as_text(path, found, why=None):
    """Lines with bars. why: as of as_json."""
    width = max(len(name) for name in found.names)
    lines = [shown(path)]
    for name, p in zip(found.names, found.probabilities):
        lines.append(f"  {name:<{width}}  {100 * p:5.1f} %  {'█' * round(BAR * p)}")
    return "\n".join(lines + ([f"  explained in {shown(why)}"] if why else []))


if __name__ == "__main__":
    sys.exit(main())
