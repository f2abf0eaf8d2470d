"""`python -m minigrad.predict`: what is in these pictures?

Exit status: 0 all pictures named, 1 some files could not be read, 2 a wrong call or file of weights.
"""

import argparse
import json
import sys
from pathlib import Path

from ..interop import Preprocessing, WeightsError
from .classifier import opened
from .files import load

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
BAR = 24  # characters of a probability of 1

EXAMPLES = """examples:
  python -m minigrad.predict photo.jpg --arch resnet50 --pretrained resnet50.pth
  python -m minigrad.predict photos/ --run runs/NAME --json
"""


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are one line."""

    def error(self, message):
        raise WeightsError(message)


def parser():
    top = Parser(
        prog="minigrad.predict", usage="python -m minigrad.predict PATH ... (--run DIR | --pretrained FILE) [...]",
        description="Name what is in pictures.", epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("paths", nargs="+", metavar="PATH", help="picture files, and folders of them")
    source = top.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", metavar="PATH", help="a run of minigrad.train, a checkpoint, or an exported net")
    source.add_argument("--pretrained", metavar="FILE", help="published weights (.pth, .safetensors, .npz, .h5, ...)")
    top.add_argument("-a", "--arch", metavar="NAME", help="the net of --pretrained, where the file does not tell")
    top.add_argument("--top", type=int, default=5, metavar="N", help="classes to name for each picture (default: 5)")
    top.add_argument("-b", "--batch-size", type=int, default=16, metavar="N", help="pictures at a time (default: 16)")
    top.add_argument("--mean", type=float, nargs="+", metavar="X", help="of the channels, where the file does not tell")
    top.add_argument("--std", type=float, nargs="+", metavar="X", help="likewise")
    top.add_argument("--json", action="store_true", help="one JSON object a line instead of bars")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    try:
        asked = parser().parse_args(argv)
        check(asked)
        classifier = load(asked.run or asked.pretrained, asked.arch, told_preprocessing(asked))
        return run(classifier, asked, pictures(asked.paths))
    except (WeightsError, ValueError, OSError) as error:
        print(f"minigrad.predict: error: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def check(asked):
    for name in ("top", "batch_size"):
        if getattr(asked, name) < 1:
            raise WeightsError(f"--{name.replace('_', '-')} must be an int >= 1; got {getattr(asked, name)}")
    if asked.run and asked.arch:
        raise WeightsError("--arch goes with --pretrained; a run says which net it is of")
    if (asked.mean is None) != (asked.std is None):
        raise WeightsError("--mean and --std go together")


def told_preprocessing(asked):
    """What --mean and --std say, for the size that the net was made for; None without them."""
    if asked.mean is None:
        return None
    from architectures.registry import find, resolve

    size = find(resolve(asked.arch)[0]).image_size if asked.arch else 224
    return Preprocessing(size, asked.mean, asked.std, round(size * 256 / 224) if size > 64 else None,
                         channels="L" if len(asked.mean) == 1 else "RGB")  # fmt: skip


def pictures(paths):
    """The files meant by paths: files as they are, and the pictures in folders and the folders below, sorted."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES and p.name[0] != ".")
            if not inside:
                raise WeightsError(f"{path}: no pictures in it ({', '.join(PICTURES)})")
            found += inside
        else:
            found.append(path)
    return found


def run(classifier, asked, paths):
    """Classify and print, batch by batch; a file that can't be read is named, and the others go on."""
    from tqdm import tqdm

    failed = 0
    with tqdm(total=len(paths), unit="picture", disable=True if len(paths) <= asked.batch_size else None) as bar:
        for start in range(0, len(paths), asked.batch_size):
            batch, wrong = readable(paths[start : start + asked.batch_size])
            failed += len(wrong)
            for error in wrong:
                bar.write(f"minigrad.predict: {error}", file=sys.stderr)
            for path, found in zip(batch, classifier.predict(list(batch.values()), asked.top) if batch else ()):
                bar.write(as_json(path, found) if asked.json else as_text(path, found), file=sys.stdout)
            bar.update(len(batch) + len(wrong))
    return 1 if failed else 0


def readable(paths):
    """({path: picture}, [error of a file that is none])."""
    images, wrong = {}, []
    for path in paths:
        try:
            images[path] = opened(path)
        except OSError as error:
            wrong.append(error)
    return images, wrong


def as_json(path, found):
    rows = zip(found.names, found.classes, found.probabilities)
    best = [{"name": name, "class": k, "probability": round(p, 6)} for name, k, p in rows]
    return json.dumps({"file": str(path), "predictions": best}, ensure_ascii=False)


def as_text(path, found):
    width = max(len(name) for name in found.names)
    lines = [f"{path}"]
    for name, p in zip(found.names, found.probabilities):
        lines.append(f"  {name:<{width}}  {100 * p:5.1f} %  {'█' * round(BAR * p)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
