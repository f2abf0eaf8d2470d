"""ImageNet's 1000 classes (ILSVRC 2012) in the order of their WordNet ids, as published nets have them.

Each line of the file has the id, by which ImageNet's folders are named, and a short English name as in torchvision's
tables (BSD-3-Clause).
"""

from functools import cache
from importlib import resources


@cache
def names():
    """The 1000 names, class 0 first."""
    return tuple(name for _, name in classes())


@cache
def synsets():
    """The 1000 WordNet ids, class 0 first: n01440764, ..."""
    return tuple(synset for synset, _ in classes())


@cache
def classes():
    """(WordNet id, name) of each class."""
    text = resources.files(__package__).joinpath("imagenet_classes.txt").read_text("utf-8")
    return tuple(tuple(line.split(" ", 1)) for line in text.splitlines())
