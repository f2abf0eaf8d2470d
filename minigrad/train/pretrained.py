"""A run that begins from published weights."""

from ..command.errors import blaming_the_user
from ..interop.loading import check_options, fill, recognise


def begin_from(session, path):
    """Put a file's weights into a session's net, all but a last layer of another size. Notes for the screen.

    UsageError for a file that is refused, does not fit, or needs a net with other conventions.
    """
    with blaming_the_user(ValueError, OSError):
        source = recognise(path)
        check_options(session.model, source)
        loaded = fill(session.model, source, head=True)
    session.restore_average({}, {})
    fresh = f"; fresh: {', '.join(loaded.missing)}" if loaded.missing else ""
    return [f"begins from {path}{fresh}", *other_images(session, source)]


def other_images(session, source):
    """A note where the weights expect images that are normalised otherwise than this run's."""
    expected, ours = session.model.preprocessing, session.net_facts()
    if expected is None or (expected.channels in ("RGB", "L") and expected.scale == 1.0
                            and close(expected.mean, ours["mean"]) and close(expected.std, ours["std"])):  # fmt: skip
        return []
    return [f"these weights expect {expected}; this run's images have mean {ours['mean']} and std {ours['std']}"]


def close(a, b):
    return len(a) == len(b) and all(abs(x - y) < 0.03 for x, y in zip(a, b))
