"""Batches from a data set, in an order and with an augmentation that depend on (seed, epoch) alone."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from .collate import collate, kind_of
from .dataset import ArrayDataset, Dataset
from .errors import BadImage, DataError, DataWarning
from .samplers import RandomSampler, SequentialSampler, repeats
from .sets import Subset
from .streams import BATCHES, ORDER, SAMPLES, RandomStream, sampling
from .text import shown
from .transforms.base import Lambda, Transform, parted, to_float

Batch = Any  # (images, labels), unless the data set or collate_fn makes it something else


class Course(NamedTuple):
    """One pass through a data set: its epoch, the samples' indices, and how often each came before in this pass.

    source[i] is sample i: the data set, or what it gives for such a pass.
    """

    epoch: int
    order: np.ndarray
    times: np.ndarray
    source: Any


class DataLoader:
    """Yields (images float32 (B, H, W, C), labels), or as many as the data set's samples have parts.

    A label is what the data set gives: an integer becomes int64 (B,), a float or an array of floats float32 (B, ...); a
    tuple or dict of such becomes one of arrays. All labels must be of one kind.

    transform: called `transform(images, rng)`, see `minigrad.data.transforms`; bytes that it leaves (or None) become
        float32 in [0, 1].
    batch_transform: `Mixup` or `CutMix`, called `(images, labels, rng)`; labels become soft, float32 (B, classes).
    num_workers: threads that prepare batches ahead, up to `prefetch` each; 0 prepares them in the caller.
    sampler: one of `minigrad.data.samplers`, in place of shuffle; any other iterable with a length will do, but only a
        sampler's order is known again after a resume.
    collate_fn: makes the batch of a list of samples (after transform), in place of what is said above.
    share: (rank, size): of each batch only sample rank, rank + size ..., as process `rank` of `size` that share each
        batch. batch_size and the number of batches stay those of all together. (A batch_transform mixes whole batches,
        so with one each process prepares them whole.)
    skip_bad_images: leave an image that can't be decoded out of its batch. `skipped` is {path: why}; a pass that
        skipped another one warns at its end.

    Every random number is a function of (seed, epoch, sample), so batches are the same for any num_workers, and an
    epoch can be resumed at any batch: `loader.iterate(epoch, start_batch=k)`. Each `for batch in loader` runs the next
    epoch, from 0 or from what `set_epoch` said.

    Raises ValueError for settings that make no sense, DataError (naming sample and file) for a sample that fails,
    BadImage if that is because its file can't be decoded.
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
        skip_bad_images: bool = False,
        sampler: Any = None,
        collate_fn: Callable | None = None,
        share: tuple[int, int] = (0, 1),
    ):
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler decides the order, so shuffle must be False")
        check_at_least(batch_size=(batch_size, 1), num_workers=(num_workers, 0), prefetch=(prefetch, 1), seed=(seed, 0))
        check_at_least(**{"number of samples in dataset": (len(dataset), 1)})
        self.sampler: Any = sampler or (RandomSampler(dataset) if shuffle else SequentialSampler(dataset))
        if drop_last and (total := len(self.sampler)) < batch_size:
            words = f"{total} samples in batches of {batch_size} make no batch at all"
            raise ValueError(f"DataLoader: with drop_last, {words}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.prefetch, self.seed, self.epoch = num_workers, prefetch, seed, 0
        self.transform = Lambda(transform) if transform and not isinstance(transform, Transform) else transform
        self.batch_transform, self.skip_bad_images, self.collate_fn = batch_transform, skip_bad_images, collate_fn
        if not 0 <= share[0] < share[1]:
            raise ValueError(f"DataLoader: share must be (rank, size) with rank in range(size); got {share}")
        self.share = share
        self.bad: dict[int, str] = {}  # {sample: why}, in the order in which threads met them
        self.first_label = None  # (its sample's name, its kind)

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    @property
    def skipped(self) -> dict[str, str]:
        """{path: why} of the images left out so far, in the data set's order whatever the number of workers."""
        return {self.place(i): why for i, why in sorted(list(self.bad.items()))}

    def set_epoch(self, epoch: int) -> None:
        """The epoch that `for batch in loader` runs next; the one after it runs the next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.iterate(epoch)

    def iterate(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of `epoch` from number `start_batch` on, exactly as an uninterrupted epoch would give them."""
        if not 0 <= start_batch <= len(self):
            raise ValueError(f"DataLoader: start_batch must be in [0, {len(self)}]; got {start_batch}")
        numbers = range(start_batch, self.shared_batches())
        batches = self.batches(self.course(epoch, numbers), numbers)
        return self.reporting(batches) if self.skip_bad_images else batches

    def shared_batches(self) -> int:
        """Batches of which this process has a sample: all, but perhaps for a short last one."""
        rest = len(self.sampler) - (len(self) - 1) * self.batch_size
        return len(self) - (rest <= self.share[0])

    def course(self, epoch: int, numbers: range) -> Course:
        """The order of this epoch, for batches of these numbers."""
        sampler: Any = self.sampler
        if hasattr(sampler, "indices"):
            order = sampler.indices(RandomStream(ORDER, self.seed, epoch))
        else:
            order = np.array(list(sampler), np.int64)
        source: Any = self.dataset
        if hasattr(source, "reading") and numbers:
            source = source.reading(np.concatenate([order[self.places(k, len(order))] for k in numbers]))
        return Course(epoch, order, repeats(order), source)

    def places(self, k: int, total: int) -> slice:
        """Which of so many samples are in batch number k, of several processes in this one's share."""
        (rank, size), begin = self.share, k * self.batch_size
        end = min(begin + self.batch_size, total)
        return slice(begin + rank, end, size) if self.batch_transform is None else slice(begin, end)

    def batches(self, course: Course, numbers: range) -> Iterator[Batch]:
        """The batches of these numbers, after which files that were opened for them are closed."""
        try:
            if self.num_workers == 0:
                yield from (self.batch(course, k) for k in numbers)
            else:
                yield from self.batches_ahead(course, numbers)
        finally:
            if course.source is not self.dataset:
                course.source.close()

    def batches_ahead(self, course: Course, numbers: range) -> Iterator[Batch]:
        """The batches of these numbers, prepared by threads before they are asked for."""
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="minigrad-data")
        pending = deque()
        try:
            for k in numbers:
                pending.append(pool.submit(self.batch, course, k))
                if len(pending) > self.num_workers * self.prefetch:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # also when the consumer leaves early, or a sample raised
            pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, course: Course, k: int) -> Batch:
        """Batch number k of a pass, of several processes this one's share."""
        places = self.places(k, len(course.order))
        indices = course.order[places]
        rng = RandomStream(SAMPLES, self.seed, course.epoch, indices).repeated(course.times[places])
        dataset, rows = self.dataset, indices
        while isinstance(dataset, Subset):
            dataset, rows = dataset.dataset, dataset.indices[rows]
        if isinstance(dataset, ArrayDataset) and not dataset.transforms_itself and self.collate_fn is None:
            images, *labels = self.rows(dataset, rows, rng)
        else:
            steps = parted(self.transform) if self.collate_fn is None else (self.transform, None)
            samples = self.samples(course.source, indices, rng, steps)
            if self.collate_fn is not None:
                return self.collate_fn(list(samples.values()))
            images, *labels = self.stack(samples, steps[1])
        images = np.ascontiguousarray(as_input(images))
        if self.batch_transform is None:
            return images, *labels
        mixed = self.batch_transform(images, *labels, RandomStream(BATCHES, self.seed, course.epoch, k))
        rank, size = self.share
        return mixed if size == 1 else tuple(part[rank::size] for part in mixed)

    def rows(self, dataset: ArrayDataset, indices: np.ndarray, rng: RandomStream) -> Batch:
        """A batch of a data set whose images are one array."""
        images = dataset.images[indices]
        if self.transform is not None:
            images = self.transform(images, rng)
        return images, dataset.labels[indices]

    def samples(self, source: Any, indices: np.ndarray, rng: RandomStream, steps: tuple) -> dict:
        """{(place, index): sample} of those that are not skipped, after the first of two steps, see `parted`.

        DataError if none is left.
        """
        numbered = enumerate(zip(indices.tolist(), rng, strict=True))
        found = {(place, i): self.sample(source, i, stream, *steps) for place, (i, stream) in numbered}
        found = {key: sample for key, sample in found.items() if sample is not None}
        if not found:
            last = int(indices[-1])
            words = f"none of the {len(indices)} images of a batch can be decoded; {self.place(last)}: {self.bad[last]}"
            raise DataError(f"DataLoader: {words}")
        return found

    def stack(self, samples: dict[tuple[int, int], tuple], last: Any) -> Batch:
        """A batch of samples that were asked for one by one, after the last step."""
        indices = [i for _, i in samples]
        images = [np.asarray(image) for image, *_ in samples.values()]
        labels = [tuple(rest) for _, *rest in samples.values()]
        self.check_shapes(indices, images)
        self.check_labels(indices, labels)
        try:
            return stacked(images, last), *collate(labels)
        except (ValueError, OverflowError) as error:
            raise DataError(f"DataLoader: labels of one batch don't fit together: {error}") from error

    def sample(self, source: Any, i: int, stream: RandomStream, transform: Any, last: Any) -> tuple | None:
        """(image, label) of one sample, transformed, and fit for the last step, if there is one.

        None if its image is bad, and bad ones are skipped.
        """
        try:
            with sampling(stream):
                sample = source[i]
            if not isinstance(sample, (tuple, list)) or not sample:
                raise TypeError(f"a sample must be a tuple (image, label); got {type(sample).__name__}")
            image, *rest = sample
            image = image if transform is None else transform(image, stream)
            if last is not None:
                last.check(image)
            return image, *rest
        except BadImage as error:
            if not self.skip_bad_images:
                raise BadImage(f"DataLoader: sample {i}: {error}", error.path) from error
            self.bad[i] = str(error)
            return None
        except Exception as error:
            raise DataError(f"DataLoader: {self.name(i)}: {error}") from error

    def reporting(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; then a warning if images were skipped that were not skipped before."""
        before = len(self.bad)
        yield from batches
        if len(self.bad) > before:
            last = self.bad[max(self.bad)]
            left = f"{len(self.bad)} of {len(self.dataset)} images can't be decoded and are left out, the last"
            warnings.warn(DataWarning(f"DataLoader: {left}: {last}"), stacklevel=2)

    def check_shapes(self, indices: list[int], images: Sequence[np.ndarray]) -> None:
        """DataError unless all images have one shape."""
        for i, image in zip(indices, images, strict=True):
            if image.shape != images[0].shape:
                raise DataError(
                    f"DataLoader: images of one batch must have one shape, but {self.name(indices[0])} has "
                    f"{images[0].shape} and {self.name(i)} has {image.shape}: put Resize or a crop into transform"
                )

    def check_labels(self, indices: list[int], labels: Sequence) -> None:
        """DataError unless all labels, of this batch and those before, are of one kind."""
        for i, label in zip(indices, labels, strict=True):
            try:
                kind = kind_of(label[0] if len(label) == 1 else label)
            except (TypeError, ValueError) as error:
                raise DataError(f"DataLoader: {self.name(i)}: {error}") from error
            self.first_label = self.first_label or (self.name(i), kind)
            first, expected = self.first_label
            if kind != expected:
                words = f"{first} has {expected}, {self.name(i)} has {kind}"
                raise DataError(f"DataLoader: labels must be of one kind: {words}")

    def place(self, i: int) -> str:
        """The sample's file, if it has one, else its number."""
        paths = getattr(self.dataset, "paths", None)
        return f"sample {i}" if paths is None else shown(paths[i])

    def name(self, i: int) -> str:
        """The sample's number and file, for messages."""
        return f"sample {i}" if getattr(self.dataset, "paths", None) is None else f"sample {i} ({self.place(i)})"


def stacked(images: Sequence[np.ndarray], last: Any) -> np.ndarray:
    """Images of one shape as one array; with a last step what it makes of each."""
    if last is None:
        return np.stack(images)
    batch = np.empty((len(images), *images[0].shape), np.float32)
    for row, image in zip(batch, images, strict=True):
        last.into(row, image)
    return batch


def check_at_least(**settings: tuple[int, int]) -> None:
    """ValueError for a setting whose (value, least value) doesn't fit."""
    for name, (value, least) in settings.items():
        if value < least:
            raise ValueError(f"DataLoader: {name} must be at least {least}; got {value}")


def as_input(x: np.ndarray) -> np.ndarray:
    """What a net takes: bytes as float32 in [0, 1], floats as float32; other integers stay what they are."""
    return to_float(x) if x.dtype == np.uint8 or x.dtype.kind == "f" else x
