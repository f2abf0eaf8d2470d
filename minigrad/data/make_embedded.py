"""Write the embedded subset of Fashion-MNIST: the first 1000 training and 200 test images of each class, in file order.

    python -m minigrad.data.make_embedded DIRECTORY_WITH_FASHION_MNIST

Each part becomes one greyscale PNG: column c is class c, row r holds the r-th image of each class. PNG beat
zip and bzip2; lzma would save a tenth, take over twice as long to read, and nobody could look at it.
"""

import sys

import numpy as np
from PIL import Image

from .mnist import EmbeddedFashionMNIST, FashionMNIST


def mosaic(dataset: FashionMNIST, per_class: int) -> np.ndarray:
    """uint8 (28 per_class, 28 num_classes)."""
    classes = range(dataset.num_classes)
    columns = [dataset.images[dataset.labels == c][:per_class].reshape(-1, 28) for c in classes]
    return np.concatenate(columns, axis=1)


def main(root: str) -> None:
    for name, train, per_class in (("train", True, 1000), ("test", False, 200)):
        path = EmbeddedFashionMNIST.directory / f"fashion_mnist_{name}.png"
        Image.fromarray(mosaic(FashionMNIST(root, train), per_class)).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
