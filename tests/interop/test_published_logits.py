"""Published files beside the same nets written anew in PyTorch, from what their authors' code does: equal logits.

The file is read there by torch, h5py or NumPy, and the net is a function of its tensors, so that nothing is shared.
"""

import tarfile

import numpy as np
import pytest
from published import published

import architectures
import minigrad as mg

torch = pytest.importorskip("torch", reason="the peer")
F = torch.nn.functional


class Peer:
    """A file's tensors by name, and layers that look their own up."""

    def __init__(self, tensors, eps=1e-5):
        self.tensors, self.eps = tensors, eps

    def conv(self, x, name, stride=1, padding=0):
        return F.conv2d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), stride, padding)

    def norm(self, x, name):
        weights = (self.tensors[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *weights, eps=self.eps)

    def linear(self, x, name):
        return F.linear(x.mean((2, 3)), self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])


def state_dict(path):
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("module."): t for name, t in state.items()}


def akamaster(path, x):
    """Shortcut A with as many zero channels before as after."""
    peer = Peer(state_dict(path))
    x = F.relu(peer.norm(peer.conv(x, "conv1", 1, 1), "bn1"))
    for name in (f"layer{i}.{j}" for i in (1, 2, 3) for j in range(3)):
        stride = 2 if name in ("layer2.0", "layer3.0") else 1
        y = F.relu(peer.norm(peer.conv(x, f"{name}.conv1", stride, 1), f"{name}.bn1"))
        y = peer.norm(peer.conv(y, f"{name}.conv2", 1, 1), f"{name}.bn2")
        extra = (y.shape[1] - x.shape[1]) // 2
        x = F.relu(y + F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, extra, extra)))
    return peer.linear(x, "linear")


def dice(path, x):
    peer = Peer(state_dict(path))
    x = peer.conv(x, "conv1", 1, 1)
    for block in (1, 2, 3):
        for name in (f"block{block}.layer.{i}" for i in range(16)):
            y = peer.conv(F.relu(peer.norm(x, f"{name}.bn1")), f"{name}.conv1")
            x = torch.cat([x, peer.conv(F.relu(peer.norm(y, f"{name}.bn2")), f"{name}.conv2", 1, 1)], 1)
        if block < 3:
            x = F.avg_pool2d(peer.conv(F.relu(peer.norm(x, f"trans{block}.bn1")), f"trans{block}.conv1"), 2)
    return peer.linear(F.relu(peer.norm(x, "bn1")), "fc")


KERAS = {
    "kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip


def mlperf(path, x):
    """Convolutions with biases, "same" with stride 2 pads (0, 1), batch norm's eps is 1e-3."""
    h5py, tensors = pytest.importorskip("h5py"), {}
    with h5py.File(path) as file:
        found = []
        file["model_weights"].visititems(lambda n, d: found.append((n, d[()])) if hasattr(d, "shape") else None)
    for name, array in found:
        layer, kind = name.split("/")[-2:]
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        tensors[f"{layer}.{KERAS[kind.removesuffix(':0')]}"] = torch.tensor(array)
    convs, norms = (
        sorted((n.split(".")[0] for n in tensors if n.startswith(k) and n.endswith(".bias")), key=number)
        for k in ("conv2d", "batch_norm")
    )
    dense, peer = next(n.split(".")[0] for n in tensors if n.startswith("dense")), Peer(tensors, 1e-3)
    conv, norm = (iter(names) for names in (convs, norms))
    x = F.relu(peer.norm(peer.conv(x, next(conv), 1, 1), next(norm)))
    for stride in (1, 2, 2):
        y = peer.conv(x, next(conv), 1, 1) if stride == 1 else peer.conv(F.pad(x, (0, 1, 0, 1)), next(conv), 2)
        y = peer.norm(peer.conv(F.relu(peer.norm(y, next(norm))), next(conv), 1, 1), next(norm))
        x = F.relu(y + (x if stride == 1 else peer.conv(x, next(conv), 2)))
    return peer.linear(x, dense)


def number(name):
    last = name.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def bvlc(path, x):
    """Filters (K, R, S, C) in the file, pools that round up, response norms with k = 1."""
    blobs, tensors = {}, {}
    with tarfile.open(path) as archive:
        for member in (m for m in archive if m.name.endswith(".bin")):
            blobs[member.name.split("weights/")[1]] = np.frombuffer(archive.extractfile(member).read(), "<f4").copy()
    for name in (n.removesuffix("_bias.bin") for n in blobs if n.endswith("_bias.bin")):
        bias, size = blobs[f"{name}_bias.bin"], {"7": 7, "5": 5, "3": 3}.get(name.split("/")[-1][0], 1)
        size = 1 if name.endswith("reduce") else size
        w = torch.tensor(blobs[f"{name}_filter.bin"].reshape(bias.size, size, size, -1)).permute(0, 3, 1, 2)
        tensors |= {f"{name}.weight": w, f"{name}.bias": torch.tensor(bias)}
    tensors["loss3/classifier.weight"] = tensors["loss3/classifier.weight"][:, :, 0, 0]
    peer = Peer(tensors)
    x = norm5(pool(F.relu(peer.conv(x, "conv1/7x7_s2", 2, 3))))
    x = F.relu(peer.conv(F.relu(peer.conv(x, "conv2/3x3_reduce")), "conv2/3x3", 1, 1))
    x = pool(norm5(x))
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        x = inception(peer, x, f"inception_{module}")
        x = pool(x) if module in ("3b", "4e") else x
    return peer.linear(x, "loss3/classifier")


def pool(x):
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def norm5(x):
    return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)


def inception(peer, x, name):
    three = F.relu(peer.conv(x, f"{name}/3x3_reduce"))
    five = F.relu(peer.conv(x, f"{name}/5x5_reduce"))
    parts = [peer.conv(x, f"{name}/1x1"), peer.conv(three, f"{name}/3x3", 1, 1), peer.conv(five, f"{name}/5x5", 1, 2)]
    parts.append(peer.conv(F.max_pool2d(x, 3, 1, 1), f"{name}/pool_proj"))
    return F.relu(torch.cat(parts, 1))


FILES = {  # file: net, peer
    "resnet20-12fca82f.th": ("resnet20", akamaster),
    "dice_densenet_bc_100_12_cifar10.pth.tar": ("densenet_bc_100_12", dice),
    "dice_densenet_bc_100_12_cifar100.pth.tar": ("densenet_bc_100_12", dice),
    "mlperf_tiny_resnet8.h5": ("resnet8", mlperf),
    "bvlc_googlenet.tar": ("googlenet", bvlc),
}
LONG = ("dice_densenet_bc_100_12_cifar10.pth.tar", "dice_densenet_bc_100_12_cifar100.pth.tar", "bvlc_googlenet.tar")


def difference(file):
    """The largest difference of the logits of 8 random images, as a share of the largest logit."""
    name, peer = FILES[file]
    path = published(*(() if file.startswith("bvlc") else ("pretrained",)), file)
    net = architectures.create(name, weights=path)
    size = net.made.image_size
    images = np.random.default_rng(0).integers(0, 256, (8, *size, 3), np.uint8)
    x = net.preprocessing.normalised(images)
    with mg.no_grad(), torch.no_grad():
        ours, theirs = net(mg.Tensor(x)).numpy(), peer(path, torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("file", [pytest.param(f, marks=pytest.mark.long) if f in LONG else f for f in FILES])
def test_logits_are_those_of_the_authors_net(file):
    assert difference(file) < 2e-5
