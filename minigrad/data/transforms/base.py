"""What a transform is.

A transform is called `t(images, rng)`, with one image (H, W, C) and its `RandomStream`, or with a batch (N, H, W, C)
and N streams. It never writes into its input. Both calls run the same code on the same draws, so an image comes out the
same alone, in any batch, and in any worker.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..streams import RandomStream


class Transform:
    """Subclasses write `batch(images, rng)`: (N, H, W, C) to (N, H', W', C)."""

    random = False  # True: the transform draws, so it must be given a RandomStream

    def __call__(self, images: np.ndarray, rng: RandomStream | None = None) -> np.ndarray:
        check_images(self, images)
        rng = self.streams(images.shape[:-3], rng)
        return self.batch(images, rng) if images.ndim == 4 else self.batch(images[None], rng[None])[0]

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        """images (N, H, W, C), each with its stream of random numbers -> (N, H', W', C)."""
        raise NotImplementedError

    def streams(self, shape: tuple[int, ...], rng: RandomStream | None) -> RandomStream:
        """The streams that images of this shape draw from. TypeError or ValueError for others than one an image."""
        if not self.random:
            return RandomStream(np.zeros(shape, int)) if rng is None else rng
        if not isinstance(rng, RandomStream):
            raise TypeError(f"{self} draws random numbers: rng must be a RandomStream(seed, epoch, index); got {rng!r}")
        if rng.shape != shape:
            raise ValueError(f"{self}: images of shape {(*shape, 'H', 'W', 'C')} need {shape} streams; got {rng.shape}")
        return rng

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


def check_images(transform: Transform, images: np.ndarray) -> None:
    """ValueError unless this is one image or a batch of them."""
    if images.ndim not in (3, 4):
        raise ValueError(f"{transform}: image must be (H, W, C) or (N, H, W, C); got shape {images.shape}")


class ImageTransform(Transform):
    """A transform that has to look at its images one by one: subclasses write `image(image, rng)`."""

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        return np.stack([self.image(image, stream) for image, stream in zip(images, rng, strict=True)])

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        """One image (H, W, C), with its stream of random numbers -> (H', W', C)."""
        raise NotImplementedError


class Lambda(ImageTransform):
    """Any function `fn(image, rng)` of one image as a transform."""

    def __init__(self, fn: Callable):
        self.fn = fn

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        return self.fn(image, rng)


class Compose(Transform):
    """Transforms one after the other; transform number j draws from fold j. Plain functions are welcome, see Lambda."""

    def __init__(self, transforms: Sequence[Transform | Callable]):
        self.transforms = [t if isinstance(t, Transform) else Lambda(t) for t in transforms]

    def __call__(self, images: np.ndarray, rng: RandomStream | None = None) -> np.ndarray:
        for j, transform in enumerate(self.transforms):
            images = transform(images, None if rng is None else rng.fold(j))
        return images


def parted(transform):
    """(what is done to each image, the Normalize at the end or None): together they are this transform.

    So a normalised image can be written to where it has to be.
    """
    steps = transform.transforms if isinstance(transform, Compose) else [transform]
    last = steps[-1] if steps else None
    return (Compose(steps[:-1]), last) if hasattr(last, "into") else (transform, None)


def pair(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    """`size` as (height, width); an int means a square."""
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ValueError(f"{name}: size must be at least 1; got {size}")
    return height, width


def to_float(images: np.ndarray) -> np.ndarray:
    """float32: bytes are scaled to [0, 1], floats are taken as they are."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)
