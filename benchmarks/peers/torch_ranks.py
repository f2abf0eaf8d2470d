"""PyTorch in several processes: DistributedDataParallel over gloo."""

import os

import torch
from torch import distributed
from torch.nn import functional as F

from .torch import FORMATS
from .torch_nets import NETS


def connect():
    """Meet the others: the own rank."""
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size > 1:
        distributed.init_process_group("gloo", f"file://{os.environ['MEETING']}", rank=rank, world_size=size)
    return rank


def build(net, image, channels, classes, batch, threads, layout):
    """A step on this process's share of the batch."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    size = int(os.environ["WORLD_SIZE"])
    x, y = torch.randn(batch // size, channels, image, image), torch.randint(0, classes, (batch // size,))
    model = NETS[net](channels, classes)
    with torch.no_grad():
        model(x[:2])  # a lazy layer takes its size from here
    model, x = model.to(memory_format=FORMATS[layout]).train(), x.to(memory_format=FORMATS[layout])
    if size > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        return []

    return step
