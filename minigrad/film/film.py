"""film(run): loss, filters, gradients and the path of one image, epoch by epoch, as one page without a server."""

import json
from pathlib import Path

from ..command.files import write_atomically
from ..explain.page import drawn
from ..interop import WeightsError, read
from ..predict import load
from .first_images import of_run
from .frames import Scene, checked_images, frame

OWN = Path(__file__).parent / "static"
EPOCHS, LAST = "epoch-*.safetensors", "last.safetensors"


def film(run, path=None, image=0, images=None, labels=None):
    """Write a page on which a slider goes through the epochs of a training run; returns its Path.

        film("runs/NAME")   ->   runs/NAME/film.html

    run      the directory of a run of a net of `architectures`. Each epoch whose checkpoint it keeps is a picture:
             train with --keep-last N to have the last N of them, and the last one in any case
    path     where the page goes
    image    which of the images to follow on its path through the net
    images   (N, H, W, C) floats as the net wants them, labels (N,) their classes; None: the first 64 of the run's test
             set, of which the gradients are taken

    The page shows loss and accuracy, the first convolution's filters, the gradient of each weight, and what layers give
    for the image; curves and gradients on scales that stay the same, heat maps each on its own. WeightsError for a
    directory without checkpoints, or of a net that can't be built from them; ValueError for images that don't fit;
    DataError where the test set isn't at hand.
    """
    run = Path(run)
    steps, history = checkpoints(run), records(run)
    nets = ((epoch, load(file)) for epoch, file in steps.items())
    frames, scene = [], None
    for epoch, classifier in nets:
        scene = scene or Scene(*checked_images(images, labels, image, classifier, lambda c=classifier: of_run(run, c)))
        frames.append(dict(epoch=epoch, **frame(classifier, scene)))
    data = dict(run=run.resolve().name, history=history, frames=frames, **scene.told())
    text = drawn("Film", f"film of {data['run']}", data, OWN, ("elements.js", "panel.js"))
    target = run / "film.html" if path is None else Path(path)
    write_atomically(target, text.encode())
    return target


def checkpoints(run):
    """{epoch: file} of the complete epochs whose weights a run keeps, in order."""
    found = {}
    for file in [*run.glob(EPOCHS), run / LAST]:
        if file.is_file():
            progress = json.loads(read(file).facts["metadata"]["minigrad"])["progress"]
            if not progress["step"] and progress["epoch"]:
                found.setdefault(progress["epoch"], file)
    if not found:
        raise WeightsError(f"film: {run} has no checkpoint of a complete epoch; train with --keep-last N to keep N")
    return dict(sorted(found.items()))


def records(run):
    """What metrics.jsonl says of each epoch."""
    try:
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise WeightsError(f"film: {run / 'metrics.jsonl'}: {error}") from None
