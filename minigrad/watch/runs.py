"""What the page shows of the runs in a directory. Each is read anew when one of its files is."""

import math
from pathlib import Path
from threading import Lock

import numpy as np

from ..command.errors import UsageError
from ..data import DataError
from ..explain.gradient_flow import gradient_flow
from ..film.first_images import of_run
from ..film.frames import loss
from ..interop import WeightsError
from ..predict import load
from ..runs import Run, found
from ..runs.reading import TIMES, lines_of

PICTURES = "curves.png", "confusion.png", "lr.png"
LAST = "last.safetensors"


class Scene:
    """Images and labels for `film.frames.loss`."""

    def __init__(self, images, labels):
        self.images, self.labels = np.asarray(images, np.float32), labels


class Runs:
    """The runs in a directory. A run's number is its place in the order of first sight, and stays."""

    def __init__(self, root):
        self.root, self.places, self.flows, self.lock = root, [], {}, Lock()

    def directory(self, number):
        """The directory of the run of this number; None: there is none."""
        self.look()
        return self.places[number] if number < len(self.places) else None

    def look(self):
        """Take up the runs that are new."""
        with self.lock:
            self.places += [place for place in found(self.root) if place not in self.places]

    def told(self):
        """[{number, name, settings, records, times, state, pictures}] of all runs that can be read."""
        self.look()
        return [told for number, place in enumerate(self.places) if (told := self.told_of(number, place))]

    def told_of(self, number, place):
        try:
            run, times = Run.read(place), lines_of(place / TIMES)
        except (UsageError, OSError, ValueError):
            return None  # being made, or gone
        name = place.relative_to(self.root).as_posix() if place != self.root else place.resolve().name
        return dict(
            number=number,
            name=name,
            settings=run.settings,
            records=run.records,
            times=times[-len(run.records) :] if run.records else [],
            state="over" if run.is_over() else state(place),
            pictures=[picture for picture in PICTURES if (place / picture).is_file()],
        )

    def flow(self, place):
        """{layers, rms, epoch} of the gradient of each weight at the last checkpoint, or {error}: why there is none."""
        try:
            stamp = (place / LAST).stat().st_mtime_ns
        except OSError:
            return dict(error="no checkpoint was written yet")
        with self.lock:
            if self.flows.get(place, (None,))[0] != stamp:
                self.flows[place] = stamp, flow_of(place)
            return self.flows[place][1]


def state(place):
    """running, stopped, or unfinished where the system doesn't tell which: is there a lock on the directory?

    It is looked up in /proc/locks. To try the lock could be in the way of a run that just starts.
    """
    try:
        mark = f":{place.stat().st_ino} "
        locks = Path("/proc/locks").read_text()
    except OSError:
        return "unfinished"
    return "running" if any("FLOCK" in line and mark in line for line in locks.splitlines()) else "stopped"


def flow_of(place):
    try:
        classifier = load(place / LAST)
        images, labels = of_run(place, classifier)
        net = classifier.net.eval()
        flow = gradient_flow(net, loss(net, Scene(images, labels)))
    except (WeightsError, DataError, UsageError, OSError, ValueError, KeyError) as error:
        return dict(error=str(error))
    return dict(
        layers=[layer.name for layer in flow.layers],
        rms=[layer.rms if math.isfinite(layer.rms) else None for layer in flow.layers],
    )
