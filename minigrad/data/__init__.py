"""Data sets, transforms and the loader. NumPy only: nothing here knows of tensors or devices.

>>> train, test = load("fashion-mnist-10k")
>>> loader = DataLoader(train, batch_size=128, shuffle=True, transform=default_transforms("fashion-mnist-10k"))
>>> images, labels = next(loader.iterate(epoch=0))
>>> images.shape, labels.shape
((128, 28, 28, 1), (128,))
"""

from . import transforms
from .catalog import STATISTICS, default_transforms, load, load_part, names
from .cifar import CIFAR10, CIFAR100
from .dataset import ArrayDataset, Dataset, Described, default_root
from .errors import BadImage, DataError, DataWarning, MissingData
from .folder import ImageFolder
from .image import read_image
from .loader import DataLoader
from .mnist import MNIST, EmbeddedFashionMNIST, FashionMNIST
from .parquet import Parquet
from .samplers import (
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    WindowSampler,
)
from .sets import ConcatDataset, Subset, TensorDataset, random_split
from .shards import Shards
from .streams import RandomStream

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "STATISTICS",
    "ArrayDataset",
    "BadImage",
    "ConcatDataset",
    "DataError",
    "DataLoader",
    "DataWarning",
    "Dataset",
    "Described",
    "DistributedSampler",
    "EmbeddedFashionMNIST",
    "FashionMNIST",
    "ImageFolder",
    "MissingData",
    "Parquet",
    "RandomSampler",
    "RandomStream",
    "SequentialSampler",
    "Shards",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WindowSampler",
    "default_root",
    "default_transforms",
    "load",
    "load_part",
    "names",
    "random_split",
    "read_image",
    "transforms",
]
