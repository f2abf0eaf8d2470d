"""What an op may ask about its surroundings."""

from typing import NamedTuple

from .device import Device


class Context(NamedTuple):
    """The first argument of every op: the device of its inputs, and which gradients are needed."""

    device: Device
    needs: tuple  # for each positional input: does anyone want its gradient?

    @property
    def kernels(self):
        return self.device.kernels

    @property
    def xp(self):
        return self.device.xp

    @property
    def empty(self):
        return self.device.empty

    @property
    def zeros(self):
        return self.device.zeros

    @property
    def copied(self):
        return self.device.copied

    @property
    def each(self):
        return self.device.each

    @property
    def each_row(self):
        return self.device.each_row
