"""Batches from a data set, in an order and with an augmentation that depend on (seed, epoch) alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minigrad.data.dataset import ArrayDataset, DataError, Dataset
from minigrad.data.streams import RandomStream, permutation
from minigrad.data.transforms.base import Lambda, Transform, to_float

Batch = tuple[np.ndarray, np.ndarray]
_ORDER, _SAMPLES, _BATCHES = 0, 1, 2  # first part of a stream's path: what its numbers are for


class DataLoader:
    """Yields (images float32 (B, H, W, C), labels int64 (B,)).

    transform: called `transform(images, rng)`, see `minigrad.data.transforms`; bytes that it leaves (or None) become
        float32 in [0, 1].
    batch_transform: `Mixup` or `CutMix`, called `(images, labels, rng)`; labels become soft, float32 (B, classes).
    num_workers: threads that prepare batches ahead, up to `prefetch` each; 0 prepares them in the caller.

    Every random number is a function of (seed, epoch, sample), so batches are the same for any num_workers, and an
    epoch can be resumed at any batch: `loader.iterate(epoch, start_batch=k)`.

    Raises ValueError for settings that make no sense, DataError (naming sample and file) for a sample that fails.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        shuffle: bool = False,
        num_workers: int = 0,
        drop_last: bool = False,
        transform: Callable | None = None,
        seed: int = 0,
        prefetch: int = 2,
        batch_transform: Callable | None = None,
    ):
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch", prefetch, 1),
            ("seed", seed, 0),
            ("number of samples in dataset", len(dataset), 1),
        ):
            if value < least:
                raise ValueError(f"DataLoader: {name} must be at least {least}; got {value}")
        if drop_last and len(dataset) < batch_size:
            raise ValueError(
                f"DataLoader: with drop_last, {len(dataset)} samples in batches of {batch_size} make no batch at all"
            )
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.prefetch, self.seed, self.epoch = num_workers, prefetch, seed, 0
        self.transform = Lambda(transform) if transform and not isinstance(transform, Transform) else transform
        self.batch_transform = batch_transform

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """The epoch that `for batch in loader` runs next; without it every pass has the same order and augmentation."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate(self.epoch)

    def iterate(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of `epoch` from number `start_batch` on, exactly as an uninterrupted epoch would give them."""
        if not 0 <= start_batch <= len(self):
            raise ValueError(f"DataLoader: start_batch must be in [0, {len(self)}]; got {start_batch}")
        order, numbers = self._order(epoch), range(start_batch, len(self))
        if self.num_workers == 0:
            return (self._batch(epoch, order, k) for k in numbers)
        return self._batches_ahead(epoch, order, numbers)

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return permutation(RandomStream(_ORDER, self.seed, epoch), len(self.dataset))

    def _batches_ahead(self, epoch: int, order: np.ndarray, numbers: range) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="minigrad-data")
        pending = deque()
        try:
            for k in numbers:
                pending.append(pool.submit(self._batch, epoch, order, k))
                if len(pending) > self.num_workers * self.prefetch:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # also when the consumer leaves early, or a sample raised
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, epoch: int, order: np.ndarray, k: int) -> Batch:
        indices = order[k * self.batch_size : (k + 1) * self.batch_size]
        rng = RandomStream(_SAMPLES, self.seed, epoch, indices)
        if isinstance(self.dataset, ArrayDataset):
            images, labels = self._slice(self.dataset, indices, rng)
        else:
            images, labels = self._stack(indices, rng)
        images = np.ascontiguousarray(to_float(images))
        if self.batch_transform is None:
            return images, labels
        return self.batch_transform(images, labels, RandomStream(_BATCHES, self.seed, epoch, k))

    def _slice(self, dataset: ArrayDataset, indices: np.ndarray, rng: RandomStream) -> Batch:
        images = dataset.images[indices]
        if self.transform is not None:
            images = self.transform(images, rng)
        return images, dataset.labels[indices]

    def _stack(self, indices: np.ndarray, rng: RandomStream) -> Batch:
        samples = [self._sample(i, stream) for i, stream in zip(indices.tolist(), rng, strict=True)]
        images, labels = zip(*samples, strict=True)
        for i, image in zip(indices, images, strict=True):
            if image.shape != images[0].shape:
                raise DataError(
                    f"DataLoader: images of one batch must have one shape, but {self._name(indices[0])} has "
                    f"{images[0].shape} and {self._name(i)} has {image.shape}: put Resize or a crop into transform"
                )
        return np.stack(images), np.array(labels, np.int64)

    def _sample(self, i: int, stream: RandomStream) -> tuple[np.ndarray, int]:
        try:
            image, label = self.dataset[i]
            return image if self.transform is None else self.transform(image, stream), label
        except Exception as error:
            raise DataError(f"DataLoader: {self._name(i)}: {error}") from error

    def _name(self, i: int) -> str:
        paths = getattr(self.dataset, "paths", None)
        return f"sample {i}" if paths is None else f"sample {i} ({paths[i]})"
