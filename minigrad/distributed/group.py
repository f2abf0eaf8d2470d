"""Group: processes that work together, as what trains sees them. This one is a process by itself."""

from ..device import CPU


class Done:
    """A message that has arrived."""

    def test(self):
        """Push it on, without waiting. Has it arrived?"""
        return True

    def wait(self):
        """Wait until it has arrived."""


class Group:
    """Processes that work together; by itself, of one process, for which each call has nothing to do.

    rank, size: which of how many processes this is, from 0. All processes must make the same calls in the same order.
    local_rank: which of those on this machine
    place: the device whose arrays start_all_reduce sends
    """

    rank, size, local_rank, place = 0, 1, 0, CPU

    def on(self, device):
        """The same processes, by the fastest way for this device's arrays."""
        return self

    def all_reduce(self, x):
        """The sum of x (a tensor or an array of one shape and type) over all processes, written into x; returns x.

        Each process gets the same bits.
        """
        return x

    def start_all_reduce(self, array):
        """Begin all_reduce of an array of `place` in one piece, which is taken until the message's wait() returns.

        The message has test() and wait(), as Done.
        """
        return Done()

    def broadcast(self, x, src=0):
        """Overwrite x (a tensor or an array) with that of process src; returns x."""
        return x

    def all_gather_object(self, value):
        """[value of process 0, of process 1 ...]: anything that pickle can send, in each process."""
        return [value]

    def sums(self, *numbers):
        """The sum of each number over all processes, in float64, as a list."""
        return list(numbers)

    def barrier(self):
        """Wait until all processes are here."""

    def twin(self):
        """The same processes, whose messages are apart from this group's."""
        return self

    def wait_for_first(self):
        """Before an error is said: one that all processes have ends them in this time, and the first alone says it."""

    def abort(self, status):
        """End all processes at once with this exit status."""
        raise SystemExit(status)
