"""The one generator that everything draws from which was given no generator or seed of its own.

Initial weights without `rng`, the seeds of dropout, rand, randn, randint and randperm follow it. What is keyed by a
seed (a training run's weights, shuffling, augmentation and dropout) does not look at it.
"""

from contextlib import contextmanager

import numpy as np

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """The generator, of unpredictable seed until manual_seed was called."""
    return _generator


def manual_seed(seed):
    """Begin the generator anew: the same seed, the same numbers. Returns it. TypeError for a seed that is no int."""
    global _generator
    if not isinstance(seed, int | np.integer):
        raise TypeError(f"manual_seed: seed must be an int; got {seed!r}")
    _generator = np.random.default_rng(int(seed) % 2**64)
    return _generator


@contextmanager
def seeded(*keys):
    """Within this block all that draws at random depends on these keys (ints) alone, and nothing after it on the block.

    Of threads that draw meanwhile, all draw from the block's generator.
    """
    global _generator
    outer, _generator = _generator, np.random.default_rng([key % 2**64 for key in keys])
    try:
        yield
    finally:
        _generator = outer


def fresh_seed(bits=56):
    """A seed for dropout."""
    return int(_generator.integers(2**bits))
