"""Data sets, transforms and the loader. NumPy only: nothing here knows of tensors or devices.

>>> train, test = load("fashion-mnist-10k")
>>> loader = DataLoader(train, batch_size=128, shuffle=True, transform=default_transforms("fashion-mnist-10k"))
>>> images, labels = next(loader.iterate(epoch=0))
>>> images.shape, labels.shape
((128, 28, 28, 1), (128,))
"""

from minigrad.data import transforms
from minigrad.data.catalog import STATISTICS, default_transforms, load, names
from minigrad.data.cifar import CIFAR10, CIFAR100
from minigrad.data.dataset import ArrayDataset, DataError, Dataset, default_root
from minigrad.data.folder import ImageFolder
from minigrad.data.loader import DataLoader
from minigrad.data.mnist import MNIST, EmbeddedFashionMNIST, FashionMNIST
from minigrad.data.streams import RandomStream

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "STATISTICS",
    "ArrayDataset",
    "DataError",
    "DataLoader",
    "Dataset",
    "EmbeddedFashionMNIST",
    "FashionMNIST",
    "ImageFolder",
    "RandomStream",
    "default_root",
    "default_transforms",
    "load",
    "names",
    "transforms",
]
