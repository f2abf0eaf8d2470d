"""Settings that train well: short ones for the embedded data, and those of the papers.

A configuration is built in layers: the recipe, then a resumed run, then the file, then the flags.
"""

from architectures.registry import find
from architectures.variant import SMALL

from .. import recipes
from ..command.errors import UsageError, blaming_the_user
from ..command.reference import is_reference
from .config import Config, flag

OPTIMIZERS = {
    "sgd": dict(lr=0.1, momentum=0.9, nesterov=False, weight_decay=5e-4),
    "adam": dict(lr=1e-3, weight_decay=0.0),
    "adamw": dict(lr=1e-3, weight_decay=0.01),
}
SCHEDULES = {
    "constant": {},
    "step": dict(lr_step_size=30, lr_gamma=0.1),
    "multistep": dict(lr_gamma=0.1),
    "cosine": {},
    "polynomial": {},
    "onecycle": {},
}
CHOICES = {"opt": OPTIMIZERS, "lr_scheduler": SCHEDULES}  # what is chosen, and the settings that then have an effect

COMMON = dict(batch_size=128, augment=True, opt="sgd", lr_scheduler="onecycle", label_smoothing=0.0)

# Short runs: a minute or two on two cores with 10,000 images of 28x28. So few epochs are better spent on the images as
# they are: DenseNet reaches 90.1 % in 5 epochs without crops and flips, 88.4 % in 6 with them.
SHORT = dict(augment=False, lr_warmup_epochs=2.0)
DEFAULT = {
    "lenet": dict(epochs=8, lr=0.05, **SHORT),
    "alexnet": dict(epochs=8, lr=0.03, **SHORT),
    "vgg": dict(epochs=6, lr=0.05, **SHORT),
    "googlenet": dict(epochs=5, lr=0.1, **SHORT),
    "resnet": dict(epochs=5, lr=0.1, nesterov=True, **SHORT),
    "densenet": dict(epochs=5, lr=0.1, nesterov=True, **SHORT),
}

PAPER_STEPS = dict(lr_scheduler="step", lr_warmup_epochs=0.0)
PAPER = {  # Krizhevsky 2012; Simonyan & Zisserman 2015; the known replica of Szegedy 2015; He 2016; Huang 2017
    "lenet": dict(epochs=20, lr=0.01, weight_decay=0.0, lr_scheduler="constant", lr_warmup_epochs=0.0, augment=False),
    "alexnet": dict(epochs=90, lr=0.01, lr_step_size=23, **PAPER_STEPS),
    "vgg": dict(epochs=74, lr=0.01, batch_size=256, lr_step_size=19, **PAPER_STEPS),
    "googlenet": dict(epochs=60, lr=0.01, weight_decay=2e-4, lr_step_size=8, lr_gamma=0.96, **PAPER_STEPS),
    "resnet": dict(epochs=90, lr=0.1, batch_size=256, weight_decay=1e-4, **PAPER_STEPS),
    "densenet": dict(epochs=90, lr=0.1, batch_size=256, weight_decay=1e-4, nesterov=True, **PAPER_STEPS),
}
MULTISTEP = dict(lr_scheduler="multistep", lr_warmup_epochs=0.0)
PAPER_SMALL = {  # what the same papers do for CIFAR
    "resnet": dict(epochs=164, lr=0.1, weight_decay=1e-4, **MULTISTEP),
    "densenet": dict(epochs=300, lr=0.1, batch_size=64, weight_decay=1e-4, nesterov=True, **MULTISTEP),
}
GENERAL = dict(epochs=10, lr=0.05, **SHORT)  # for a net whose family has no recipe of its own


def family(arch):
    """The family whose recipe a net uses: densenet_bc_40_12 -> densenet. None: it has none, the general one serves."""
    if is_reference(arch):
        return None
    with blaming_the_user(ValueError):
        return find(arch).family


def which_recipe(layers):
    """What --recipe is in force: that of the last of these layers to say it."""
    return next((layer["recipe"] for layer in reversed(layers) if "recipe" in layer), "default")


def named(layers):
    """{name: value} of the recipe in force, if it is one of minigrad.recipes; {} for the default one and a family's."""
    which = which_recipe(layers)
    if not recipes.is_named(which):
        return {}
    found = recipes.find(which)  # a run that was made with another version's says all of its settings itself
    return dict(found.settings) if which in (found.name, found.identity) else {}


def identified(which):
    """A recipe as a run notes it: a name with the checksum of what it says."""
    return recipes.find(which).identity if recipes.is_named(which) and "@" not in which else which


