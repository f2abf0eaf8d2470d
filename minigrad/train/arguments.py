"""The command line: flags made from Config's fields, and the few that say what to do rather than how."""

import argparse
from dataclasses import dataclass

from .. import recipes
from ..command.arguments import Parser
from ..command.errors import UsageError
from .config import FIELDS, checked_all, flag, is_text, kind, read_toml
from .suggest import nearest

EXAMPLES = """examples:
  python -m minigrad.train --arch densenet                          train on the embedded data
  python -m minigrad.train -a resnet20 --data cifar10 --download    on CIFAR-10, fetched once
  python -m minigrad.train -a vgg --plan                            what would it cost?
  python -m minigrad.train --resume runs/NAME                       go on where a run was stopped
  python -m minigrad.train --resume runs/NAME --evaluate            test accuracy of a run
  python -m minigrad.train --pretrained W.pth --evaluate --data cifar10    test accuracy of weights
"""
TESTING = frozenset((  # the settings that a test depends on
    "arch", "num_classes", "image_size", "data", "data_path", "download", "workers", "batch_size", "limit_test_batches",
    "skip_bad_images", "least_side", "tta", "device", "kernels", "threads",
))  # fmt: skip
VERBS = ("resume", "pretrained", "output_dir", "evaluate", "plan", "find_lr", "profile", "quiet", "config")
FILES = """files:
  runs/NET-DATA-TIME             a run: settings, metrics, curves, confusion matrix, checkpoints (--output-dir)
  ~/.cache/minigrad/kernels      compiled kernels, in $MINIGRAD_CACHE/kernels if that is set; may be deleted
  ~/.cache/minigrad/data         downloaded data, in $MINIGRAD_DATA if that is set (--data-path)
"""
METAVARS = {int: "N", float: "X", str: "NAME"}


@dataclass(frozen=True)
class Command:
    """What was asked for: the settings given by flags and by a file, and what to do with them."""

    flags: dict
    file: dict
    resume: str | None = None
    pretrained: str | None = None
    output_dir: str | None = None
    evaluate: bool = False
    plan: bool = False
    find_lr: bool = False
    profile: bool = False
    quiet: bool = False


def parser():
    """The parser, with the help in groups. Settings that are not given are absent from its result."""
    top = Parser(
        "train", "[option ...]", description="Train an image classifier.", epilog=f"{EXAMPLES}\n{FILES}",
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


class ListArchs(argparse.Action):
    """--list-archs: prints the nets, and ends."""

    def __call__(self, parser, namespace, values, option_string=None):
        import architectures  # not for --help, which must come at once

        print(f"families: {', '.join(architectures.families())}", *architectures.names(), sep="\n")
        parser.exit()


class ListRecipes(argparse.Action):
    """--list-recipes: prints the names for --recipe with the errors that they should give, and ends."""

    def __call__(self, parser, namespace, values, option_string=None):
        for name in recipes.names():
            print(name if (error := recipes.find(name).error) is None else f"{name:<40} error {error:5.2f} %")
        parser.exit()


def version():
    """minigrad's, as it was installed."""
    from importlib import metadata

    try:
        return metadata.version("minigrad")
    except metadata.PackageNotFoundError:  # run from its folder
        return "(not installed)"


def add_commands(group):
    group.add_argument("--plan", action="store_true", help="show parameters, MACs, memory and time; run nothing")
    group.add_argument("-e", "--evaluate", action="store_true", help="only test the net of --resume or --pretrained")
    group.add_argument("--resume", metavar="PATH", help="go on with this run (its directory or a checkpoint)")
    group.add_argument("--pretrained", metavar="FILE", help="begin from these weights (the last layer's may be fresh)")
    group.add_argument("--list-archs", action=ListArchs, nargs=0, help="list the nets")
    group.add_argument("--list-recipes", action=ListRecipes, nargs=0, help="list the names for --recipe")
    group.add_argument("--version", action="version", version=f"minigrad {version()}", help="say which this is")
    group.add_argument("--find-lr", action="store_true", help="try rising learning rates in a few steps, and draw them")
    group.add_argument("--profile", action="store_true", help="time layers and ops in a few steps, and draw them")
    group.add_argument("-q", "--quiet", action="store_true", help="say only how it ended, and what went wrong")
    group.add_argument("--config", metavar="FILE", help="TOML file of settings; flags beat it")
    group.add_argument("--output-dir", metavar="DIR", help="where to write the run (default: runs/ARCH-DATA-TIME)")


def add_setting(group, field):
    shown = "off" if field.default is False else field.metadata["shown"]
    text = f"{field.metadata['text']} (default: {shown})"
    names = (*field.metadata["flags"], flag(field.name))
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
    verbs = {name: known.pop(name) for name in VERBS if name in known}
    for name, value in verbs.items():
        if isinstance(value, str) and not is_text(value):
            raise UsageError(f"{flag(name)} must be UTF-8 text, and not empty; got {value!r}")
    file = verbs.pop("config", None)
    settings = checked_all(known)
    check_mode(verbs, settings)
    return Command(settings, read_toml(file) if file is not None else {}, **verbs)


def check_mode(verbs, settings):
    """UsageError for what is asked for together and makes no sense together."""
    if "pretrained" in verbs and "resume" in verbs:
        raise UsageError("--pretrained has no effect with --resume, whose weights are the checkpoint's")
    check_without_a_run(verbs)
    if not verbs.get("evaluate"):
        return
    if "resume" not in verbs and "pretrained" not in verbs:
        raise UsageError("--evaluate needs --resume PATH, the run to test, or --pretrained FILE, weights to test")
    for other in ("plan", "output_dir"):
        if other in verbs:
            raise UsageError(f"{flag(other)} has no effect with --evaluate, which only tests: leave one out")
    if "pretrained" in verbs and (idle := [name for name in ("num_classes", "image_size") if name in settings]):
        raise UsageError(f"{flag(idle[0])} has no effect with --evaluate --pretrained: the weights' own is used")
    if idle := [name for name in settings if not used_in_a_test(name, settings[name])]:
        raise UsageError(f"{flag(idle[0])} has no effect with --evaluate, which only tests")


def check_without_a_run(verbs):
    """UsageError for what has no effect where nothing is trained."""
    if "plan" in verbs and "quiet" in verbs:
        raise UsageError("--quiet has no effect with --plan, which only says what would be done: leave one out")
    for trial in ("find_lr", "profile"):
        for other in ("resume", "evaluate", "plan", "find_lr"):
            if trial in verbs and other in verbs and other != trial:
                raise UsageError(f"{flag(other)} has no effect with {flag(trial)}, which begins anew: leave one out")


def used_in_a_test(name, value):
    return value in ("tf32", "none") if name == "amp" else name in TESTING


def flags(top):
    return [flag for action in top._actions for flag in action.option_strings]
