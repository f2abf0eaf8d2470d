"""A picture of one training step in several processes: what each computed, and which messages were under way, when.

Drawn from what a GradientReducer tells its observer, on a clock that all processes of a machine share.
"""

COLOURS = {
    "forward": "#9ecae1", "backward": "#2a6f97", "copying gradients": "#e9c46a", "waiting": "#e5e5e5",
    "means, update": "#8ab17d", "messages": "#c0504d",
}  # fmt: skip
BAR, NARROW = 0.8, 12  # ms: narrower bars have their number beside them


def spans(events):
    """[(what, from, until, bucket or None)] of a process, on the clock of its events [(event, bucket, clock)]."""
    clock = {event: time for event, bucket, time in events if bucket is None}
    yield "forward", clock["start"], clock["begin"], None
    done, sent, last = clock["begin"], {}, clock["passed"]
    for event, bucket, time in events:
        if event == "complete":
            yield "backward" if done < clock["passed"] else "waiting", done, time, None
            done = time
        elif event == "sent":
            yield "copying gradients", done, time, None
            sent[bucket], done = time, time
        elif event == "arrived":
            yield "messages", sent[bucket], time, bucket
            last = max(last, time)
    if done < clock["passed"]:
        yield "backward", done, clock["passed"], None
    yield "waiting", max(done, clock["passed"]), last, None
    yield "means, update", last, clock["done"], None


def draw(events_of, title, path):
    """A picture with two lanes a process: what it computes, and its messages, a bar each with the bucket's number."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(10, 1.6 + 1.5 * len(events_of)), layout="constrained")
    axes, names = figure.subplots(), []
    zero = min(time for events in events_of for _, _, time in events)
    for rank, events in enumerate(events_of):
        top, free = len(names), []
        for what, start, end, bucket in spans(events):
            lane = top if bucket is None else top + 1 + row_for(free, start, end)
            width = 1000 * (end - start)
            axes.barh(
                lane, width, BAR, left=1000 * (start - zero), color=COLOURS[what], edgecolor="white", linewidth=0.4
            )
            if bucket is not None:
                place = 1000 * ((end if width < NARROW else start) - zero)
                axes.text(
                    place, lane, f" {bucket}", va="center", fontsize=6, color="black" if width < NARROW else "white"
                )
        names += [f"rank {rank}: computes", "messages", *[""] * (len(free) - 1)]
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    keys = [Patch(color=colour, label=what) for what, colour in COLOURS.items()]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


def row_for(free, start, end):
    """The first row whose last bar has ended; free: until when each is taken."""
    row = next((i for i, until in enumerate(free) if until <= start), len(free))
    free[row : row + 1] = [end]
    return row
