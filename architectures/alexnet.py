"""AlexNet: ReLU, overlapping pools, dropout (Krizhevsky et al. 2012, "ImageNet classification with deep CNNs").

    name                      weight layers   parameters   made for
    alexnet_paper                         8   60,965,224   ImageNet, 227x227
    alexnet_paper_ungrouped               8   62,378,344   (the same on one GPU)
    alexnet_owt                           8   61,100,840   ImageNet, 224x224
    alexnet_bn4                           7   27,497,416   ImageNet, 227x227
    alexnet_small                         8      463,562   32x32, 10 classes

`alexnet_owt` is torchvision's, of "One weird trick" (Krizhevsky 2014, arXiv:1404.5997); parameter names as there.
`alexnet_bn4` is the textbook variant: four groups of convolution, batch norm, ReLU and pool, then FC 4096, 4096, 1000.
`alexnet_small` keeps the order of the layers, the 5x5 filters and the overlapping pools at small widths and stride 1.
"""

from functools import partial

from minigrad.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
)
from minigrad.nn import functional as F

from .variant import Recipe, Variant, he_in, normal_01, output_size

# Section 5: N(0, 0.01). The paper's biases of 1 in these layers gave the known replica (BVLC) a flat loss; 0.1 trains.
PAPER_BIASES = dict.fromkeys(("features.conv2", "features.conv4", "features.conv5", "classifier.fc6"), 0.1)
PAPER_RECIPE = Recipe(normal_01, normal_01, {**PAPER_BIASES, "classifier.fc7": 0.1})
RECIPE = Recipe(conv=he_in, linear=normal_01)
# Hundreds of inputs to a layer rather than thousands: 0.01 would be too little.
SMALL_RECIPE = Recipe(conv=he_in, linear=partial(init.normal_, std=0.03))


