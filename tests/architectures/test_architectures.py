"""The nets run, every parameter of them learns, and their initial weights are reproducible and train."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from architectures import registry
from architectures.googlenet import training_loss
from minigrad.nn import functional as F


@pytest.fixture(autouse=True)
def reference_kernels():
    """These tests are about nets, not kernels: nothing to compile."""
    with mg.use_kernels("reference"):
        yield


def images(*shape, seed=0):
    return mg.Tensor(np.random.default_rng(seed).standard_normal(shape, np.float32))


def same(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


# One or more nets of each family: image size, channels
LONG = pytest.mark.long
TRAINED = [
    ("lenet5", (28, 28), 1),
    ("alexnet_paper", (67, 67), 3),
    ("alexnet_owt", (63, 70), 1),
    ("alexnet_bn4", (131, 131), 1),
    ("alexnet_small", (28, 28), 1),
    ("vgg11", (32, 48), 3),
    ("vgg11_bn", (32, 32), 3),
    ("vgg_small_bn", (28, 28), 1),
    ("googlenet_paper", (79, 79), 3),
    ("googlenet_torchvision", (33, 47), 3),
    ("googlenet_small", (28, 28), 1),
    ("inception_v4", (75, 75), 3),
    ("resnet18", (33, 45), 3),
    ("resnet50", (32, 32), 1),
    ("resnet50_v1", (32, 32), 1),
    ("plain18", (32, 32), 3),
    ("resnet20", (28, 28), 1),
    ("resnet20", (17, 31), 3),
    ("plain20", (32, 32), 3),
    ("preact_resnet20", (32, 32), 3),
    ("preact_resnet50", (32, 32), 3),
    ("densenet121", (33, 45), 3),
    ("densenet_22_12", (19, 32), 3),
    ("densenet_bc_22_12", (28, 28), 1),
    ("densenet_small", (28, 28), 1),
]


@pytest.mark.parametrize(
    "name, hw, c", [pytest.param(*row, marks=() if "small" in row[0] else LONG) for row in TRAINED]
)
def test_every_parameter_gets_a_gradient(name, hw, c):
    net = architectures.create(name, num_classes=10, image_size=hw, in_channels=c)
    loss = training_loss(F.cross_entropy, net(images(2, *hw, c)), np.array([3, 7]))
    loss.backward()
    assert np.log(10) / 2 < loss.item() < 2 * np.log(10)
    for parameter, tensor in net.named_parameters():
        assert tensor.grad is not None and np.isfinite(tensor.grad).all() and tensor.grad.any(), parameter
    with mg.no_grad():
        assert net.eval()(images(3, *hw, c)).shape == (3, 10)


@pytest.mark.parametrize("name", ["alexnet_small", "vgg_small_bn", "googlenet_small", "resnet20", "densenet_small"])
def test_a_few_steps_fit_a_few_images(name):
    """Initial weights that train: a net that stays at chance stays at log(3) = 1.10."""
    options = {"dropout": 0.0} if name in ("alexnet_small", "googlenet_small") else {}
    net = architectures.create(name, num_classes=3, image_size=16, in_channels=1, **options)
    x, target = images(6, 16, 16, 1), np.arange(6) % 3
    for _ in range(16 if name == "alexnet_small" else 8):
        net.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        norm = np.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters()))
        for p in net.parameters():
            p.data -= np.float32(0.2 / max(norm, 0.2)) * p.grad
    assert loss.item() < 0.8


@pytest.mark.long
@pytest.mark.parametrize("name", ["alexnet_paper", "alexnet_owt", "vgg11", "vgg19", "googlenet_paper"])
def test_nets_without_batch_norm_start_near_chance_with_gradients_at_the_first_layer(name):
    size = registry.find(name).least
    net = architectures.create(name, num_classes=10, image_size=size).eval()
    loss = F.cross_entropy(net(images(4, size, size, 3)), np.arange(4))
    loss.backward()
    first = next(net.parameters())
    assert loss.item() < 1.7 * np.log(10)
    assert 5e-4 < np.linalg.norm(first.grad) / np.linalg.norm(first.data) < 1


# Initial weights


def test_the_seed_decides_all_weights():
    a, b, c = (architectures.create("densenet_small", seed=s).state_dict() for s in (5, 5, 6))
    assert all((a[k] == b[k]).all() for k in a)
    assert all((a[k] != c[k]).any() for k in a if k.endswith(("conv1.weight", "classifier.weight")))


def test_dropout_is_seeded_too():
    x = images(4, 16, 16, 1)
    nets = [architectures.create("alexnet_small", image_size=16, in_channels=1, seed=s) for s in (1, 1)]
    same(*(net(x).data for net in nets))


def test_alexnet_starts_as_in_the_paper_with_the_bias_that_trains():
    state = architectures.create("alexnet_paper", image_size=67).state_dict()
    assert state["features.conv3.weight"].std() == pytest.approx(0.01, rel=0.01)
    biases = {k: float(v.max()) for k, v in state.items() if k.endswith("bias") and v.max() == v.min()}
    raised = {f"features.conv{i}.bias" for i in (2, 4, 5)} | {"classifier.fc6.bias", "classifier.fc7.bias"}
    assert {k for k, v in biases.items() if v == np.float32(0.1)} == raised and len(biases) == 8


def test_zero_init_residual_makes_each_block_the_identity():
    net = architectures.create("resnet20", zero_init_residual=True)
    x = mg.Tensor(np.abs(images(2, 8, 8, 16).data))
    same(getattr(net.layer1, "0")(x).data, x.data)
