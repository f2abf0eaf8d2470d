"""Batches on their way to a GPU: the next one is copied, from pinned memory, while the current one is worked on."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Slot:
    """Memory for one batch, kept for the next that comes: pinned on the host, and on the GPU.

    arrived: the event on the line after its copy. left: the event on the compute stream after its last use.
    """

    def __init__(self):
        self.pairs, self.arrived, self.left = [], None, None

    def fit(self, xp, arrays):
        """Whether there was memory for these shapes; if not, there is now."""
        if [(a.shape, a.dtype) for a in arrays] == [(a.shape, a.dtype) for a, _ in self.pairs]:
            return True
        self.pairs = [(pinned_like(xp, a), xp.empty(a.shape, a.dtype)) for a in arrays]
        return False


def pinned_like(xp, array):
    """A NumPy array in memory that the GPU copies from on its own."""
    memory = xp.cuda.alloc_pinned_memory(max(array.nbytes, 1))
    return np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)


class Line:
    """A stream of copies to a GPU beside the stream that computes."""

    def __init__(self, device):
        self.device, xp = device, device.xp
        self.compute, self.stream = xp.cuda.get_current_stream(), xp.cuda.Stream(non_blocking=True)

    def send(self, batches, slot):
        """Start the copy of the next batch into a slot. The slot; None if there was no batch left."""
        arrays = next(batches, None)
        if arrays is None:
            return None
        if slot.arrived is not None:
            slot.arrived.synchronize()  # the pinned memory was read
        if not slot.fit(self.device.xp, arrays):
            self.compute.synchronize()  # fresh memory may be what a kernel that is still to run works on
        elif slot.left is not None:
            self.stream.wait_event(slot.left)
        for (pinned, there), array in zip(slot.pairs, arrays):
            pinned[...] = array
            there.set(pinned, stream=self.stream)
        slot.arrived = self.stream.record()
        return slot

    def receive(self, slot):
        """The slot's arrays on the GPU. What computes waits until they are there; the host doesn't."""
        self.compute.wait_event(slot.arrived)
        return tuple(there for _, there in slot.pairs)

    def leave(self, slot):
        """Say that all work on the slot's batch has been launched."""
        slot.left = self.compute.record()


def prefetch_to_device(batches, device):
    """Batches (tuples of arrays) on the device. Each is valid until the next one is asked for.

    A thread gets the next batch and starts its copy while the caller works on the current one. On the CPU, where there
    is nothing to copy, the batches are passed on as they are.
    """
    if not hasattr(device.xp, "cuda"):
        yield from batches
        return
    line, slot, other, batches = Line(device), Slot(), Slot(), iter(batches)
    with ThreadPoolExecutor(1, thread_name_prefix="minigrad-transfer") as sender:
        coming = sender.submit(line.send, batches, slot)
        while (slot := coming.result()) is not None:
            coming = sender.submit(line.send, batches, other)
            yield line.receive(slot)
            line.leave(slot)
            other = slot
