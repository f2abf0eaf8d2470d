"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition").

    name       weight layers   parameters   made for
    lenet5                 5       61,706   32x32 grey digits, 10 classes

As usual today C3 is connected to all maps of S2, the pools have no weights, and the output layer is a linear one.
"""

from minigrad.nn import AvgPool2d, Conv2d, Flatten, Linear, Sequential, Tanh

from .variant import Recipe, Variant, glorot, output_size

RECIPE = Recipe(conv=glorot, linear=glorot)


def lenet5(num_classes=10, in_channels=1, image_size=(32, 32)):
    """Layers under the paper's names. Images under 32 pixels get a margin of 2, which makes 32x32 of MNIST's 28x28."""
    margin = 2 if min(image_size) < 32 else 0
    c1, c3 = Conv2d(in_channels, 6, 5, padding=margin), Conv2d(6, 16, 5)
    h, w = (n // 2 for n in output_size([c1], image_size))
    h, w = (n // 2 for n in output_size([c3], (h, w)))
    maps = {"c1": c1, "tanh1": Tanh(), "s2": AvgPool2d(2), "c3": c3, "tanh3": Tanh(), "s4": AvgPool2d(2)}
    full = {"c5": Linear(16 * h * w, 120), "tanh5": Tanh(), "f6": Linear(120, 84), "tanh6": Tanh()}
    return Sequential({**maps, "flatten": Flatten(), **full, "output": Linear(84, num_classes)})


VARIANTS = {"lenet5": Variant(lenet5, RECIPE, image_size=32, num_classes=10, in_channels=1, least=12)}
