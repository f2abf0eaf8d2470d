"""The one generator that everything draws from which was given no generator or seed of its own.

Initial weights without `rng`, the seeds of dropout, rand, randn, randint and randperm follow it. What is keyed by a
seed (a training run's weights, shuffling, augmentation and dropout) does not look at it.
"""

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


def fresh_seed(bits=56):
    """A seed for dropout."""
    return int(_generator.integers(2**bits))
