"""What can be set. Each field of Config is a flag (--batch-size) and a key of the TOML file (batch_size) at once.

Flags beat the file, the file beats the recipe (see recipe.py), the recipe beats the defaults given here.
"""

import dataclasses
import json
import math
import tomllib
import types
import typing
from dataclasses import dataclass

from .. import recipes
from ..command.errors import UsageError, shortened
from .suggest import nearest

LARGEST_FILE = 1 << 20  # bytes of a file of settings
WHOLE = 2**63  # TOML's integers lie below


class Rule(typing.NamedTuple):
    """A condition on a value, and how to say it; names: gives those among which the nearest is suggested."""

    holds: typing.Callable
    text: str
    names: typing.Callable = tuple


COUNT = Rule(lambda v: v >= 1, "at least 1")
NOT_NEGATIVE = Rule(lambda v: 0 <= v < math.inf, "at least 0")
POSITIVE = Rule(lambda v: 0 < v < math.inf, "greater than 0")
FRACTION = Rule(lambda v: 0 <= v < 1, "from 0 to below 1")
DECAY = Rule(lambda v: 0 < v < 1, "between 0 and 1")


def is_text(value):
    """Can a file name, a TOML file and a terminal hold this string?"""
    try:
        return "\0" not in value and bool(value.encode())
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8
        return False


RANGES = {int: Rule(lambda v: abs(v) < WHOLE, "below 2^63"), str: Rule(is_text, "UTF-8 text, and not empty")}


def one_of(*names):
    return Rule(lambda v: v in names, f"one of {', '.join(names)}")


def setting(group, text, default=None, rule=None, flags=(), shown=None):
    """A field of Config: its group and text in the help, its check, its short flags, and how help names its default."""
    metadata = dict(group=group, text=text, rule=rule, flags=flags, shown=shown or default)
    return dataclasses.field(default=default, metadata=metadata)


RECIPE = "the recipe's"
RECIPES = Rule(
    lambda name: name in ("default", "paper") or recipes.is_named(name),
    "default, paper, or a name that --list-recipes prints",
    recipes.names,
)


@dataclass(frozen=True)
class Config:
    """All settings of a run. None: not set (the recipe decides, or the thing is off)."""

    arch: str = setting(
        "model", "net; or a family, which picks one by image size; or your own, FILE.py:NAME", "densenet", None, ("-a",)
    )
    num_classes: int | None = setting("model", "classes of the last layer", None, COUNT, (), "the data's")
    image_size: int | None = setting("model", "images are resized to this side", None, COUNT, (), "the data's")

    freeze: str | None = setting(
        "model", "layers that stay as they are, by name, * and commas: 'conv1,layer1.*'", None, None, (), "none"
    )

    data: str = setting("data", "data set, directory of images, or your own, FILE.py:NAME", "fashion-mnist-10k")
    data_path: str | None = setting(
        "data", "directory that holds it", None, None, (), "$MINIGRAD_DATA or ~/.cache/minigrad/data"
    )
    download: bool = setting("data", "download it where it is missing", False)
    skip_bad_images: bool = setting("data", "leave images out that can't be decoded, instead of stopping", False)
    least_side: int | None = setting(
        "data", "decode JPEGs smaller, as long as their shorter side keeps so many pixels", None, COUNT, (), "whole"
    )
    workers: int = setting("data", "threads that prepare batches; 0: none of their own", 1, NOT_NEGATIVE, ("-j",))
    batch_size: int | None = setting("data", "images in a step", None, COUNT, ("-b",), RECIPE)
    val_split: float | None = setting(
        "data", "share of the training images to test on instead of the test set", None, DECAY, (), "off"
    )
    grad_accum: int = setting(
        "data", "batches whose gradients make one step (less memory than a larger batch)", 1, COUNT
    )
    augment: bool | None = setting("data", "random crops and flips of training images", None, None, (), RECIPE)
    limit_train_batches: int | None = setting("data", "only this many batches an epoch", None, COUNT, (), "all")
    limit_test_batches: int | None = setting("data", "only this many batches in a test", None, COUNT, (), "all")

    recipe: str = setting(
        "optimizer", "gives what is not set: default (short runs), paper, or one of --list-recipes", "default", RECIPES
    )
    opt: str | None = setting("optimizer", "sgd, adam or adamw", None, one_of("sgd", "adam", "adamw"), (), RECIPE)
    lr: float | None = setting("optimizer", "highest learning rate", None, POSITIVE, (), RECIPE)
    momentum: float | None = setting("optimizer", "of sgd", None, FRACTION, (), RECIPE)
    nesterov: bool | None = setting("optimizer", "Nesterov's momentum for sgd", None, None, (), RECIPE)
    weight_decay: float | None = setting(
        "optimizer", "of weights (norms and biases too)", None, NOT_NEGATIVE, ("--wd",), RECIPE
    )
    clip_grad_norm: float | None = setting("optimizer", "largest norm of all gradients", None, POSITIVE, (), "off")

    epochs: int | None = setting("schedule", "passes over the training set", None, COUNT, (), RECIPE)
    patience: int | None = setting(
        "schedule", "stop after this many epochs without a better test accuracy", None, COUNT, (), "off"
    )
    lr_scheduler: str | None = setting(
        "schedule", "constant, step, multistep (at 1/2 and 3/4), cosine, polynomial or onecycle", None,
        one_of("constant", "step", "multistep", "cosine", "polynomial", "onecycle"), (), RECIPE,
    )  # fmt: skip
    lr_warmup_epochs: float | None = setting(
        "schedule", "epochs in which the rate rises at first", None, NOT_NEGATIVE, (), RECIPE
    )
    lr_step_size: int | None = setting("schedule", "step: epochs between drops", None, COUNT, (), RECIPE)
    lr_gamma: float | None = setting("schedule", "step and multistep: factor of a drop", None, DECAY, (), RECIPE)

    label_smoothing: float | None = setting(
        "regularising", "share of the target spread over all classes", None, FRACTION, (), RECIPE
    )
    class_weights: str | None = setting(
        "regularising",
        "what each class counts in training: balanced, or numbers by commas",
        None,
        None,
        (),
        "all the same",
    )
    mixup_alpha: float | None = setting("regularising", "mixup's alpha", None, POSITIVE, (), "off")
    cutmix_alpha: float | None = setting(
        "regularising", "cutmix's alpha; with mixup, each batch gets one of the two", None, POSITIVE, (), "off"
    )
    model_ema: float | None = setting(
        "regularising", "test a running mean of the weights with this decay", None, DECAY, (), "off"
    )

    device: str = setting("run", "cpu, cuda, or cuda:1 for the second GPU", "cpu")
    kernels: str | None = setting(
        "run", "cpu (compiled) or reference (plain array code)", None, one_of("cpu", "reference"), (), "the device's"
    )
    amp: str = setting(
        "run", "mixed precision: bf16 or fp16 (16-bit products, float32 weights), tf32, none", "none",
        one_of("bf16", "fp16", "tf32", "none"),
    )  # fmt: skip
    replay: bool | None = setting(
        "run", "on the CPU, replay the passes of a step without Python's part: the same bits sooner", None, None, (),
        "on for minigrad's own nets and losses",
    )  # fmt: skip
    cuda_graph: bool = setting("run", "replay each training step as one CUDA graph", False)
    threads: int | None = setting(
        "run", "threads of kernels and BLAS", None, COUNT, (), "$MINIGRAD_NUM_THREADS or all cores"
    )
    seed: int = setting("run", "of weights, data order, augmentation and dropout", 0, NOT_NEGATIVE)
    detect_anomaly: bool = setting("run", "stop at the first op that gives a NaN or an infinity (slow)", False)
    checkpoint_steps: int | None = setting(
        "run", "save after each N steps, too, not only after each epoch", None, COUNT, (), "off"
    )
    checkpoint_minutes: float | None = setting(
        "run", "save when this many minutes have passed since the last time", None, POSITIVE, (), "off"
    )
    keep_last: int | None = setting(
        "run", "keep the checkpoints of this many epochs, as epoch-N.safetensors", None, COUNT, (), "off"
    )
    tta: bool = setting("run", "test on each image and its mirror image, the scores averaged", False)
    tensorboard: bool = setting("run", "write the numbers of each epoch for TensorBoard, too", False)
    print_freq: int = setting("run", "steps between updates of the progress bar's numbers", 10, COUNT)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def flag(name):
    """batch_size -> --batch-size"""
    return "--" + name.replace("_", "-")


