"""Image transforms in NumPy, under the names that torchvision gave them. See `base` for the one calling convention."""

from minigrad.data.transforms.base import Compose, ImageTransform, Lambda, Transform
from minigrad.data.transforms.erasing import Cutout, RandomErasing
from minigrad.data.transforms.geometric import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)
from minigrad.data.transforms.mixing import CutMix, Mixup, one_hot
from minigrad.data.transforms.photometric import ColorJitter, Normalize, PCALighting, ToFloat

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "ImageTransform",
    "Lambda",
    "Mixup",
    "Normalize",
    "PCALighting",
    "Pad",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Resize",
    "ToFloat",
    "Transform",
    "one_hot",
]