def check_current(layer):
    """UsageError for a recipe whose checksum is not that of this version's."""
    which = layer.get("recipe", "default")
    if "@" in which and which != recipes.find(which).identity:
        raise UsageError(f"--recipe {which}: this version's is {recipes.find(which).identity}")


def recipe(arch, image_size, which):
    """{name: value} of the recipe for a net and the side of its images."""
    base = {**COMMON, **OPTIMIZERS["sgd"], **SCHEDULES["onecycle"]}
    if recipes.is_named(which):
        return overlay({**base, "lr_warmup_epochs": 0.0}, named([{"recipe": which}]))
    name = family(arch)
    if which == "default":
        settings = DEFAULT.get(name, GENERAL)
    else:
        papers = {**PAPER, **(PAPER_SMALL if image_size <= SMALL else {})}
        if name not in papers:
            raise UsageError(f"--recipe paper: {arch} has no recipe of a paper")
        settings = papers[name]
    return overlay(base, settings)


def notes(config):
    """Sentences on where the settings are from: a recipe's source, what differs from it, and whether it needs a GPU."""
    if recipes.is_named(config.recipe):
        return tuple(of_named(recipes.find(config.recipe), config))
    if config.recipe == "paper" or family(config.arch) in DEFAULT or is_reference(config.arch):
        return ()
    return (f"{config.arch} has no recipe of its own: it trains with the general one",)


def of_named(found, config):
    yield f"{config.recipe}: {found.source}"
    yield from (f"unlike there: {what}" for what in found.differs)
    if found.gpu and config.device == "cpu":
        yield "this recipe needs a GPU (--device cuda): on two cores it takes more than a day"


def overlay(values, layer):
    """values with those of a layer that beats them.

    Choosing another optimizer or schedule drops what was set for the old one. UsageError for a setting of the layer
    that has no effect under the optimizer or schedule in force.
    """
    merged = {**values, **layer}
    for choice, table in CHOICES.items():
        chosen, details = merged[choice], set().union(*table.values())
        if idle := [name for name in layer if name in details and name not in table[chosen]]:
            raise UsageError(f"{flag(idle[0])} has no effect with {flag(choice)} {chosen}")
        if chosen != values[choice]:
            merged = {**table[chosen], **{n: v for n, v in merged.items() if n not in details or n in layer}}
    return merged


def merged(known, layers):
    """{name: value} of the recipe that fits `known` (arch, image_size, num_classes as resolved) and the layers."""
    which = which_recipe(layers)
    values = recipe(known["arch"], known["image_size"], which)
    for layer in layers:
        values = overlay(values, layer)
    if not any("lr_warmup_epochs" in layer for layer in layers):  # the recipe's own fits its own number of epochs
        values["lr_warmup_epochs"] = min(values["lr_warmup_epochs"], 0.4 * values["epochs"])
    return {**values, **known, "recipe": identified(which)}


def complete(known, layers):
    """The Config of a run. UsageError for settings that contradict each other."""
    return check_together(Config(**merged(known, layers)))


def check_together(config):
    """The same config. UsageError for settings that contradict each other."""
    if config.nesterov and not config.momentum:
        raise UsageError("--nesterov needs a --momentum above 0")
    if config.lr_warmup_epochs >= config.epochs:
        raise UsageError(f"--lr-warmup-epochs {config.lr_warmup_epochs:g} must be below --epochs {config.epochs}")
    if config.device != "cpu" and config.kernels == "cpu":
        raise UsageError(f"--kernels cpu can't run on --device {config.device}")
    if config.amp != "none" and (config.device == "cpu" or config.kernels == "reference"):
        raise UsageError(
            f"--amp {config.amp} needs a GPU (--device cuda): the CPU's kernels compute in float32 as it is"
        )
    if config.cuda_graph and config.device == "cpu":
        raise UsageError("--cuda-graph needs a GPU (--device cuda)")
    if config.cuda_graph and config.grad_accum > 1:
        raise UsageError("--grad-accum adds up several passes, of which --cuda-graph records one: choose one")
    if config.cuda_graph and config.detect_anomaly:
        raise UsageError("--detect-anomaly looks at each op, which --cuda-graph doesn't run one by one: choose one")
    return check_replay(config)


def check_replay(config):
    """The same config. UsageError for --replay beside what it can't be together with."""
    for asked, why in (
        (config.device != "cpu", "is for the CPU; on a GPU it is --cuda-graph"),
        (config.kernels == "reference", "replays compiled kernels; with --kernels reference there are none"),
        (config.grad_accum > 1, "replays one pass; --grad-accum adds up several"),
        (config.detect_anomaly, "runs no op by itself, as --detect-anomaly wants"),
    ):
        if config.replay and asked:
            raise UsageError(f"--replay {why}: leave one out")
    return config
