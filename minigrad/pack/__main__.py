"""`python -m minigrad.pack FOLDER OUT`: a folder of images as tar files, KEY.jpg and KEY.cls for each image.

Exit status: 0 packed, 2 a wrong call or file.
"""

import io
import os
import sys
import tarfile
from pathlib import Path

from ..command.arguments import Parser, check_counts
from ..command.errors import UsageError
from ..command.files import write_atomically
from ..command.screen import Bar, concluded, say, writing
from ..data import DataError, ImageFolder, RandomStream
from ..data.encoded import CLASSES, LARGEST_IMAGE
from ..data.foreign import read_bytes
from ..data.streams import permutation

EXAMPLE = """example:
  python -m minigrad.pack photos photos-packed && python -m minigrad.train --data photos-packed
"""


def parser():
    top = Parser(
        "pack",
        "FOLDER OUT [option ...]",
        description="Pack train/CLASS/*.jpg and val/CLASS/*.jpg into OUT/train/*.tar and OUT/val/*.tar.",
        epilog=EXAMPLE,
    )
    top.add_argument("folder", metavar="FOLDER", help="a folder of images, a folder for each class")
    top.add_argument("out", metavar="OUT", help="a new directory")
    top.add_argument("--images", type=int, default=1000, metavar="N", help="images in a tar file (default: 1000)")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.pack", lambda: pack(argv), OSError, DataError)


def pack(argv):
    with writing():
        asked = parser().parse_args(argv)
    check_counts(asked, "images")
    out = Path(asked.out)
    if out.exists():
        raise UsageError(f"OUT {out} is there already; choose a new directory")
    train = ImageFolder(asked.folder, True)
    parts = {"train": train, "val": ImageFolder(asked.folder, False, classes=train.classes)}
    for name, dataset in parts.items():
        number = pack_part(dataset, out / name, asked.images)
        say(f"{out / name}: {len(dataset):,} images in {number} shard{'s' * (number > 1)}")
    write_atomically(out / CLASSES, "".join(f"{name}\n" for name in train.classes).encode())
    return 0


def pack_part(dataset, directory, most):
    """Write the images of a part, in random order, so that each shard has all classes; how many shards there are."""
    directory.mkdir(parents=True)
    order = permutation(RandomStream(0), len(dataset)).tolist()
    starts = range(0, len(order), most)
    with Bar(f"packing {directory.name}", len(order)) as bar:
        for number, start in enumerate(starts):
            write_shard(dataset, order[start : start + most], start, directory / f"{number:06d}.tar", bar.update)
    return len(starts)


def write_shard(dataset, indices, start, path, tick):
    """One tar file, under its name when it is complete. The same images give the same bytes."""
    unfinished = path.with_name(path.name + ".tmp")
    with open(unfinished, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, index in enumerate(indices, start):
            source = Path(dataset.paths[index])
            add(tar, f"{key:09d}{source.suffix.lower()}", read_bytes(source, LARGEST_IMAGE))
            add(tar, f"{key:09d}.cls", str(dataset.labels[index]).encode())
            tick()
    os.replace(unfinished, path)


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    sys.exit(main())
