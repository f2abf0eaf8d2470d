"""In which order a loader goes through a data set, and how often a sample comes.

A sampler has a length and `indices(stream)`, which gives the indices of one epoch and draws from that stream alone: the
order is a function of (seed, epoch), so an epoch can be resumed.
"""

from collections.abc import Sequence

import numpy as np

from .streams import RandomStream, permutation

MOST_LANES = 16  # of a WindowSampler


class SequentialSampler:
    """0, 1, 2 ..."""

    def __init__(self, data_source):
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def indices(self, stream: RandomStream) -> np.ndarray:
        """All indices, int64, in order."""
        return np.arange(len(self))


class RandomSampler:
    """Every sample once, in random order; or num_samples draws, in which samples may repeat (replacement=True).

    num_samples: None means as many as there are. Without replacement at most so many.
    """

    def __init__(self, data_source, replacement: bool = False, num_samples: int | None = None):
        total = len(data_source)
        self.data_source, self.replacement = data_source, replacement
        self.num_samples = total if num_samples is None else num_samples
        if self.num_samples < 1 or (not replacement and self.num_samples > total):
            most = "" if replacement else f" and at most {total} without replacement"
            raise ValueError(f"RandomSampler: num_samples must be at least 1{most}; got {self.num_samples}")

    def __len__(self) -> int:
        return self.num_samples

    def indices(self, stream: RandomStream) -> np.ndarray:
        """Indices of one epoch, int64 (num_samples,)."""
        total = len(self.data_source)
        if self.replacement:
            return (stream.uniform(self.num_samples) * total).astype(np.int64)
        return permutation(stream, total)[: self.num_samples]


class WeightedRandomSampler:
    """num_samples draws; a sample comes with a probability that is proportional to its weight.

    replacement=False: no sample twice, each drawn among those that are left.

    Raises ValueError for weights that are negative, not finite, or too few above 0.
    """

    def __init__(self, weights: Sequence[float], num_samples: int, replacement: bool = True):
        self.weights, self.num_samples, self.replacement = np.asarray(weights, float), num_samples, replacement
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("WeightedRandomSampler: weights must be one finite number of at least 0 for each sample")
        positive = int((self.weights > 0).sum())
        if not positive or num_samples < 1 or (not replacement and num_samples > positive):
            raise ValueError(
                "WeightedRandomSampler: num_samples must be at least 1, and without replacement at most the "
                f"{positive} samples with a weight above 0; got {num_samples}"
            )

    def __len__(self) -> int:
        return self.num_samples

    def indices(self, stream: RandomStream) -> np.ndarray:
        """Indices of one epoch, int64 (num_samples,)."""
        if self.replacement:
            total = np.cumsum(self.weights)
            return np.searchsorted(total, stream.uniform(self.num_samples) * total[-1], side="right")
        with np.errstate(divide="ignore"):  # waiting times: the rarer a sample, the later it comes first
            waiting = -np.log1p(-stream.uniform(len(self.weights))) / self.weights
        return np.argsort(np.where(self.weights > 0, waiting, np.inf), kind="stable")[: self.num_samples]


class SubsetRandomSampler:
    """These indices, each once, in random order."""

    def __init__(self, indices: Sequence[int]):
        self.chosen = np.asarray(indices, np.int64)

    def __len__(self) -> int:
        return len(self.chosen)

    def indices(self, stream: RandomStream) -> np.ndarray:
        """Indices of one epoch, int64."""
        return self.chosen[permutation(stream, len(self))]


class WindowSampler:
    """Groups of samples (shards) in random order, read in several lanes at a time, each of them mixed by a window.

    sizes: how many samples each group has, one group after the other. They are laid end to end in random order and cut
    into `lanes` parts of equal length, a power of two up to 16; in each a sample is moved ahead by less than
    `window / lanes` places. The order takes one sample of each lane in turn. So files are read forwards, a sample
    comes mixed with `window` others, and 2, 4, 8 or 16 processes that share batches read files of their own, while the
    order is the same for any number of them.

    Raises ValueError for a window below 1.
    """

    def __init__(self, sizes: Sequence[int], window: int = 4096):
        if window < 1:
            raise ValueError(f"WindowSampler: window must be at least 1; got {window}")
        self.sizes, self.window = [int(size) for size in sizes], window
        self.lanes = min(MOST_LANES, 1 << (len(self.sizes).bit_length() - 1))

    def __len__(self) -> int:
        return sum(self.sizes)

    def indices(self, stream: RandomStream) -> np.ndarray:
        """All indices of one epoch, int64."""
        starts = np.cumsum([0, *self.sizes]).tolist()
        groups = permutation(stream.fold(0), len(self.sizes)).tolist()
        order = np.concatenate([np.arange(starts[g], starts[g + 1]) for g in groups])
        mixed = np.empty_like(order)
        for lane, part in enumerate(np.array_split(order, self.lanes)):
            ahead = self.window / self.lanes * stream.fold(1).fold(lane).uniform(len(part))
            mixed[lane :: self.lanes] = part[np.argsort(np.arange(len(part)) + ahead, kind="stable")]
        return mixed


class DistributedSampler:
    """The share of one of several processes: of an order that is the same in all, every num_replicas-th sample.

    num_replicas, rank: how many processes there are, and which this is, from 0. shuffle: a new order each epoch.
    drop_last: leave out what does not go round evenly, instead of repeating the first samples.

    Raises ValueError for a rank outside range(num_replicas), and for shares without a sample.
    """

    def __init__(self, dataset, num_replicas: int, rank: int, shuffle: bool = True, drop_last: bool = False):
        if not 0 <= rank < num_replicas:
            raise ValueError(f"DistributedSampler: rank must be in range({num_replicas}), of num_replicas; got {rank}")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.drop_last = shuffle, drop_last
        if not len(self):
            raise ValueError(f"DistributedSampler: {len(dataset)} samples are too few for {num_replicas} processes")

    def __len__(self) -> int:
        total = len(self.dataset)
        return total // self.num_replicas if self.drop_last else -(-total // self.num_replicas)

    def indices(self, stream: RandomStream) -> np.ndarray:
        """This process's indices of one epoch, int64."""
        total = len(self.dataset)
        order = permutation(stream, total) if self.shuffle else np.arange(total)
        return np.resize(order, len(self) * self.num_replicas)[self.rank :: self.num_replicas]


def repeats(order: np.ndarray) -> np.ndarray:
    """How often the index at each place came before in this order."""
    by_index = np.argsort(order, kind="stable")
    first = np.r_[True, np.diff(order[by_index]) != 0]
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    counts = np.empty(len(order), np.int64)
    counts[by_index] = np.arange(len(order)) - start
    return counts