class TowerNorm(Module):
    """Local response normalisation within each GPU's maps (section 3.3): k = 2, n = 5, alpha = 1e-4, beta = 0.75.

    minigrad divides alpha by n, as torch does, and the paper does not: hence 5e-4.
    """

    def __init__(self, towers):
        self.towers = towers

    def forward(self, x):
        by_tower = x.reshape(*x.shape[:-1], self.towers, x.shape[-1] // self.towers)
        return F.local_response_norm(by_tower, 5, alpha=5e-4, beta=0.75, k=2.0).reshape(x.shape)


def classifier(c, hidden, num_classes, dropout):
    """fc6, fc7 and fc8; dropout on the outputs of the first two (section 4.2)."""
    fc6 = {"fc6": Linear(c, hidden), "relu6": ReLU(), "drop6": Dropout(dropout)}
    fc7 = {"fc7": Linear(hidden, hidden), "relu7": ReLU(), "drop7": Dropout(dropout)}
    return Sequential({**fc6, **fc7, "fc8": Linear(hidden, num_classes)})


def assemble(features, image_size, hidden, num_classes, dropout):
    """Convolutions, then fully-connected layers of the width that this image size leads to."""
    features, (p, q) = Sequential(features), output_size(features.values(), image_size)
    channels = [m for m in features.modules() if isinstance(m, Conv2d)][-1].out_channels
    full = classifier(p * q * channels, hidden, num_classes, dropout)
    return Sequential({"features": features, "flatten": Flatten(), "classifier": full})


def norm_and_pool(i, towers, lrn, ceil_mode):
    """The normalisation and the pool behind convolution 1 or 2, see alexnet_paper."""
    if lrn not in ("towers", "channels", "pooled"):
        raise ValueError(f"alexnet_paper: lrn must be 'towers', 'channels' or 'pooled'; got {lrn!r}")
    norm = {f"norm{i}": TowerNorm(towers) if lrn == "towers" else LocalResponseNorm(5)}
    pool = {f"pool{i}": MaxPool2d(3, 2, ceil_mode=ceil_mode)}
    return pool | norm if lrn == "pooled" else norm | pool


def alexnet_paper(
    num_classes=1000, in_channels=3, image_size=(227, 227), dropout=0.5, towers=2, lrn="towers", ceil_mode=False
):
    """Figure 2. With two towers, convolutions 2, 4 and 5 and the normalisations see only their own GPU's maps.

    lrn        "towers": the paper's normalisation; "channels": that of Caffe's AlexNet, over the maps of both towers,
               with k = 1 and alpha = 1e-4, divided by n; "pooled": the same after the pool, as in Caffe's CaffeNet
    ceil_mode  pools round their sizes up, as Caffe's do: it makes no difference for images of 227x227
    """
    features = {
        **{"conv1": Conv2d(in_channels, 96, 11, 4), "relu1": ReLU(), **norm_and_pool(1, towers, lrn, ceil_mode)},
        **{"conv2": Conv2d(96, 256, 5, padding=2, groups=towers), "relu2": ReLU()},
        **norm_and_pool(2, towers, lrn, ceil_mode),
        **{"conv3": Conv2d(256, 384, 3, padding=1), "relu3": ReLU()},
        **{"conv4": Conv2d(384, 384, 3, padding=1, groups=towers), "relu4": ReLU()},
        **{"conv5": Conv2d(384, 256, 3, padding=1, groups=towers), "relu5": ReLU()},
        **{"pool5": MaxPool2d(3, 2, ceil_mode=ceil_mode)},
    }
    return assemble(features, image_size, 4096, num_classes, dropout)


def alexnet_owt(num_classes=1000, in_channels=3, dropout=0.5):
    """One tower, fewer filters, no normalisation, dropout before the layers; any image size, by adaptive pooling."""
    features = Sequential(
        *(Conv2d(in_channels, 64, 11, 4, 2), ReLU(), MaxPool2d(3, 2)),
        *(Conv2d(64, 192, 5, padding=2), ReLU(), MaxPool2d(3, 2)),
        *(Conv2d(192, 384, 3, padding=1), ReLU()),
        *(Conv2d(384, 256, 3, padding=1), ReLU()),
        *(Conv2d(256, 256, 3, padding=1), ReLU(), MaxPool2d(3, 2)),
    )
    fc6, fc7 = (Dropout(dropout), Linear(256 * 6 * 6, 4096), ReLU()), (Dropout(dropout), Linear(4096, 4096), ReLU())
    full = Sequential(*fc6, *fc7, Linear(4096, num_classes))
    return Sequential({"features": features, "avgpool": AdaptiveAvgPool2d(6), "flatten": Flatten(), "classifier": full})


def bn_group(i, c, k, size, stride=1):
    """Convolution, batch norm, ReLU, overlapping pool."""
    conv = Conv2d(c, k, size, stride, 0 if stride > 1 else size // 2, bias=False)
    return {f"conv{i}": conv, f"bn{i}": BatchNorm2d(k), f"relu{i}": ReLU(), f"pool{i}": MaxPool2d(3, 2)}


def alexnet_bn4(num_classes=1000, in_channels=3, image_size=(227, 227), dropout=0.5):
    """Four groups with the paper's filters, its conv4 left out."""
    groups = (in_channels, 96, 11, 4), (96, 256, 5), (256, 384, 3), (384, 256, 3)
    features = {name: layer for i, group in enumerate(groups, 1) for name, layer in bn_group(i, *group).items()}
    return assemble(features, image_size, 4096, num_classes, dropout)


def alexnet_small(num_classes=10, in_channels=3, image_size=(32, 32), dropout=0.5):
    """Five convolutions and three overlapping pools for images that one 11x11 filter of stride 4 would waste."""
    features = {
        **{"conv1": Conv2d(in_channels, 32, 5, padding=2), "relu1": ReLU(), "pool1": MaxPool2d(3, 2)},
        **{"conv2": Conv2d(32, 64, 5, padding=2), "relu2": ReLU(), "pool2": MaxPool2d(3, 2)},
        **{"conv3": Conv2d(64, 96, 3, padding=1), "relu3": ReLU()},
        **{"conv4": Conv2d(96, 96, 3, padding=1), "relu4": ReLU()},
        **{"conv5": Conv2d(96, 64, 3, padding=1), "relu5": ReLU(), "pool5": MaxPool2d(3, 2)},
    }
    return assemble(features, image_size, 256, num_classes, dropout)


VARIANTS = {
    "alexnet_paper": Variant(alexnet_paper, PAPER_RECIPE, image_size=227, least=67),
    "alexnet_paper_ungrouped": Variant(partial(alexnet_paper, towers=1), PAPER_RECIPE, image_size=227, least=67),
    "alexnet_owt": Variant(alexnet_owt, RECIPE, least=63),
    "alexnet_bn4": Variant(alexnet_bn4, RECIPE, image_size=227, least=131),
    "alexnet_small": Variant(alexnet_small, SMALL_RECIPE, image_size=32, num_classes=10, least=15),
}
