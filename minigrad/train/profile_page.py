"""The page of a profile: a flame graph, part over module over op, and a table of all; one file, without a server."""

from pathlib import Path

from ..explain.page import drawn


def page(spent, title, steps):
    """The HTML of {(part, module, op): [seconds, calls]} of so many steps."""
    data = dict(title=title, steps=steps, root=tree(spent))
    return drawn("Flame", f"profile of {title}", data, Path(__file__).parent / "static")


def tree(spent):
    """{name, seconds, calls, children}: a step, its parts, their modules from the outside in, and ops at the ends."""
    root = node("step")
    for (part, module, op), (seconds, calls) in spent.items():
        place = root
        place["seconds"] += seconds
        for name in (part, *filter(None, module.split(".")), *filter(None, [op and f"{op}()"])):
            place = place["children"].setdefault(name, node(name))
            place["seconds"] += seconds
        place["calls"] += calls
    return listed(root)


def node(name):
    return dict(name=name, seconds=0.0, calls=0, children={})


def listed(place):
    return {**place, "children": [listed(child) for child in place["children"].values()]}
