"""Which of a net's classes is which of a data set's: matched by name, and only without names by order."""

import numpy as np

from ..interop import WeightsError
from ..predict import imagenet


def numbers_of(classifier, dataset):
    """(the net's class of each label of the data set, how they were matched).

    By name, where the net has names and all of the data's are among them; ImageNet's classes by WordNet id, too; by
    order where the net has no names and as many classes. WeightsError for everything else.
    """
    theirs, own = list(dataset.classes), names_of(classifier)
    for known, how in own:
        places = places_of(known)
        if all(plain(name) in places for name in theirs):
            return np.array([places[plain(name)] for name in theirs]), f"classes matched by {how}"
    classes = classifier.num_classes()
    if own:
        strange = next(name for name in theirs if plain(name) not in places_of(own[0][0]))
        few = ", ".join(own[0][0][:3])
        raise WeightsError(f"the data's class {strange!r} is none of the weights' {classes:,} classes ({few}, ...)")
    if classes != len(theirs):
        raise WeightsError(
            f"the data have {len(theirs):,} classes, the weights {classes:,}, without names to match them"
        )
    return np.arange(classes), "the weights have no names of classes: taken to be in the data's order"


def names_of(classifier):
    """[(names, what they are)] that a net's classes go by."""
    if classifier.classes is None:
        return []
    ids = [(imagenet.synsets(), "WordNet id")] if classifier.classes == imagenet.names() else []
    return [(classifier.classes, "name"), *ids]


def places_of(names):
    """{name: its number}, without names that several classes have."""
    plainly = [plain(name) for name in names]
    return {name: k for k, name in enumerate(plainly) if plainly.count(name) == 1}


def plain(name):
    """A name as folders and tables write it: garbage_truck is Garbage truck."""
    return str(name).casefold().replace("_", " ")
