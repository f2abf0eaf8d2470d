"""Modules made of modules: in a row, or in a list."""

from .folding import conv_norm
from .layers import BatchNorm2d, Conv2d, ReLU
from .module import Module


class Sequential(Module):
    """Modules one after the other. Convolution, batch norm and ReLU run together where they follow each other.

    Built from modules (named "0", "1", ...) or from one dict of name: module.
    """

    def __init__(self, *modules):
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], dict) else enumerate(modules)
        for name, module in named:
            setattr(self, str(name), module)

    def __iter__(self):
        return (m for _, m in self.named_children())

    def __len__(self):
        return sum(1 for _ in self)

    def __getitem__(self, index):
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def append(self, module):
        """Add a module at the end. Returns self."""
        setattr(self, str(len(self)), module)
        return self

    def forward(self, x):
        layers = list(self)
        while layers:
            layer = last = layers.pop(0)
            if isinstance(layer, Conv2d) and layers and isinstance(layers[0], BatchNorm2d):
                last = layers.pop(0)
            ending = {}
            if layers and isinstance(layers[0], ReLU) and getattr(last, "fuses_relu", False):
                layers.pop(0)
                ending = {"relu": True}
            x = layer(x, **ending) if last is layer else conv_norm(layer, last, x, **ending)
        return x


class ModuleList(Module):
    """Modules in a list, for a forward that walks them itself."""

    def __init__(self, modules=()):
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def __iter__(self):
        return (m for _, m in self.named_children())

    def __len__(self):
        return sum(1 for _ in self)

    def __getitem__(self, index):
        return list(self)[index]

    def append(self, module):
        """Add a module at the end. Returns self."""
        setattr(self, str(len(self)), module)
        return self
