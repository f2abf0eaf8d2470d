"""How fast photographs become batches: minigrad's loader beside PyTorch's, with 1 to 4 workers.

    python benchmarks/bench_loader.py PHOTOGRAPHS [--copies 4] [--peer torch] [--output FILE.json]

PHOTOGRAPHS is a folder with a folder for each class, or a zip file of one (the 500 photographs of shared/data). They
are read `copies` times an epoch, decoded, cropped at random to 224x224, flipped and normalised, in batches of 64.
PyTorch's loader (processes) uses torchvision's transforms where that is installed, else the same steps with Pillow and
NumPy; ours uses threads. Each row runs in a process of its own: images a second after the first batch, images a second
of processor time (of one core, imports left out), and the memory of the process and its workers in the middle. Needs
Linux. With the 500 photographs and 4 copies the table takes two minutes on a quiet machine with two cores.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

SIZE, BATCH = 224, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def minigrad_batches(root, copies, workers):
    from minigrad import data

    images = data.ImageFolder(root, train=None)
    images = data.ConcatDataset([images] * copies)
    chain = data.default_transforms("imagefolder", SIZE, train=True)
    return data.DataLoader(images, BATCH, shuffle=True, num_workers=workers, transform=chain)


class Folder:
    """PyTorch's data set without torchvision: Pillow, the same crop and flip, as channels first."""

    def __init__(self, root):
        self.paths = sorted(p for p in Path(root).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        self.classes = sorted({p.parent.name for p in self.paths})

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        import torch
        from PIL import Image

        picture = Image.open(self.paths[i]).convert("RGB")
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        left, top, w, h = box(rng, *picture.size)
        area = (left, top, left + w, top + h)
        pixels = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, area), np.float32)
        pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
        pixels = (pixels / 255 - np.float32(MEAN)) / np.float32(STD)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))), self.classes.index(
            self.paths[i].parent.name
        )


def box(rng, width, height):
    """A random box of 8 to 100 % of the area, 3:4 to 4:3; the whole image where ten tries don't fit."""
    for _ in range(10):
        area, ratio = width * height * rng.uniform(0.08, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(width - w + 1), rng.integers(height - h + 1), w, h
    return 0, 0, width, height


def torch_batches(root, copies, workers):
    import torch
    from torch.utils.data import ConcatDataset, DataLoader

    torch.set_num_threads(1)
    torch.manual_seed(0)  # imports for seconds, which else each worker would
    try:
        from torchvision import datasets, transforms

        steps = (
            transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        )  # fmt: skip
        images = datasets.ImageFolder(root, transforms.Compose(steps))
    except ImportError:
        images = Folder(root)
    context = "fork" if workers else None  # as from a shell: in a spawned process it would spawn, and import anew
    images = ConcatDataset([images] * copies)
    return DataLoader(images, BATCH, shuffle=True, num_workers=workers, multiprocessing_context=context)


LOADERS = {"minigrad": minigrad_batches, "torch": torch_batches}


def measure(library, root, copies, workers, results):
    """A row of an epoch: {images a second after the first batch, and of a core over all, memory in the middle ...}."""
    next(iter(LOADERS[library](root, 1, 0)))  # imports all that it needs
    loader, used = LOADERS[library](root, copies, workers), processor_seconds()
    batches, images, memory = iter(loader), 0, 0
    next(batches)
    start = time.perf_counter()
    for number, (_, labels) in enumerate(batches):
        images += len(labels)
        if number == len(loader) // 2:
            memory = proportional_mb()
    seconds = time.perf_counter() - start
    cores = processor_seconds() - used
    row = dict(library=library, workers=workers, images=images, images_per_second=images / seconds, memory_mb=memory)
    results.put(row | dict(images_per_core_second=(images + BATCH) / cores))


def processor_seconds():
    """Of this process and of its workers that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, kinds))


def proportional_mb():
    """Memory of this process and its workers: what several processes share counts once (Linux's Pss)."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return sum(pss_kb(process) for process in (own, *children)) / 1024


def pss_kb(process):
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def rows(asked, root):
    """A row for each library and number of workers, in turn."""
    processes = multiprocessing.get_context("spawn")
    for workers in asked.workers:
        for library in ("minigrad", *asked.peer):
            results = processes.SimpleQueue()
            process = processes.Process(target=measure, args=(library, root, asked.copies, workers, results))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{library} with {workers} workers ended with status {process.exitcode}")
            yield results.get()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--peer", nargs="*", choices=["torch"], default=[])
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = asked.photographs
        if root.is_file():
            zipfile.ZipFile(root).extractall(place)
            root = next(p.parent.parent for p in Path(place).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        print(
            f"{'library':<10} {'workers':>7} {'images/s':>9} {'images/s a core':>16} {'MB':>7}   {os.cpu_count()} cores"
        )
        found = []
        for row in rows(asked, root):
            found.append(row)
            print(
                f"{row['library']:<10} {row['workers']:>7} {row['images_per_second']:>9.1f} "
                f"{row['images_per_core_second']:>16.1f} {row['memory_mb']:>7.0f}", flush=True,
            )  # fmt: skip
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
