"""grad: gradients of some tensors with respect to others, as a result rather than in .grad."""

from contextlib import contextmanager

from .autograd import Leaf, Node, backward_steps, toposort
from .tensor import Tensor


def grad(outputs, inputs, grad_outputs=None, retain_graph=False, create_graph=False, allow_unused=False):
    """The gradients of outputs (their sum, if several) with respect to each input, as a tuple of arrays.

    outputs, inputs   a tensor or several; inputs may be leaves or what ops made. No tensor's .grad is changed
    grad_outputs      dL/d(each output), as Tensor.backward takes it; None: each output is a single number, then 1
    retain_graph      keep what the nodes saved, so that another backward pass can run
    create_graph      must be False: gradients are arrays, so there is no double backward
    allow_unused      None for an input that the outputs don't depend on, instead of an error

    NotImplementedError for create_graph; RuntimeError for an input without requires_grad, or one that is not used.
    """
    if create_graph:
        raise NotImplementedError("grad: create_graph=True needs double backward, which minigrad does not have")
    outputs, inputs = several(outputs), several(inputs)
    seeds = (None,) * len(outputs) if grad_outputs is None else several(grad_outputs)
    if len(seeds) != len(outputs):
        raise ValueError(f"grad: grad_outputs must be one for each output; got {len(seeds)} for {len(outputs)}")
    check_tracked(inputs)
    root = joined(outputs, seeds)
    reached = collected(root, [t.node for t in inputs], retain_graph)
    found = tuple(reached.get(t.node) for t in inputs)
    if not allow_unused and any(g is None for g in found):
        number = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(f"grad: outputs don't depend on input {number}; allow_unused=True gives None for it")
    return found


def several(tensors):
    return (tensors,) if isinstance(tensors, Tensor) or hasattr(tensors, "strides") else tuple(tensors)


def check_tracked(inputs):
    for i, t in enumerate(inputs):
        if t.node is None:
            raise RuntimeError(f"grad: input {i} does not require a gradient")


def joined(outputs, seeds):
    """A node above all outputs, which sends each its seed."""
    parents = tuple(t._root() for t in outputs)
    seeds = tuple(t._seed(s) for t, s in zip(outputs, seeds))
    return Node("grad", parents, lambda dy: seeds)


def collected(root, nodes, retain_graph):
    """{node: the gradient that reached it, a copy} for those of the nodes that it reached."""
    with leaves_left_alone(root):
        steps = backward_steps(root, None, retain_graph)
        return {step.node: step.dy.copy() for step in steps if step.node in nodes}


@contextmanager
def leaves_left_alone(root):
    """What gathers in the leaves' .grad in this block is dropped at its end, and what was there before put back."""
    kept = {node: node.grad for node in toposort(root) if isinstance(node, Leaf)}
    for leaf in kept:
        leaf.grad = None
    try:
        yield
    finally:
        for leaf, before in kept.items():
            leaf.grad = before
