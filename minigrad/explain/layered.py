"""Places for the boxes of a picture that is drawn without a browser: layers from inputs to the loss, few crossings.

Sugiyama, Tagawa & Toda (1981): give each box a layer below its inputs, let edges that pass layers hold a place in each,
order every layer by the mean place of its neighbours, then move boxes towards their neighbours without overlap.
"""

from itertools import pairwise

GAP_X, GAP_Y, MARGIN, EDGE = 24, 36, 14, 12


class Spot:
    """A box, or the place that a long edge holds in a layer."""

    def __init__(self, width, height):
        self.width, self.height, self.x, self.y, self.above, self.below = width, height, 0.0, 0.0, [], []


def layered(sizes, inputs):
    """({id: (x, y) of its centre}, {(input, id): [points]}, (width, height)) of a picture.

    sizes {id: (width, height)}, inputs {id: [ids]}; ids in an order in which inputs come after their users.
    """
    ranks = ranked(sizes, inputs)
    spots = {i: Spot(*size) for i, size in sizes.items()}
    layers = [[] for _ in range(max(ranks.values()) + 1)]
    for i, spot in reversed(spots.items()):  # branches in the order in which they ran
        layers[ranks[i]].append(spot)
    chains = {(a, b): chain(spots[a], spots[b], layers[ranks[a] + 1 : ranks[b]]) for b in sizes for a in inputs[b]}
    order(layers)
    width, height = place(layers)
    lines = {edge: route(spots) for edge, spots in chains.items()}
    return {i: (s.x, s.y) for i, s in spots.items()}, lines, (width, height)


def ranked(sizes, inputs):
    """{id: layer}: below all inputs; what has no inputs stands right above its first user."""
    ranks, users = {}, {i: [] for i in sizes}
    for i in reversed(list(sizes)):
        ranks[i] = max((ranks[a] + 1 for a in inputs[i]), default=0)  # (folding may close a cycle)
        for a in inputs[i]:
            users[a].append(i)
    for i in sizes:
        if not inputs[i] and users[i]:
            ranks[i] = min(ranks[u] for u in users[i]) - 1
    return ranks


def chain(start, end, between):
    """The spots of one edge, with new ones in the layers that it passes."""
    spots = [start, *(Spot(EDGE, 0) for _ in between), end]
    for layer, spot in zip(between, spots[1:]):
        layer.append(spot)
    for a, b in pairwise(spots):
        a.below.append(b)
        b.above.append(a)
    return spots


def order(layers, sweeps=6):
    for _ in range(sweeps):
        for sweep, side in ((layers, "above"), (reversed(layers), "below")):
            for layer in sweep:
                where = {id(s): i for i, s in enumerate(layer)}
                layer.sort(key=lambda s, side=side, where=where: mean_of([n.x for n in getattr(s, side)], where[id(s)]))
                for i, spot in enumerate(layer):
                    spot.x = i - len(layer) / 2


def mean_of(values, default):
    return sum(values) / len(values) if values else default


def place(layers, sweeps=8):
    """Set x and y of all spots; the size of the picture."""
    for layer in layers:
        spread(layer, [0.0] * len(layer))
    for _ in range(sweeps):
        for sweep, side in ((layers[1:], "above"), (layers[-2::-1], "below"), (layers, "")):
            for layer in sweep:
                spread(layer, [mean_of([n.x for n in near(s, side)], s.x) for s in layer])
    left = min(s.x - s.width / 2 for layer in layers for s in layer) - MARGIN
    y = MARGIN
    for layer in layers:
        tall = max(s.height for s in layer)
        for s in layer:
            s.x, s.y = s.x - left, y + tall / 2
        y += tall + GAP_Y
    return max(s.x + s.width / 2 for layer in layers for s in layer) + MARGIN, y - GAP_Y + MARGIN


def near(spot, side):
    return getattr(spot, side) if side else spot.above + spot.below


def spread(layer, wanted):
    """Spots at their wanted x, pushed apart where they would touch: the mean of pushing from the left and right."""
    ways = []
    for sign in (1, -1):
        spots, targets = layer[::sign], wanted[::sign]
        xs = []
        for i, (spot, x) in enumerate(zip(spots, targets)):
            if i:
                gap = (spots[i - 1].width + spot.width) / 2 + GAP_X
                x = max(x * sign, xs[-1] * sign + gap) * sign
            xs.append(x)
        ways.append(xs[::sign])
    for spot, a, b in zip(layer, *ways):
        spot.x = (a + b) / 2


def route(spots):
    """The points of an edge: out of the bottom of its first box, through its places, into the top of its last."""
    first, *middle, last = spots
    ends = (first.x, first.y + first.height / 2), (last.x, last.y - last.height / 2)
    return [ends[0], *((s.x, s.y) for s in middle), ends[1]]
