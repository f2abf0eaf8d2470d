"""The three things that the command does: plan, test, train."""

import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace

from ..command.errors import OutputClosed, UsageError, blaming_the_user
from ..command.reference import is_reference
from ..command.screen import quietly, say
from ..data import BadImage, DataError, DataWarning
from ..distributed.group import Group
from . import checkpoint, plan, report
from .config import checked_all, read_toml
from .directory import CONFIG, locked_if_resumed, planned
from .errors import Diverged, Stopped
from .finder import find_lr
from .foreign import test_weights
from .loop import fit
from .pretrained import begin_from, from_checkpoint, from_weights
from .profiling import profile
from .recording import keep, recording
from .results import class_names, draw
from .session import Session, nothing_left
from .setup import chosen_device, kernels_in_force, products_in_force, set_up
from .together import check_device, check_together

ALONE = Group()


def run(command, group=ALONE):
    """Do what a Command asks for; the exit status. group: the processes that do it together."""
    check_together(command, group)
    with quietly(command.quiet or group.rank > 0), data_warnings_said(), resumed_directory(command, group):
        if command.evaluate and command.pretrained is not None:
            return test_weights(command)
        settings, saved, notes = load(command.resume) if command.resume is not None else ({}, None, ())
        setup, source = set_up(command, settings, saved and class_names_of(saved[1])), None
        check_device(setup.config, group)
        setup = replace(setup, group=group)
        if command.evaluate:  # a test counts all classes alike
            setup = replace(setup, config=replace(setup.config, class_weights=None))
        if saved:
            setup = replace(setup, conventions=from_checkpoint(saved[1]))
        if command.pretrained is not None:
            source, conventions = from_weights(command.pretrained, setup.config.arch)
            setup = replace(setup, conventions=conventions)
        device = chosen_device(setup.config, group)
        with kernels_in_force(setup.config), products_in_force(setup.config):
            session = Session(setup, device)
            if saved:
                session.restore(*saved)
            if source is not None:
                notes = begin_from(session, command.pretrained, source)
            if command.evaluate:
                say(*(plan.row("note", note) for note in notes))
                with session.compilation.watched():
                    return test(session, command.resume)
            say(*plan.describe(setup, session, device), *(plan.row("note", note) for note in notes))
            if command.find_lr:
                with session.compilation.watched(), blaming_the_user(DataError, OSError, MemoryError):
                    return find_lr(session, command)
            if command.profile:
                with session.compilation.watched(), blaming_the_user(DataError, OSError, MemoryError):
                    return profile(session, command)
            return show_directory(session, command) if command.plan else train(session, command)


def resumed_directory(command, group):
    """A lock on the directory that a run will go on in, from before its checkpoint is read, by the first process."""
    unlocked = command.evaluate or command.plan or group.rank
    return nullcontext() if unlocked else locked_if_resumed(command)


def load(path):
    """(settings, (arrays, facts), notes) of a checkpoint. UsageError if there is none, or of another version."""
    with blaming_the_user(checkpoint.CheckpointError):
        arrays, facts, path, damage = checkpoint.found(path)
    settings = facts.get("config")
    if not isinstance(settings, dict) or "progress" not in facts:
        raise UsageError(f"{path}: not a checkpoint of a training run: it has no table of settings, or no progress")
    settings = checked_all(settings, f"{path}, perhaps made by a newer version: ")
    damage = [f"{reason}: {path.name}, the one before it, is used" for reason in damage]
    return settings, (arrays, facts), [*damage, *edited(path.parent / CONFIG, settings)]


def class_names_of(facts):
    """The names of the classes that a checkpoint's net tells apart; None in those of earlier versions."""
    net = facts.get("net")
    names = net.get("classes") if isinstance(net, dict) else None
    return names if isinstance(names, list) and names and all(isinstance(name, str) for name in names) else None


@contextmanager
def data_warnings_said():
    """Within this block what the data layer warns of is a line of the command's, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        shown, said = warnings.showwarning, set()

        def show(message, category, *place):
            if not issubclass(category, DataWarning):
                shown(message, category, *place)
            elif str(message) not in said:
                said.add(str(message))
                say(plan.row("note", message))

        warnings.showwarning = show
        yield


def edited(path, settings):
    """Notes on where a run's config.toml differs from its checkpoint, which counts. UsageError as of read_toml."""
    if not path.is_file():
        return ()
    values = read_toml(path, str(path))
    differing = [n for n in {**values, **settings} if values.get(n) != settings.get(n)]
    found = [f"{name} {settings.get(name)} (in {path}: {values.get(name)})" for name in differing]
    return [f"as in the checkpoint: {', '.join(found)}; --config reads the file instead"] if found else ()


