"""Our messages alone: a step is an all-reduce of so many bytes in several processes."""

import numpy as np

from minigrad import distributed

from .minigrad_ranks import connect as connect


def build(size):
    group, array = distributed.init_process_group(), np.zeros(size // 4, np.float32)

    def step():
        group.start_all_reduce(array).wait()
        return []

    return step
