"""torchvision's transform_input: the net turns images of ImageNet's mean and deviation into those of 0.5 itself."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad.export import export
from minigrad.interop import Preprocessing
from minigrad.interop.loading import turned_inside
from minigrad.interop.preprocessing import HALF, IMAGENET_MEAN_STD


def test_both_ways_show_the_net_the_same_numbers(tmp_path):
    usual = architectures.create("googlenet_torchvision", image_size=32, aux_logits=False, seed=1).eval()
    export(usual, tmp_path / "a.pth", "torch", image_size=32)
    options = dict(image_size=32, aux_logits=False, transform_input=True)
    net = architectures.create("googlenet_torchvision", weights=tmp_path / "a.pth", **options)
    assert net.state_dict().keys() == usual.state_dict().keys()
    outside = Preprocessing(32, *HALF)
    inside = turned_inside(net, outside)
    assert (inside.mean, inside.std) == IMAGENET_MEAN_STD and turned_inside(usual, outside) is outside
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    first = net.transform_input(mg.Tensor(inside.normalised(images))).numpy()
    np.testing.assert_allclose(first, outside.normalised(images), atol=1e-6)
    assert next(iter(dict(net.named_children()))) == "transform_input"


def test_other_channels_are_refused():
    net = architectures.create("googlenet_torchvision", image_size=32, in_channels=1, transform_input=True)
    with pytest.raises(ValueError, match="transform_input is for images of 3 channels"):
        net(mg.Tensor(np.zeros((1, 32, 32, 1), np.float32)))