def show_directory(session, command):
    say(plan.row("run", f"would be written to {planned(session.config, command)}"))
    return 0


def test(session, path):
    """Print the accuracy on the test set."""
    try:
        result = session.test()
    except (DataError, OSError, MemoryError) as error:
        raise UsageError(f"{cause(error, session.config)}{advice(error, '; add')}") from error
    images = int(result.confusion.sum())
    top = f", top-5 {result.metrics['top5']:.2%}" if "top5" in result.metrics else ""
    counted = plan.count(images, "image")
    say(f"{path}: test accuracy {result.accuracy:.2%}{top}, loss {result.loss:.4f} ({counted})", always=True)
    return 0


def train(session, command):
    """Train to the end, or until a signal or numbers that are not finite end it; the exit status."""
    session.group.barrier()  # all have read what the first will write
    if session.is_over() and not (planned(session.config, command) / checkpoint.LAST).exists():
        put_in_place(session, command)
    if (why := nothing_left(session)) is not None:  # no mistake: a script may start a run again until it is through
        say(why, always=True)
        return 0
    session.share()
    with blaming_the_user(DataError, OSError, MemoryError), recording(session, command) as (log, request):
        return fit_or_stop(session, log, request)


def put_in_place(session, command):
    """Write the last checkpoint of a run that was killed when only this was left to do."""
    with blaming_the_user(OSError, MemoryError), recording(session, command):
        session.save()
        session.finish_saving()


def fit_or_stop(session, log, request):
    """Train, and say how it ended. However it ends, what was trained since the last checkpoint is saved first."""
    try:
        try:
            fit(session, log, request)
            return finish(session, log.last_result)
        except Stopped as stopped:
            session.save()
            session.finish_saving()
            return stop(session, stopped, log)
    except Diverged as diverged:
        return explain(session, diverged, log)
    except (DataError, OSError, MemoryError) as error:
        kept = saved_at(session)  # ends with a command line, which the advice makes longer
        added = advice(error, "" if kept else "; add")
        raise UsageError(f"{cause(error, session.config)}{kept}{added}") from error
    except BaseException:
        keep(session)
        raise


def saved_at(session):
    """'; stopped after ..., and saved', or nothing if it couldn't be."""
    if not keep(session):
        return ""
    return f"; stopped {plan.describe_progress(session)}, and saved: go on with {resume_line(session)}"


def cause(error, config):
    """What the error says; of a lack of memory also which settings take less."""
    if not isinstance(error, MemoryError):
        return str(error)
    less = f"a --batch-size below {config.batch_size}, made up for by --grad-accum"
    low = ", or --amp bf16" if config.device != "cpu" and config.amp == "none" else ""
    return f"{str(error).rstrip('.') or 'out of memory'}; try {less}{low}"


def advice(error, before):
    """What gets past an image that can't be decoded."""
    return f"{before} --skip-bad-images" if isinstance(error, BadImage) else ""


def resume_line(session):
    """The command that goes on with the run."""
    config = session.config
    own = [f" --{name} {value}" for name in ("arch", "data") if is_reference(value := getattr(config, name))]
    path = f" --data-path {config.data_path}" if config.data_path else ""
    return f"python -m minigrad.train --resume {session.directory}{''.join(own)}{path}"


def stop(session, stopped, log):
    draw(session, log.last_result)
    with suppress(OutputClosed):  # the terminal may be what was closed
        say(
            f"{stopped}: stopped {plan.describe_progress(session)}, and saved.",
            f"Go on with: {resume_line(session)}",
            always=True,
        )
    return stopped.status


def explain(session, diverged, log):
    draw(session, log.last_result)
    epoch = session.progress.epoch
    kept = f"The checkpoint of epoch {epoch} is kept in {session.directory}." if epoch else "No epoch was complete yet."
    say(
        f"Stopped: {diverged}.",
        f"{kept} Try a lower --lr, a longer --lr-warmup-epochs, or --clip-grad-norm 1.",
        always=True,
    )
    return 1


def finish(session, result):
    last, best = session.progress.history[-1], session.progress.best()
    top = f", top-5 {last['test_top5']:.2%}" if "test_top5" in last else ""
    early = session.progress.epoch < session.config.epochs
    patience = f"stopped early: {session.progress.epochs_since_best()} epochs without a better test accuracy"
    say("", *report.table(result.confusion, class_names(session, len(result.confusion))), "")
    say(
        *((patience,) if early else ()),
        f"test accuracy {last['test_accuracy']:.2%}{top}  "
        f"(best {best['test_accuracy']:.2%} after epoch {best['epoch']})",
        f"written to {session.directory}",
        always=True,
    )
    return 0
