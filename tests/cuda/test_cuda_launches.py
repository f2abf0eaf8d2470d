"""How many launches a training step takes, counted on the emulated GPU: more of them cost time on every GPU.

The counts are exact, but for a GPU with cuBLAS, which takes the products of 1x1 convolutions: here they are kernels.
benchmarks/results/launches.md has them from version to version.
"""

import numpy as np
import pytest
from cuda_cases import needs_emulator
from places import prepare

import architectures
import minigrad as mg
from minigrad import optim
from minigrad.device import get_device
from minigrad.train.graph import Captured

prepare("emulated")
pytestmark = [needs_emulator, pytest.mark.long]
COUNTS = {
    ("resnet8", None): 143, ("densenet_small", None): 368, ("densenet_small", "bfloat16"): 379,
    ("resnet50", None): 558, ("resnet50", "bfloat16"): 568, ("densenet121", "bfloat16"): 1361,
    ("vgg16", "bfloat16"): 154,
}  # fmt: skip


def launches(arch, low):
    """Of a step of SGD with momentum on two images of 32 x 32."""
    device = get_device("emulated")
    net = architectures.create(arch, num_classes=10, image_size=32, in_channels=3).to(device).train()
    optimizer = optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for own, p in zip(optimizer.state, optimizer.params):
        own["momentum_buffer"] = device.xp.zeros_like(p.data)
    images, labels = np.ones((2, 32, 32, 3), np.float32), np.array([1, 2])
    batch = (mg.Tensor(device.asarray(a)) for a in (images, labels))
    captured = Captured(net, optimizer, *batch, False, low_type=low)
    return captured.graph._graph.launches


@pytest.mark.parametrize("arch, low", COUNTS)
def test_a_step_takes_so_many_launches(arch, low):
    assert launches(arch, low) == COUNTS[arch, low]
