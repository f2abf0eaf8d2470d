"""Gradients averaged over processes, bucket by bucket, while the backward pass still runs.

The backward pass reaches the last layers first. As soon as the gradients of a bucket are there, they are copied into
one array, whose sum over all processes begins; at each further node of the pass the messages under way are pushed on
(MPI works only while it is called). At the end all are waited for. This is Li et al. 2020 (PyTorch Distributed,
section 3.2.3) with the generator of steps in the place of hooks.
"""

from operator import itemgetter

import numpy as np

from ..device import CPU
from .world import init_process_group

BUCKET_BYTES = 4 << 20
ALIGNED = 64  # bytes: where a gradient begins in its bucket, for vectors


class Bucket:
    """The gradients of some parameters of one type in one array, and a mark for each that says in how many they are."""

    def __init__(self, parameters, place):
        self.parameters, self.places, end = parameters, [], 0
        for p in parameters:
            self.places.append(slice(end, end + p.size))
            step = ALIGNED // p.dtype.itemsize
            end = -(-(end + p.size) // step) * step
        self.place, self.array = place, place.xp.zeros(end + len(parameters), parameters[0].dtype)
        self.marks = self.array[end:]

    def fill(self):
        """Copy the gradients in; zeros for those that are missing."""
        for p, place in zip(self.parameters, self.places):
            self.array[place] = 0 if p.grad is None else self.place.asarray(p.grad).reshape(-1)
        marks = np.array([p.grad is not None for p in self.parameters], self.array.dtype)
        self.marks[...] = self.place.asarray(marks)

    def spread(self, size):
        """Write the mean over so many processes into the parameters' gradients, where any process had one."""
        for p, place, mark in zip(self.parameters, self.places, CPU.asarray(self.marks).tolist()):
            if mark:
                mean = (self.array[place] * self.array.dtype.type(1 / size)).reshape(p.shape)
                p.grad = p.device.asarray(mean)


def buckets(parameters, most, place):
    """Buckets of at most so many bytes (or one parameter), the last parameters first, each of one type.

    place: the device that their arrays are on.
    """
    found, held = [], []
    for p in reversed([p for p in parameters if p.requires_grad]):
        if held and (p.dtype != held[0].dtype or sum(q.data.nbytes for q in held) + p.data.nbytes > most):
            found.append(Bucket(held, place))
            held = []
        held.append(p)
    return found + ([Bucket(held, place)] if held else [])


class Sending:
    """The buckets of one backward pass: which gradients are still to come, and which messages are under way."""

    def __init__(self, group, all_buckets, observe):
        self.group, self.observe, self.waiting, self.under_way = group, observe, list(enumerate(all_buckets)), []
        self.bucket_of = {p.node: bucket for bucket in all_buckets for p in bucket.parameters}
        self.missing = {id(bucket): len(bucket.parameters) for bucket in all_buckets}

    def passed(self, node):
        """A node of the backward pass is done."""
        self.under_way = [sent for sent in self.under_way if not self.arrived(*sent)]
        bucket = self.bucket_of.get(node)
        if bucket is not None:
            self.missing[id(bucket)] -= 1
            while self.waiting and not self.missing[id(self.waiting[0][1])]:  # in one order in all processes
                self.send()

    def arrived(self, number, message):
        """Push a message on. Has it arrived?"""
        arrived = message.test()
        if arrived:
            self.observe("arrived", number)
        return arrived

    def send(self):
        number, bucket = self.waiting.pop(0)
        self.observe("complete", number)
        bucket.fill()
        self.under_way.append((number, self.group.start_all_reduce(bucket.array)))
        self.observe("sent", number)

    def finish(self):
        """Send what was not reached by the pass, and wait for all."""
        while self.waiting:
            self.send()
        for number, message in self.under_way:
            message.wait()
            self.observe("arrived", number)


def unobserved(event, number):
    """What nobody asked to hear."""


class GradientReducer:
    """Backward passes whose gradients are the mean over all processes.

    parameters: of the net, which must be the same ones in all processes. At the first process's values all begin
    group: a Group; None: all processes
    bucket_bytes: gradients of about so many bytes are sent together
    observe: a function that is told what happens, when it does, as observe(event, number of the bucket or None):
        "begin", for each bucket "complete" (its gradients are there), "sent" and "arrived", after the last node of the
        pass "passed", and when the means are written "end". With these times a picture of the pass can be drawn

    In each process call reducer.backward(loss) in the place of loss.backward().
    """

    def __init__(self, parameters, group=None, bucket_bytes=BUCKET_BYTES, observe=None):
        self.parameters, self.bucket_bytes, self.observe = list(parameters), bucket_bytes, observe or unobserved
        group = init_process_group() if group is None else group
        self.group = group.on(self.parameters[0].device) if self.parameters else group
        self.messages = self.group.twin()  # of their own: other messages may come in between
        for p in self.parameters:
            self.group.broadcast(p.detach())
        self.buckets = buckets(self.parameters, bucket_bytes, self.group.place) if self.group.size > 1 else []

    def backward(self, loss, grad=None, retain_graph=False):
        """loss.backward(grad, retain_graph); then each parameter's grad is the mean over all processes.

        A gradient that was there before the pass counts too, so that some passes with loss.backward() and a last one
        with this make one step. A parameter without a gradient in any process has none afterwards.
        """
        if self.group.size == 1:
            return loss.backward(grad, retain_graph)
        self.observe("begin", None)
        sending = Sending(self.messages, self.buckets, self.observe)
        for node in map(itemgetter(0), loss.backward_steps(grad, retain_graph)):
            sending.passed(node)
        self.observe("passed", None)
        sending.finish()
        for bucket in self.buckets:
            bucket.spread(self.group.size)
        self.observe("end", None)
