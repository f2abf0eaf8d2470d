"""Image transforms in NumPy, under the names that torchvision gave them. See `base` for the one calling convention."""

from .augmenting import RandAugment, TrivialAugmentWide
from .base import Compose, ImageTransform, Lambda, Transform
from .erasing import Cutout, RandomErasing
from .geometric import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    Resize,
)
from .mixing import CutMix, Mixup, one_hot
from .photometric import ColorJitter, Grayscale, Normalize, PCALighting, ToFloat

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "Grayscale",
    "ImageTransform",
    "Lambda",
    "Mixup",
    "Normalize",
    "PCALighting",
    "Pad",
    "RandAugment",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "Resize",
    "ToFloat",
    "Transform",
    "TrivialAugmentWide",
    "one_hot",
]
