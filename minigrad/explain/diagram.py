"""A traced graph as plain data, which the page (in JavaScript) and the picture (in SVG) draw.

A box is an op, or a leaf that is nobody's parameter; the parameters of a layer are lines in the box of the op that uses
them. Boxes of one module form a group, which can be folded.
"""

import math

from ..autograd import Leaf

MANY = 24  # groups are opened, outermost first, while no more boxes than this are in sight (explorer.js does the same)


def diagram(trace, shapes=None):
    """{"boxes": [...], "groups": [...]} of a Trace; shapes {node: shape} where its values are unknown.

    box: id, label, name, path, place (the path and what stands there), group, fused (an op that stands for several?),
        shape, parameters [[id, name, shape]], numbers (of parameters), inputs (ids, one for each use)
    group: id (dotted path), label, parent ("" at the top), numbers
    Ids of nodes are their places in the order of the backward pass, so "0" is the loss.
    """
    ids = {node: str(i) for i, node in enumerate(trace.order)}
    lines = parameter_lines(trace)
    boxes = [box(trace, node, ids, lines, shapes or {}) for node in trace.order if node not in lines]
    return {"boxes": boxes, "groups": groups(boxes, trace.place)}


def parameter_lines(trace):
    """{leaf: its name} for the named parameters, which get no box of their own."""
    used = {p for node in trace.order for p in node.parents}
    return {node: name for node, name in trace.parameters.items() if isinstance(node, Leaf) and node in used}


def box(trace, node, ids, lines, shapes):
    def shape(n):
        return list(trace.shape(n) if trace.shape(n) is not None else shapes.get(n, ()))

    path = trace.path.get(node, "")
    own = [p for p in node.parents if p in lines]
    named = [[ids[p], lines[p].removeprefix(f"{path}." if path else ""), shape(p)] for p in own]
    inputs = [ids[p] for p in node.parents if p is not None and p not in lines]
    label = trace.label(node)
    return dict(
        id=ids[node],
        label=label,
        name=trace.name.get(node, "") if not isinstance(node, Leaf) else "",
        path=path,
        place=trace.place(path),
        fused=node in trace.fused,
        leaf=isinstance(node, Leaf),
        shape=shape(node),
        parameters=named,
        numbers=sum(math.prod(s) for _, _, s in named),
        inputs=inputs,
    )


def groups(boxes, place=str):
    """The modules that hold more than one box, outermost first; each box is told its innermost one.

    place: what a module is called, from its dotted path.
    """
    members = {}
    for b in boxes:
        for path in prefixes(b["path"]):
            members.setdefault(path, []).append(b)
    kept = {path: inside for path, inside in members.items() if len(inside) > 1}
    for path in [p for p in kept if len(kept[p]) == len(kept.get(p.rpartition(".")[0], ()))]:
        del kept[path]  # the same boxes as its parent
    for b in boxes:
        b["group"] = innermost(b["path"], kept)
    order = sorted(kept, key=lambda path: path.count("."))
    return [
        dict(
            id=path,
            label=place(path),
            parent=innermost(path.rpartition(".")[0], kept),
            numbers=sum(b["numbers"] for b in kept[path]),
        )
        for path in order
    ]


def prefixes(path):
    """a, a.b, a.b.c of a.b.c"""
    parts = path.split(".") if path else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def innermost(path, groups):
    return next((p for p in reversed(prefixes(path)) if p in groups), "")


def folded(boxes, groups):
    """The boxes in sight: those of open groups, and one box for each closed group, with `folded`: how many it hides."""
    parents, is_open = {g["id"]: g["parent"] for g in groups}, set()

    def stand_in(b):
        chain, path = [], b["group"]
        while path:
            chain.insert(0, path)
            path = parents[path]
        return next((path for path in chain if path not in is_open), b["id"])

    for g in groups:
        is_open.add(g["id"])
        if len({stand_in(b) for b in boxes}) > MANY:
            is_open.remove(g["id"])
    seen, hidden = {}, {g["id"]: dict(g, name="", path="", leaf=False, folded=0, inputs=[]) for g in groups}
    names = {b["id"]: stand_in(b) for b in boxes}
    for b in boxes:
        in_sight = seen.setdefault(names[b["id"]], {**hidden.get(names[b["id"]], b), "inputs": []})
        for i in b["inputs"]:
            alone = names[i] == i and in_sight["id"] == b["id"]  # two lines into a folded module are one
            if names[i] != in_sight["id"] and (alone or names[i] not in in_sight["inputs"]):
                in_sight["inputs"].append(names[i])
        if "folded" in in_sight:
            in_sight["folded"] += 1
    return sorted_by_use(list(seen.values()))


def sorted_by_use(boxes):
    """Boxes in an order in which each comes before its inputs."""
    by_id, done = {b["id"]: b for b in boxes}, {}

    def visit(b):
        stack = [(b, iter(b["inputs"]))]
        while stack:
            rest = stack[-1][1]
            following = next((i for i in rest if i not in done and all(i != s["id"] for s, _ in stack)), None)
            if following is None:
                done[stack.pop()[0]["id"]] = True
            else:
                stack.append((by_id[following], iter(by_id[following]["inputs"])))

    for b in boxes:
        if b["id"] not in done:
            visit(b)
    return [by_id[i] for i in reversed(done)]
