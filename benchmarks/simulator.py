"""How long a training step takes in N processes that share a batch, computed from what one of them does.

    step(N) = forward + max(backward, when the last message has arrived) + rest

A message, the all-reduce of a bucket, begins when its gradients are there and the one before has arrived, and the
backward pass goes on meanwhile: that is so where something else than the processor that computes moves the bytes, a
network card or a GPU's copy engines. MPI in the memory of one machine moves and adds them on the processors that
compute (alone = False), so that

    step(N) = forward + backward + all messages + rest

One all-reduce of B bytes, over links of latency a and b bytes a second in each direction:

    ring   2 (N - 1) a + 2 (N - 1) / N  B / b      Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms"
    tree   2 log2(N) a + 2 B / b                   two trees at a time, pipelined: Sanders, Speck & Traeff 2009

It knows no jitter: of N processes the slowest decides in truth, and links are thought to be free for each.
"""

import math
from typing import NamedTuple


class Step(NamedTuple):
    """One process's step, in seconds, and its messages.

    forward, backward, rest (means and update): how long they take      sizes: bytes of each bucket, in order
    ready: seconds from the beginning of the backward pass until each bucket could be sent
    """

    forward: float
    backward: float
    rest: float
    ready: tuple
    sizes: tuple

    @property
    def seconds(self):
        """The step without any message."""
        return self.forward + self.backward + self.rest

    def faster(self, factor):
        """The same step on a processor that computes so many times as fast."""
        times = (self.forward / factor, self.backward / factor, self.rest / factor)
        return Step(*times, tuple(t / factor for t in self.ready), self.sizes)


class Link(NamedTuple):
    """latency in seconds, bandwidth in bytes a second in each direction, and how many processes it can join at most."""

    latency: float
    bandwidth: float
    most: float = math.inf


def ring(size, n, link):
    """Seconds of an all-reduce of so many bytes over n processes in a ring."""
    return 2 * (n - 1) * link.latency + 2 * (n - 1) / n * size / link.bandwidth


def tree(size, n, link):
    """Seconds of an all-reduce over n processes in two trees, each of which carries a half."""
    return 0.0 if n == 1 else 2 * math.ceil(math.log2(n)) * link.latency + 2 * size / link.bandwidth


def best(size, n, link):
    """The faster one, as NCCL and MPI choose by size."""
    return min(ring(size, n, link), tree(size, n, link))


def step_seconds(step, n, link, all_reduce=best, alone=True):
    """Seconds of the step in n processes. alone: is there something beside the processor that moves the bytes?"""
    costs = [all_reduce(size, n, link) for size in step.sizes]
    if not alone:
        return step.seconds + sum(costs)
    arrived = 0.0
    for ready, cost in zip(step.ready, costs):
        arrived = max(arrived, ready) + cost
    return step.forward + max(step.backward, arrived) + step.rest


def step_of(events):
    """The Step that a process made, from its events [(event, bucket, clock)] and ("bytes", bucket, bytes)."""
    clock = {event: time for event, bucket, time in events if bucket is None}
    begin = clock["begin"]
    ready = tuple(time - begin for event, _, time in events if event == "sent")
    sizes = tuple(size for event, _, size in events if event == "bytes")
    times = begin - clock["start"], clock["passed"] - begin, clock["done"] - clock["passed"]
    return Step(*times, ready, sizes)


def link_of(small, large, n):
    """The Link that explains two measured all-reduces, (bytes, seconds) each, over n processes in a ring."""
    slope = (large[1] - small[1]) / (large[0] - small[0])
    bandwidth = 2 * (n - 1) / n / slope
    return Link((small[1] - small[0] * slope) / (2 * (n - 1)), bandwidth)
