"""The compilation of kernels, which a new machine does once: said, shown, and left out of rates and estimates."""

from contextlib import contextmanager

from ..command.screen import Bar, say
from ..device import CPU

MESSAGE = "compiling kernels for this processor (once, about 20 s)"


class Compilation:
    """What a run knows of it. On a GPU and with the reference kernels there is none, and all of this does nothing."""

    def __init__(self, device, config):
        self.compiling, self.bar = None, None
        if device is CPU and config.kernels != "reference":
            from kernels.cpu import compiling  # imports Numba

            self.compiling = compiling

    def seconds(self):
        """What this process has spent on it so far."""
        return self.compiling.seconds() if self.compiling else 0.0

    @contextmanager
    def watched(self):
        """Within this block the first kernel that has to be compiled is said, and a bar shows how many there are."""
        if self.compiling is None:
            yield
            return
        try:
            with self.compiling.watched(self.show):
                yield
        finally:
            self.close()

    def show(self, progress):
        """progress: kernels ready, and in total."""
        if self.bar is None:
            say(MESSAGE)
            self.bar = Bar("compiling", progress.total, progress.ready)
        self.bar.go_to(progress.ready)

    def close(self):
        """Remove the bar, if there is one: the first step, which compiled what it needs, is done."""
        if self.bar is not None:
            self.bar.close()
