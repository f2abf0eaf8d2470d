"""The first images of the test set that a run was trained beside, as its net wants them."""

import json
from itertools import islice

import numpy as np

from ..command.reference import is_reference
from ..data.catalog import load_part
from ..interop import WeightsError, read

MANY = 64


def of_run(run, classifier):
    """(images (N, H, W, C), labels) of the run's data set. WeightsError where that is not one of the catalogue's."""
    config = json.loads(read(run / "last.safetensors").facts["metadata"]["minigrad"])["config"]
    if is_reference(config["data"]):
        raise WeightsError(f"film: the run's data are your own ({config['data']}): give images and labels")
    named = dict(classes=classifier.classes) if config["data"] == "imagefolder" else {}
    examples = list(islice(iter_of(load_part(config["data"], False, config.get("data_path"), **named)), MANY))
    images = [classifier.prepared(np.asarray(image)) for image, _ in examples]
    return np.stack(images), np.array([label for _, label in examples])


def iter_of(dataset):
    """Examples from all over the set, as those of one class may stand together."""
    step = max(1, len(dataset) // MANY)
    return (dataset[i] for i in range(0, len(dataset), step))
