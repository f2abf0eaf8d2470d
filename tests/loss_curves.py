"""The first steps of the five families: weights and batches that PyTorch and minigrad can both make, from seeds alone.

`python tests/loss_curves.py` trains the nets with PyTorch and writes the losses that tests/train/test_loss_parity.py
compares with, loss_curves.npz. All is in float64: in float32 two right programs differ by rounding, and a hundred steps
enlarge the difference beyond what a small mistake would make.
"""

import sys
from itertools import groupby
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "loss_curves.npz"
FAMILIES = ("alexnet_small", "vgg_small_bn", "googlenet_small", "resnet20", "densenet_small")
STEPS, BATCHES, IMAGES, SIDE, CLASSES = 100, 8, 4, 28, 10
EPS = {"googlenet_small": 1e-3}  # of batch norm, as torchvision has it in GoogLeNet
SGD = dict(lr=0.003, momentum=0.9, weight_decay=1e-4)


def weights(shapes):
    """Arrays in PyTorch's layout for parameters of these shapes: He's weights, norms that change nothing at first."""
    rng = np.random.default_rng(7)
    for vectors, run in groupby(shapes, key=lambda shape: len(shape) == 1):
        run = list(run)
        for i, shape in enumerate(run):  # of vectors: perhaps a bias, then gamma and beta of each norm
            gamma = vectors and (len(run) - i) % 2 == 0
            yield np.full(shape, float(gamma)) if vectors else rng.standard_normal(shape) * spread(shape)


def spread(shape):
    return np.sqrt(2 / np.prod(shape[1:]))


def batches():
    """(images (N, H, W, 1), labels (N,)) of each step; after the eighth they come again."""
    rng = np.random.default_rng(8)
    made = [(rng.standard_normal((IMAGES, SIDE, SIDE, 1)), rng.integers(0, CLASSES, IMAGES)) for _ in range(BATCHES)]
    return [made[step % BATCHES] for step in range(STEPS)]


def losses_of_torch(name):
    import torch
    from peers.torch_nets import NETS

    net = NETS[name](1, CLASSES)
    net(torch.zeros(2, 1, SIDE, SIDE))  # a lazy layer takes its size from here
    net = net.double()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = EPS.get(name, module.eps)
    parameters = list(net.parameters())
    with torch.no_grad():
        for parameter, array in zip(parameters, weights([tuple(p.shape) for p in parameters])):
            parameter.copy_(torch.from_numpy(array))
    optimizer, losses = torch.optim.SGD(parameters, **SGD), []
    for images, labels in batches():
        optimizer.zero_grad()
        x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        loss = torch.nn.functional.cross_entropy(net(x), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main():
    sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
    import torch

    torch.set_num_threads(1)
    np.savez(FILE, torch=np.array(torch.__version__), **{name: losses_of_torch(name) for name in FAMILIES})
    with np.load(FILE) as file:
        print(*(f"{name:16} {file[name][0]:.4f} -> {file[name][-1]:.4f}" for name in FAMILIES), sep="\n")


if __name__ == "__main__":
    main()
