"""The names of ImageNet's 1000 classes (ILSVRC 2012), in the order of their WordNet ids, as published nets have them.

Short English names as in torchvision's tables (BSD-3-Clause).
"""

from functools import cache
from importlib import resources


@cache
def names():
    """The 1000 names, class 0 first."""
    return tuple(resources.files(__package__).joinpath("imagenet_classes.txt").read_text("utf-8").splitlines())
