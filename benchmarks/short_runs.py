"""A short recipe on CIFAR-10, trained by minigrad and by PyTorch from the same weights, batches and rates.

    python benchmarks/short_runs.py --data-path DIR [--seeds 3] [--recipe practical/resnet20-cifar10-short]

PyTorch's net begins with minigrad's weights, and gets the batches that minigrad's loader makes (crops and flips done),
so that what differs is the arithmetic alone. In float32 the two drift apart after some hundred steps; their accuracies
should lie within each other's spread over seeds. A line for each seed, and one of the means.
"""

import argparse
import tempfile
from itertools import islice
from statistics import mean

import numpy as np
import torch
from peers.torch_nets import NETS

from minigrad.interop.layout import to_torch
from minigrad.runs import Run
from minigrad.train.__main__ import main as train
from minigrad.train.arguments import Command
from minigrad.train.config import checked_all
from minigrad.train.session import Session
from minigrad.train.setup import chosen_device, set_up


def accuracy_of_minigrad(settings):
    """Of the last epoch, in per cent."""
    flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    with tempfile.TemporaryDirectory() as place:
        assert train(["--output-dir", f"{place}/run", *flags]) == 0
        return 100 * Run.read(f"{place}/run").records[-1]["test_accuracy"]


def accuracy_of_torch(settings):
    setup = set_up(Command(checked_all(settings), {}), {})
    session, config = Session(setup, chosen_device(setup.config)), setup.config
    net = NETS[config.arch](session.datasets.channels, config.num_classes)
    with torch.no_grad():
        for theirs, ours in zip(net.parameters(), session.model.parameters(), strict=True):
            theirs.copy_(torch.from_numpy(to_torch(ours.numpy())))
    optimizer = torch.optim.SGD(
        net.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=config.nesterov
    )
    step = 0
    for epoch in range(config.epochs):
        net.train()
        for images, labels in islice(session.loader.iterate(epoch), session.steps):
            optimizer.param_groups[0]["lr"] = session.scheduler.schedule(step, config.lr)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(tensor(images)), torch.from_numpy(labels)).backward()
            optimizer.step()
            step += 1
    return tested(net.eval(), *session.parts.test_loader())


@torch.inference_mode()
def tested(net, loader, number):
    """Per cent of the test images that are named rightly."""
    right = [(net(tensor(x)).argmax(1).numpy() == labels) for x, labels in islice(loader.iterate(0), number)]
    return 100 * float(np.concatenate(right).mean())


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="practical/resnet20-cifar10-short")
    parser.add_argument("--data-path", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    asked = parser.parse_args()
    settings = dict(recipe=asked.recipe, data_path=asked.data_path) | ({"epochs": asked.epochs} if asked.epochs else {})
    found = []
    for seed in range(asked.seeds):
        found.append((accuracy_of_minigrad(settings | {"seed": seed}), accuracy_of_torch(settings | {"seed": seed})))
        print(f"seed {seed}: minigrad {found[-1][0]:.2f} %, PyTorch {found[-1][1]:.2f} %", flush=True)
    ours, theirs = zip(*found)
    print(f"mean of {asked.seeds}: minigrad {mean(ours):.2f} %, PyTorch {mean(theirs):.2f} %")


if __name__ == "__main__":
    main()
