"""--profile: where the time of a training step goes: to data, layers and ops, forward and backward, the optimizer."""

import time
from itertools import chain, count, islice
from operator import itemgetter

from ..command.errors import UsageError
from ..command.files import write_atomically
from ..command.screen import Bar, say
from ..explain.trace import parameter_names
from ..explain.watch import Places, watching
from .config import flag
from .directory import blaming_the_directory, planned
from .finder import stepped
from .profile_page import page

WARM_UP, STEPS = 3, 20
MOST = 12  # rows of a table on the screen; the page has all
DATA, FORWARD, BACKWARD, OPTIMIZER = PARTS = "data", "forward", "backward", "optimizer"


class Profile:
    """Seconds of steps, told apart by what was done.

    spent     {(part, module, op): [seconds, calls]}: part is one of PARTS, module a dotted path
    model     whose parameters' names tell to which module a gradient that comes to rest belongs
    finished  waits until all that was asked of the device is done
    clock     gives seconds

    What lies between two ops, Python's own work, counts to the later one. The watching itself is left out.
    """

    def __init__(self, model, finished, clock=time.perf_counter):
        self.spent, self.finished, self.clock, self.places = {}, finished, clock, Places()
        leaves = parameter_names([model], {p.node for p in model.parameters()})
        self.leaves = {node: name.rpartition(".")[0] for node, name in leaves.items()}
        self.modules, self.last = {}, clock()

    def restart(self):
        """Forget what was measured so far."""
        self.spent, self.last = {}, self.clock()

    def mark(self, part, module="", op=""):
        """What was done since the last mark was this."""
        self.finished()
        self.add(self.clock() - self.last, part, module, op)
        self.last = self.clock()

    def add(self, seconds, *key):
        entry = self.spent.setdefault(key, [0.0, 0])
        entry[0] += seconds
        entry[1] += 1

    def look(self, fn, inputs, settings, out):
        """For `watching`: an op of the forward pass is done."""
        self.finished()
        seconds, module = self.clock() - self.last, self.places.here().module
        if out.node is not None:
            self.modules[out.node] = module
        self.add(seconds, FORWARD, module, fn.__name__)
        self.last = self.clock()

    def backward(self, loss, grad=None):
        """In the place of Tensor.backward."""
        for node in map(itemgetter(0), loss.backward_steps(grad)):
            self.mark(BACKWARD, self.modules.get(node) or self.leaves.get(node, ""), node.name)
        self.modules.clear()

    def seconds(self, **wanted):
        """Of all entries with these values of part, module and op."""
        names = "part", "module", "op"
        entries = ((dict(zip(names, key)), value) for key, value in self.spent.items())
        return sum(seconds for key, (seconds, _) in entries if wanted.items() <= key.items())


def profile(session, command):
    """Measure steps of a session, whose net is of no use afterwards; print tables, write profile.html. Status 0."""
    for name in ("cuda_graph", "detect_anomaly"):
        if getattr(session.config, name):
            raise UsageError(f"{flag(name)} has no effect with --profile, which runs op by op: leave one out")
    found = measured(session)
    directory = planned(session.config, command)
    title = f"{session.config.arch}, {session.config.batch_size} images a step"
    with blaming_the_directory(directory):
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / "profile.html", page(found.spent, title, STEPS).encode())
    say(*tables(found), always=True)
    say(f"mean of {STEPS} steps, after {WARM_UP} to warm up; drawn in {directory / 'profile.html'}", always=True)
    return 0


def measured(session):
    """The Profile of some steps of a session, after a few that are not counted."""
    found = Profile(session.model, waiting_for(next(session.model.parameters()).device))
    batches = chain.from_iterable(session.labelled(session.loader.iterate(epoch)) for epoch in count())
    with Bar("profiling", WARM_UP + STEPS) as bar, watching(found.look):
        found.restart()
        for i, batch in enumerate(islice(batches, WARM_UP + STEPS)):
            found.mark(DATA)
            stepped(session, i, batch, backward=found.backward)
            found.mark(OPTIMIZER)
            if i + 1 == WARM_UP:
                found.restart()
            bar.update()
    return found


def waiting_for(device):
    """A function that waits until the device has done all that it was asked for."""
    if not hasattr(device.xp, "cuda"):  # the CPU has when the op returns
        return lambda: None
    return device.xp.cuda.get_current_stream().synchronize


def tables(found):
    """Lines: the parts of a step; the ops and the modules that take longest."""
    total = found.seconds()
    yield f"{'part':<28} {'ms/step':>9} {'share':>7}"
    yield from (f"{part:<28} {ms(s := found.seconds(part=part))} {s / total:>7.1%}" for part in PARTS)
    for kind in ("op", "module"):
        yield ""
        yield f"{kind:<28} {'forward':>9} {'backward':>9} {'share':>7}"
        names = {name for part, *names in found.spent if part in (FORWARD, BACKWARD) for name in [names[kind == "op"]]}
        rows = {name: [found.seconds(part=part, **{kind: name}) for part in (FORWARD, BACKWARD)] for name in names}
        for name in sorted(rows, key=lambda n: (-sum(rows[n]), n))[:MOST]:
            forward, backward = rows[name]
            yield f"{name or '(outside)':<28} {ms(forward)} {ms(backward)} {(forward + backward) / total:>7.1%}"


def ms(seconds):
    return f"{1000 * seconds / STEPS:>9.2f}"
