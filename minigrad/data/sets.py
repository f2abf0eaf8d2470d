"""Data sets made of arrays of any kind, of parts of data sets, and of several data sets."""

from collections.abc import Sequence

import numpy as np

from .streams import SPLIT, RandomStream, permutation

TOLD = ("classes", "num_classes", "class_to_idx", "image_shape", "mean", "std", "native_size", "padding", "flip")


class TensorDataset:
    """`dataset[i]` is the tuple of row i of each array: inputs, targets, weights, whatever belongs together.

    Raises ValueError for arrays of different lengths, TypeError for what is no array of numbers.
    """

    def __init__(self, *arrays):
        self.tensors = tuple(map(np.asarray, arrays))
        for array in self.tensors:
            if array.dtype.kind not in "biuf" or not array.ndim:
                raise TypeError(f"TensorDataset: needs arrays of numbers; got {array.dtype} {array.shape}")
        lengths = [len(array) for array in self.tensors]
        if not lengths or len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: needs arrays of one length; got {lengths}")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(array[index] for array in self.tensors)


class Subset:
    """The samples of a data set that these indices name, in their order; it has the data set's classes.

    Raises IndexError for an index that is not in range(len(dataset)).
    """

    def __init__(self, dataset, indices: Sequence[int] | np.ndarray):
        self.dataset, self.indices = dataset, np.asarray(indices, np.int64).reshape(-1)
        outside = self.indices[(self.indices < 0) | (self.indices >= len(dataset))]
        if outside.size:
            raise IndexError(f"Subset: index {outside[0]} is not in range({len(dataset)})")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int):
        return self.dataset[int(self.indices[index])]

    def __getattr__(self, name: str):
        if name in TOLD:
            return getattr(self.dataset, name)
        if name in ("paths", "labels"):
            return [getattr(self.dataset, name)[i] for i in self.indices]
        raise AttributeError(f"Subset has no attribute {name!r}")


class ConcatDataset:
    """The samples of several data sets, one set after the other.

    Raises ValueError for no data set, and for data sets whose classes are not the same in the same order.
    """

    def __init__(self, datasets: Sequence):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: needs at least one data set")
        known = [tuple(getattr(dataset, "classes", ())) for dataset in self.datasets]
        for number, classes in enumerate(known):
            if classes != known[0]:
                raise ValueError(f"ConcatDataset: data set {number} has classes {classes}, data set 0 has {known[0]}")
        self.cumulative_sizes = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int):
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"ConcatDataset: index {index} is not in range({len(self)})")
        number = int(np.searchsorted(self.cumulative_sizes, place, side="right"))
        return self.datasets[number][place - ([0, *self.cumulative_sizes])[number]]

    def __getattr__(self, name: str):
        if name in TOLD and "datasets" in vars(self):
            return getattr(self.datasets[0], name)
        raise AttributeError(f"ConcatDataset has no attribute {name!r}")


def random_split(dataset, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """Parts of a data set, no sample in two of them, chosen at random: for one seed always the same.

    lengths: numbers of samples, which add up to all, or fractions, which add up to 1; of what is left after rounding
    down, the first parts get one sample each.

    Raises ValueError for lengths that don't add up.
    """
    total = len(dataset)
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must be at least 0; got {list(lengths)}")
    sizes = [int(length) for length in lengths]
    if sum(lengths) != total and abs(sum(lengths) - 1) < 1e-6:
        sizes = [int(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != total or (sizes != list(lengths) and abs(sum(lengths) - 1) >= 1e-6):
        raise ValueError(f"random_split: lengths must add up to {total} samples, or to 1; got {list(lengths)}")
    order = permutation(RandomStream(SPLIT, seed), total)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]
