"""One pass through large files in which each file is read from its begin to its end.

A pass knows which samples it will be asked for, and in which order. Samples that lie one behind the other in a file and
are asked for about the same time are a run, which is read once, forwards: what is passed over on the way to a sample is
kept, as encoded bytes, until it is asked for.
"""

from threading import Lock

import numpy as np

FAR = 8192  # samples that are asked for so many places apart are of two runs
MOST_KEPT = 1 << 29  # bytes of a pass: what is passed over beyond them is read a second time, from its place


class Pass:
    """What `dataset[i]` gives, for threads that ask in about the order that was foreseen.

    dataset: an Encoded; samples, begins: of `runs`. Close it when it is no longer asked.
    """

    def __init__(self, dataset, samples: np.ndarray, begins: np.ndarray):
        self.dataset, self.first, budget = dataset, samples[begins], Budget(MOST_KEPT)
        self.runs = [Run(dataset, part, budget) for part in np.split(samples, begins[1:])]

    def __getitem__(self, index: int):
        run = self.runs[np.searchsorted(self.first, index, side="right") - 1]
        return self.dataset.sample(index, run.take(index))

    def close(self) -> None:
        """Close all files."""
        for run in self.runs:
            run.close()


class Run:
    """Samples of one file, in the file's order: `take(sample)` gives the bytes of each, in about any order.

    dataset: an Encoded; samples: their numbers, rising; budget: how much may be kept. Threads may share it.
    """

    def __init__(self, dataset, samples: np.ndarray, budget: "Budget"):
        self.dataset, self.samples, self.budget = dataset, samples, budget
        self.next, self.kept = 0, {}
        self.file, self.lock = None, Lock()

    def take(self, sample: int) -> bytes:
        """The bytes of a sample. DataError, naming the file, if it can't be read, or became shorter."""
        with self.lock:
            if sample in self.kept:
                self.budget.give_back(len(data := self.kept.pop(sample)))
                return data
            if self.next == len(self.samples) or sample < self.samples[self.next]:  # passed, and not kept
                return self.dataset.read(sample)
            return self.read_to(sample)

    def read_to(self, sample: int) -> bytes:
        """Read forwards to this sample, and keep what is passed over."""
        while (passed := self.samples[self.next]) < sample:
            data = self.read_next()
            if self.budget.take(len(data)):
                self.kept[int(passed)] = data
        return self.read_next()

    def read_next(self) -> bytes:
        """The bytes of the next sample of the file, which is open as long as there is one."""
        if self.file is None:
            self.file = self.dataset.opened(self.samples[0])
        data = self.dataset.piece(self.samples[self.next], self.file)
        self.next += 1
        if self.next == len(self.samples):
            self.close()
        return data

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None


class Budget:
    """How many bytes the runs of a pass may keep together."""

    def __init__(self, most: int):
        self.left, self.lock = most, Lock()

    def take(self, size: int) -> bool:
        """Is there room for so many bytes? Then they are taken."""
        with self.lock:
            fits = size <= self.left
            self.left -= size if fits else 0
        return fits

    def give_back(self, size: int) -> None:
        """So many bytes are free again."""
        with self.lock:
            self.left += size


def runs(order: np.ndarray, file_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the samples in the files' order, each once; where among them runs begin).

    file_of: the number of each sample's file.
    """
    samples, asked = np.unique(order, return_index=True)
    breaks = (np.diff(file_of[samples]) != 0) | (np.abs(np.diff(asked)) > FAR)
    return samples, np.r_[0, np.flatnonzero(breaks) + 1]
