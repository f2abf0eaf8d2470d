"""A run that begins from published weights: with the net that they need, on images as they expect them."""

import json
from typing import NamedTuple

import numpy as np

from architectures.pretrained import options_for

from ..command.errors import blaming_the_user
from ..command.reference import is_reference
from ..data.transforms import Compose, Normalize
from ..interop.loading import check_options, fill, recognise


class Conventions(NamedTuple):
    """What a run took over from its weights.

    options     of architectures.create, without which the net would compute something else
    mean, std   of each channel, of bytes scaled to [0, 1], in the net's order; None: the data set's
    order       of three channels: "RGB" or "BGR"
    """

    options: dict = {}  # noqa: RUF012
    mean: tuple | None = None
    std: tuple | None = None
    order: str = "RGB"

    def transforms(self, usual):
        """The data set's usual transforms, the last of which normalises; else with this normalisation in its place."""
        if self.mean is None:
            return usual
        turned = [reversed_channels] if self.order == "BGR" else []
        return Compose([*usual.transforms[:-1], *turned, Normalize(self.mean, self.std)])

    def to_facts(self):
        """What a checkpoint keeps of it."""
        expected = {} if self.mean is None else {"mean": list(self.mean), "std": list(self.std), "order": self.order}
        return {"options": self.options} | expected


USUAL = Conventions()  # those of a run that begins from nothing


def reversed_channels(image, rng):
    """RGB <-> BGR"""
    return np.ascontiguousarray(image[..., ::-1])


def from_weights(path, arch):
    """(Source, Conventions) of a file for a net. UsageError for a file that is refused."""
    with blaming_the_user(ValueError, OSError):
        source = recognise(path)
        if is_reference(arch):
            return source, USUAL
        if (facts := checkpoint_facts(source.contents)) is not None:
            return source, with_images(from_checkpoint(facts), facts)
        options, expected = options_for(arch, source), source.preprocessing
    if expected is None:
        return source, Conventions(options)
    mean, std = (tuple(value / expected.scale for value in values) for values in (expected.mean, expected.std))
    return source, Conventions(options, mean, std, "BGR" if expected.channels == "BGR" else "RGB")


def checkpoint_facts(contents):
    """What a checkpoint of this command says beside the weights; None for other files."""
    text = contents.facts.get("metadata", {}).get("minigrad")
    return None if text is None else json.loads(text)


def with_images(conventions, facts):
    """The conventions with the mean and std of the images that a checkpoint's net has seen."""
    net = facts.get("net") or {}
    return conventions._replace(mean=tuple(net["mean"]), std=tuple(net["std"])) if "mean" in net else conventions


def from_checkpoint(facts):
    """The Conventions that a checkpoint's facts tell of."""
    net = facts.get("net") if isinstance(facts.get("net"), dict) else {}
    if "order" not in net:  # mean and std are the data set's
        return Conventions(net.get("options", {}))
    return Conventions(net.get("options", {}), tuple(net["mean"]), tuple(net["std"]), net["order"])


def begin_from(session, path, source):
    """Put a file's weights into a session's net, all but a last layer of another size. Notes for the screen.

    UsageError for a file that does not fit, or needs a net with other conventions.
    """
    with blaming_the_user(ValueError, OSError):
        check_options(session.model, source)
        loaded = fill(session.model, source, head=True)
    session.restore_average({}, {})
    fresh = f"; fresh: {', '.join(loaded.missing)}" if loaded.missing else ""
    return [f"begins from {path}{fresh}", *said(session.parts.setup.conventions)]


def said(conventions):
    """What was taken over, a note each."""
    if conventions.options:
        yield f"as these weights need it: {', '.join(f'{n}={v!r}' for n, v in conventions.options.items())}"
    if conventions.mean is not None:
        mean, std = (" ".join(f"{value:.3g}" for value in values) for values in (conventions.mean, conventions.std))
        yield f"images as these weights expect them: {conventions.order}, mean {mean}, std {std} of bytes as [0, 1]"
