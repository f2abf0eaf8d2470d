"""What a run leaves for people: its curves, which classes it takes for which, and a table of each."""

from ..command.files import write_atomically
from ..command.reference import short
from . import plot, report
from .log import going_on


def draw(session, result):
    """curves.png of all completed epochs; confusion.png and classes.csv of the last test, if there was one.

    A session without a directory, which another process writes, leaves nothing.
    """
    if session.directory is None:
        return
    config, history = session.config, session.progress.history
    title = f"{short(config.arch)} on {short(config.data)}"
    with going_on("the pictures"):
        if history:
            write_atomically(session.directory / "curves.png", plot.curves(history, title))
        if result is not None and result.confusion is not None:
            accuracy = f"{title}: test accuracy {result.accuracy:.2%} after epoch {len(history)}"
            names = class_names(session, len(result.confusion))
            write_atomically(session.directory / "classes.csv", report.csv(result.confusion, names).encode())
            picture = plot.confusion(result.confusion, names, accuracy)
            write_atomically(session.directory / "confusion.png", picture)


def class_names(session, number):
    """A name for each of so many classes."""
    train = session.datasets.train
    names = getattr(getattr(train, "dataset", train), "classes", None) or ()
    return [*names, *(f"class {i}" for i in range(len(names), number))]
