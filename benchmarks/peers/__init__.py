"""Who is measured. A peer is a module here with one function, as `minigrad.py` has it for ourselves:

    build(net, image, channels, classes, batch, mode, threads, **settings) -> step

step() runs one training step ("train") or one forward pass in evaluation mode ("forward") on the same batch each time,
and returns when it is done. Modules are imported in the processes that measure, never by the scripts. ValueError for
what a peer can't do.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """candidates: {name: (settings of build, environment variables)}, of which the fastest counts.

    nets: those that the module can build, large images first. hint: what to do where the package is missing.
    """

    nets: tuple
    candidates: dict
    hint: str


HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
TORCH = {
    "torch contiguous": ({"layout": "contiguous"}, {}),
    "torch channels last": ({"layout": "channels_last"}, {}),
    "torch contiguous, huge pages": ({"layout": "contiguous"}, HUGE_PAGES),
    "torch channels last, huge pages": ({"layout": "channels_last"}, HUGE_PAGES),
    "torch compiled": ({"layout": "channels_last", "compiled": True}, HUGE_PAGES),  # it chooses layouts itself
}
ENGINES = "in an environment that has minigrad"
STANDARD = (
    "vgg16", "alexnet_owt", "resnet18", "googlenet_torchvision", "resnet50", "densenet121", "resnet20",
    "densenet_bc_100_12",
)  # fmt: skip
SMALL = "densenet_small", "resnet20", "vgg_small_bn", "googlenet_small", "alexnet_small"  # what a default run trains
ALL = tuple(dict.fromkeys(STANDARD + SMALL))

PEERS = {
    "none": Peer(ALL, {}, ""),
    "op_by_op": Peer(ALL, {"op by op": ({}, {})}, ""),
    "torch": Peer(ALL, TORCH, "pip install torch"),
    "onnxruntime": Peer(ALL, {"onnxruntime": ({}, {})}, f"pip install onnxruntime onnx, {ENGINES}"),
    "openvino": Peer(ALL, {"openvino": ({}, {})}, f"pip install openvino onnx, {ENGINES}"),
    "tinygrad": Peer(("resnet20", "vgg_small_bn"), {"tinygrad": ({}, {})}, "pip install tinygrad (it needs clang)"),
    "mygrad": Peer(("vgg_small_bn",), {"mygrad": ({}, {})}, "pip install mygrad"),
    "chainer": Peer(
        ("resnet20", "vgg_small_bn"), {"chainer": ({}, {})}, "it needs numpy < 1.24: see benchmarks/README.md"
    ),
    "autocompyute": Peer((), {}, "it is not in the package index, so it was never measured"),
}


def explained(error):
    """The error's line, which begins with the module's name, and what to do if the peer is missing."""
    peer = PEERS.get(str(error).partition(":")[0].partition("_")[0])
    return f"{error}; {peer.hint}" if peer and "ModuleNotFoundError" in str(error) else str(error)
