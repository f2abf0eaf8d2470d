"""Defaults that fit the data at hand: the size of the images, batches and epochs for few of them."""

import math
from statistics import median

from architectures.variant import SMALL

LARGE = 2 * SMALL  # images of at least this side are worth a net for large images
LOOKED_AT = 40  # images whose size is looked at
LEAST_STEPS = 20  # in an epoch: below, smaller batches are taken
LEAST_BATCH, MOST_EPOCHS, STEPS_IN_ALL = 8, 60, 400


def image_size(asked, dataset):
    """(side in pixels or None, notes): the side asked for, that of the data, or one that suits a folder's images."""
    native = asked.image_size or dataset.image_shape[0]
    if native is not None:
        return native, ()
    typical = typical_side(dataset)
    if typical is None or typical >= LARGE:
        return None, ()
    size = min(typical, SMALL)
    return size, (f"images are about {typical} pixels wide: taken at {size}x{size} (--image-size N changes it)",)


def typical_side(dataset):
    """The median of the shorter sides of some images of a folder or of shards; None if there is none to look at."""
    paths, sides = getattr(dataset, "paths", None), []
    for i in range(0, len(dataset), max(len(dataset) // LOOKED_AT, 1)):
        try:
            sides.append(min(dataset[i][0].shape[:2] if paths is None else size_in_file(paths[i])))
        except Exception:  # one that can't be read is met, and named, when it is trained on
            continue
    return round(median(sides)) if sides else None


def size_in_file(path):
    """The sides of an image, of whose file only the begin is read."""
    from PIL import Image

    with Image.open(path) as picture:
        return picture.size


def to_number_of_images(values, layers, images):
    """({name: value} that fit few images better than a recipe's values, notes). layers: what is set already, and stays.

    Batches small enough for some steps an epoch, with a learning rate that fits them (it falls with the root of their
    size), and epochs enough for some hundred steps. Recipes other than the default one are left as they are.
    """
    batch, given = values["batch_size"], {name for layer in layers for name in layer}
    if images >= LEAST_STEPS * batch or values["recipe"] != "default":
        return {}, ()
    better = {}
    if "batch_size" not in given:
        smaller = 2 ** int(math.log2(max(images / LEAST_STEPS, LEAST_BATCH)))
        better = {"batch_size": smaller, "lr": float(f"{values['lr'] * math.sqrt(smaller / batch):.2g}")}
        batch = smaller
    better["epochs"] = min(max(values["epochs"], math.ceil(STEPS_IN_ALL / max(images // batch, 1))), MOST_EPOCHS)
    better = {name: value for name, value in better.items() if name not in given and value != values[name]}
    named = ", ".join(f"{name} {value:g} (not {values[name]:g})" for name, value in better.items())
    return better, (f"{images:,} training images are few, so by default {named}",) if better else ()
