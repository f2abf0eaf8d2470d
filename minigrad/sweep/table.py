"""The table at the end of a sweep: seeds taken together, the best first."""

from statistics import mean, stdev

SEED = "seed"


def grouped(axes, done):
    """[(values, [Run or None])] of the combinations without their seeds, that with the highest mean accuracy first."""
    names, groups = [name for name in axes if name != SEED], {}
    for chosen, run in done:
        groups.setdefault(tuple(chosen[name] for name in names), []).append(run)
    return sorted(groups.items(), key=lambda group: -mean(accuracies(group[1]) or [-1.0]))


def accuracies(runs):
    """Test accuracies after the last epochs, in per cent, of the runs that came to their end."""
    return [100 * run.records[-1]["test_accuracy"] for run in runs if run is not None]


def table(axes, done):
    """Lines."""
    names = [name for name in axes if name != SEED]
    rows = [[*names, "runs", "test accuracy, %", "best epoch, %"]]
    for values, runs in grouped(axes, done):
        rows.append([*values, counted(runs), around(accuracies(runs)), around(bests(runs))])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]


def counted(runs):
    failed = sum(run is None for run in runs)
    return f"{len(runs)}" + (f", {failed} diverged" if failed else "")


def bests(runs):
    return [100 * max(record["test_accuracy"] for record in run.records) for run in runs if run is not None]


def around(values):
    """The mean, and the standard deviation where there are several."""
    if not values:
        return "-"
    return f"{mean(values):.2f}" + (f" +- {stdev(values):.2f}" if len(values) > 1 else "")


def csv(axes, done):
    """A line for each run, in the order in which they were made; empty numbers where it diverged."""
    lines = [",".join((*axes, "test_accuracy", "test_loss"))]
    for chosen, run in done:
        record = {} if run is None else run.records[-1]
        numbers = (str(record.get(name, "")) for name in ("test_accuracy", "test_loss"))
        lines.append(",".join((*chosen.values(), *numbers)))
    return "\n".join(lines) + "\n"
