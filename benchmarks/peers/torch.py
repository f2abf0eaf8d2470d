"""PyTorch on the CPU, eager or by torch.compile."""

import torch
from torch.nn import functional as F

from .torch_nets import NETS

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def build(net, image, channels, classes, batch, mode, threads, layout, compiled=False):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = torch.randn(batch, channels, image, image)
    model = NETS[net](channels, classes)
    with torch.no_grad():
        model(x[:2])  # a lazy layer takes its size from here
    model = model.to(memory_format=FORMATS[layout]).train(mode == "train")
    x, y = x.to(memory_format=FORMATS[layout]), torch.randint(0, classes, (batch,))
    model = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)

    def train():
        optimizer.zero_grad(set_to_none=True)
        out = model(x)
        main, *auxiliary = out if isinstance(out, tuple) else (out,)
        (F.cross_entropy(main, y) + 0.3 * sum(F.cross_entropy(a, y) for a in auxiliary)).backward()
        optimizer.step()

    def forward():
        with torch.inference_mode():
            model(x)

    return train if mode == "train" else forward
