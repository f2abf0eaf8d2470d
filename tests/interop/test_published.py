"""Published files give their published scores; each trap behind them is wrong without the care, and right with it.

On a part of the test set, so that the tests stay short; docs/weights.md has the scores on all of it.
"""

import dataclasses

import numpy as np
import pytest
from published import accuracy, cifar10_test, downloaded, photographs, published

import architectures
from minigrad.interop import WeightsError, load_weights, read

AKAMASTER, DICE = "resnet20-12fca82f.th", "dice_densenet_bc_100_12_cifar10.pth.tar"
MLPERF = "mlperf_tiny_resnet8.h5"


def test_akamasters_resnet20():
    path = published("pretrained", AKAMASTER)
    images, labels = cifar10_test(300)
    assert accuracy(architectures.create("resnet20", weights=path), images, labels) > 90
    with pytest.warns(UserWarning, match="A_centre"):
        wrong = architectures.create("resnet20", weights=path, shortcut="A")
    assert accuracy(wrong, images, labels, wrong.preprocessing) < 40


def test_mlperfs_resnet8():
    pytest.importorskip("h5py")
    path = published("pretrained", MLPERF)
    images, labels = cifar10_test(300)
    net = architectures.create("resnet8", weights=path)
    assert net.made.options == {"eps": 1e-3, "padding": "same", "shortcut": "B"}
    assert accuracy(net, images, labels) > 84
    with pytest.warns(UserWarning, match="padding='same'"):
        wrong = architectures.create("resnet8", weights=path, padding=None)
    assert accuracy(wrong, images, labels) < 70
    scaled = dataclasses.replace(net.preprocessing, scale=1.0)
    assert accuracy(net, images, labels, scaled) < 30


@pytest.mark.long
def test_dices_densenet():
    images, labels = cifar10_test(100)
    net = architectures.create("densenet_bc_100_12", weights=published("pretrained", DICE))
    assert accuracy(net, images, labels) > 90
    assert net.preprocessing.std == (0.2023, 0.1994, 0.201)


def test_dices_densenet_of_100_classes_brings_its_number_of_classes():
    path = published("pretrained", "dice_densenet_bc_100_12_cifar100.pth.tar")
    assert architectures.create("densenet_bc_100_12", weights=path).made.num_classes == 100


@pytest.mark.long
def test_bvlcs_googlenet():
    path = published("bvlc_googlenet.tar")
    images, labels = photographs(50)
    net = architectures.create("googlenet", weights=path)
    assert net.made.name == "googlenet_paper" and accuracy(net, images, labels) > 60
    rgb = dataclasses.replace(net.preprocessing, channels="RGB", scale=1.0)
    assert accuracy(net, images, labels, rgb) < 10
    with pytest.raises(WeightsError, match="weights of googlenet_paper, not of googlenet_torchvision"):
        architectures.create("googlenet_torchvision", weights=path)


@pytest.mark.long
def test_keras_resnet50():
    path = downloaded("resnet50_keras.npz")
    images, labels = photographs(50)
    net = architectures.create("resnet50", weights=path)
    assert net.made.name == "resnet50_v1" and net.bn1.eps == 1e-3
    assert accuracy(net, images, labels) > 60
    with pytest.raises(WeightsError, match="weights of resnet50_v1, not of resnet50"):
        load_weights(architectures.create("resnet50"), path)


def test_a_pickled_module_is_refused_with_the_reason():
    with pytest.raises(WeightsError, match=r"resnet\.ResNet.*a whole pickled module.*nothing was executed"):
        read(published("pretrained", "torch_optim_resnet56_cifar10.pth"))


def test_weights_of_another_net_are_refused():
    path = published("pretrained", AKAMASTER)
    with pytest.raises(WeightsError, match="does not fit"):
        architectures.create("resnet32", weights=path)


def test_the_values_are_the_files_own():
    contents = read(published("pretrained", AKAMASTER))
    net = architectures.create("resnet20", weights=contents.path)
    w = contents.arrays["module.layer2.0.conv1.weight"]
    assert np.array_equal(net.layer2[0].conv1.weight.numpy(), w.transpose(0, 2, 3, 1))
