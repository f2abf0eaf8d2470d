"""The command line: flags made from Config's fields, and the few that say what to do rather than how."""

import argparse
from dataclasses import dataclass

from .config import FIELDS, checked_all, kind, nearest, read_toml
from .errors import UsageError

EXAMPLES = """examples:
  python -m minigrad.train --arch densenet                          train on the embedded data
  python -m minigrad.train -a resnet20 --data cifar10 --download    on CIFAR-10, fetched once
  python -m minigrad.train -a vgg --plan                            what would it cost?
  python -m minigrad.train --resume runs/NAME                       go on where a run was stopped
  python -m minigrad.train --resume runs/NAME --evaluate            test accuracy of a run
"""
METAVARS = {int: "N", float: "X", str: "NAME"}


@dataclass(frozen=True)
class Command:
    """What was asked for: the settings given by flags and by a file, and what to do with them."""

    flags: dict
    file: dict
    resume: str | None = None
    output_dir: str | None = None
    evaluate: bool = False
    plan: bool = False


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are ours: one line."""

    def error(self, message):
        raise UsageError(message)


def parser():
    """The parser, with the help in groups. Settings that are not given are absent from its result."""
    top = Parser(
        prog="minigrad.train", usage="python -m minigrad.train [option ...]", description="Train an image classifier.",
        epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=110),
        argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    add_commands(top.add_argument_group("what to do (default: train)"))
    groups = {}
    for field in FIELDS.values():
        name = field.metadata["group"]
        groups[name] = groups.get(name) or top.add_argument_group(name)
        add_setting(groups[name], field)
    return top


def add_commands(group):
    group.add_argument("--plan", action="store_true", help="show parameters, MACs, memory and time; run nothing")
    group.add_argument("-e", "--evaluate", action="store_true", help="only test the net of --resume")
    group.add_argument("--resume", metavar="PATH", help="go on with this run (its directory or a checkpoint)")
    group.add_argument("--config", metavar="FILE", help="TOML file of settings; flags beat it")
    group.add_argument("--output-dir", metavar="DIR", help="where to write the run (default: runs/ARCH-DATA-TIME)")


def add_setting(group, field):
    shown = "off" if field.default is False else field.metadata["shown"]
    text = f"{field.metadata['text']} (default: {shown})"
    names = (*field.metadata["flags"], "--" + field.name.replace("_", "-"))
    if kind(field) is bool:
        group.add_argument(*names, action=argparse.BooleanOptionalAction, help=text)
    else:
        group.add_argument(*names, type=kind(field), metavar=METAVARS[kind(field)], dest=field.name, help=text)


def parse(argv=None):
    """The Command that these arguments ask for. UsageError for what makes no sense; --help prints and exits."""
    top = parser()
    known, unknown = top.parse_known_args(argv)
    if unknown:
        raise UsageError(f"unknown argument {unknown[0]}{nearest(unknown[0].partition('=')[0], flags(top))}")
    known = vars(known)
    file = known.pop("config", None)
    verbs = {name: known.pop(name) for name in ("resume", "output_dir", "evaluate", "plan") if name in known}
    if verbs.get("evaluate") and "resume" not in verbs:
        raise UsageError("--evaluate needs --resume PATH, the run to test")
    return Command(checked_all(known), read_toml(file) if file is not None else {}, **verbs)


def flags(top):
    return [flag for action in top._actions for flag in action.option_strings]
