"""What a picture of a graph shows and where: texts and places of boxes and lines, which SVG and Matplotlib draw."""

from dataclasses import dataclass

from .arrays import magnitude
from .diagram import folded
from .layered import layered

LINE, PAD, ASIDE = 16, 10, 10  # pixels; ASIDE: between two lines of a value that is used twice


@dataclass(frozen=True)
class Drawing:
    """boxes (see diagram.folded), by id texts [(text, kind)], sizes (w, h), centres; lines [(x, y)]; size (w, h)."""

    boxes: list
    texts: dict
    sizes: dict
    at: dict
    lines: list
    size: tuple


def drawing(trace, boxes, groups, grads):
    """The Drawing of a diagram's boxes in sight; grads: {node: the gradient that reached it}, where it is known."""
    shown = folded(boxes, groups)
    texts = {b["id"]: list(lines_of(b, trace, grads)) for b in shown}
    sizes = {i: (max(map(text_width, lines)) + 2 * PAD, len(lines) * LINE + PAD + 4) for i, lines in texts.items()}
    at, edges, size = layered(sizes, {b["id"]: list(dict.fromkeys(b["inputs"])) for b in shown})
    uses = {(a, b["id"]): b["inputs"].count(a) for b in shown for a in b["inputs"]}
    lines = [line for edge, points in edges.items() for line in side_by_side(points, uses[edge])]
    return Drawing(shown, texts, sizes, at, lines, size)


def side_by_side(points, count):
    """The same line `count` times."""
    for k in range(count):
        aside = (k - (count - 1) / 2) * ASIDE
        yield [(x + aside, y) for x, y in points]


def lines_of(box, trace, grads):
    """(text, kind) of what stands in a box."""
    yield f"{box['name']} = {box['label']}" if box["name"] else box["label"], "title"
    if box.get("folded"):
        yield f"{box['folded']} ops, folded", "muted"
        if box["numbers"]:
            yield f"{box['numbers']:,} parameters", "muted"
        return
    if box["fused"]:
        yield "fused", "muted"
    if box["path"]:
        yield box["place"], "muted"
    yield dims(box["shape"]), "muted"
    node = trace.order[int(box["id"])]
    if node in trace.value:
        yield f"value {magnitude(trace.value[node])}", "value"
    yield from gradient(node, grads)
    few = box["parameters"] if len(box["parameters"]) <= 4 else []
    for i, name, shape in few:
        yield f"{name} {dims(shape)}", "value"
        yield from gradient(trace.order[int(i)], grads)
    if box["numbers"]:
        yield f"{box['numbers']:,} parameters", "muted"


def gradient(node, grads):
    if node in grads:
        yield f"grad {magnitude(grads[node])}", "grad"


def dims(shape):
    return " × ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} numbers" if shape else "one number"


def text_width(line):
    text, kind = line
    return len(text) * (8.6 if kind == "title" else 7.3)