def kind(field):
    """The type of a field's value, None aside: int | None -> int."""
    if isinstance(field.type, types.UnionType):
        return next(t for t in typing.get_args(field.type) if t is not type(None))
    return field.type


def checked(name, value, where=""):
    """The value in its field's type. UsageError, naming field, value and rule, for one that is not allowed.

    where: the file that says so, whose key is named; '': the command line, whose flag is.
    """
    field, wanted, named = FIELDS[name], kind(FIELDS[name]), f"{where}{name}" if where else flag(name)
    if wanted is float and type(value) is int and abs(value) < WHOLE:
        value = float(value)
    if type(value) is not wanted:
        raise UsageError(f"{named} must be a value of type {wanted.__name__}; got {shortened(repr(value))}")
    for rule in (field.metadata["rule"], RANGES.get(wanted)):
        if rule is not None and not rule.holds(value):
            near = nearest(str(value), rule.names())
            raise UsageError(f"{named} must be {rule.text}; got {shortened(str(value))}{near}")
    return value


def checked_all(values, where=""):
    """Every {name: value} checked; names that are no settings are refused."""
    for name in values:
        if name not in FIELDS:
            raise UsageError(f"{where}unknown setting {name!r}{nearest(name, FIELDS)}")
    return {name: checked(name, value, where) for name, value in values.items()}


def read_toml(path, named=None):
    """{name: value} of a TOML file. UsageError, naming the file, if it can't be read or holds what is not allowed.

    named: how errors name it; None: as the value of --config.
    """
    from ..data import foreign  # not for --help, which must come at once

    named = named or f"--config {path}"
    try:
        values = tomllib.loads(foreign.read_bytes(path, LARGEST_FILE).decode("utf-8"))
    except foreign.DataError as error:
        reason = str(error).removeprefix(f"{foreign.shown(path)}: ").removeprefix("cannot read: ")
        raise UsageError(f"{named}: {reason}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of 5,000 digits; brackets without end
        raise UsageError(f"{named}: not a TOML file: {error}") from error
    return checked_all(values, f"{path}: ")


def to_dict(config):
    """{name: value} of what is set."""
    return {name: value for name, value in dataclasses.asdict(config).items() if value is not None}


def to_toml(config):
    """The text of a TOML file from which read_toml gives the same settings. (Unset keys are left out.)"""
    lines, group = [], None
    for name, value in to_dict(config).items():
        if FIELDS[name].metadata["group"] != group:
            group = FIELDS[name].metadata["group"]
            lines.append(f"\n# {group}")
        text = json.dumps(value, ensure_ascii=False)  # in JSON as in TOML, which allows no DEL
        lines.append(f"{name} = {text}".replace("\x7f", "\\u007f"))
    return "\n".join(lines).lstrip() + "\n"
