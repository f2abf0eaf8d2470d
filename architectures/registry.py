"""From a name to a net: one dict of all variants, family names that choose among them, and `create`."""

import difflib
import inspect

from kernels.virtual import VirtualKernels
from minigrad.device import use_kernels
from minigrad.ops.checks import pair

from . import adapted, alexnet, densenet, googlenet, inception_v4, lenet, resnet, vgg
from .variant import SMALL, Made, initialise

MODULES = {  # file: the family whose settings its nets train with
    lenet: "lenet", alexnet: "alexnet", vgg: "vgg", googlenet: "googlenet", inception_v4: "googlenet", resnet: "resnet",
    densenet: "densenet",
}  # fmt: skip
VARIANTS = {
    name: variant._replace(family=family)
    for module, family in MODULES.items()
    for name, variant in module.VARIANTS.items()
}

# family: (net for small images, net for large ones, why the small one is small)
FAMILIES = {
    "alexnet": ("alexnet_small", "alexnet_owt", "five convolutions of stride 1, made for 32x32"),
    "vgg": ("vgg_small_bn", "vgg16_bn", "four groups of 3x3 convolutions, made for 32x32"),
    "googlenet": ("googlenet_small", "googlenet_torchvision", "four inception modules, made for 32x32"),
    "resnet": ("resnet20", "resnet50", "3x3 stem and three stages, made for 32x32"),
    "densenet": ("densenet_small", "densenet121", "3x3 stem and three blocks, made for 32x32"),
}


def names():
    """The names of all nets, in the order of their history. `create` takes these, the families, and parsed names."""
    return tuple(VARIANTS)


def families():
    """The names that choose a net by image size."""
    return tuple(FAMILIES)


def find(name):
    """The Variant of that full name. ValueError, with the nearest names, if there is none."""
    found = VARIANTS.get(name) or parsed(name)
    if found is None:
        near = difflib.get_close_matches(name.partition(".")[0], (*FAMILIES, *VARIANTS), n=4, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"families: {', '.join(FAMILIES)}"
        raise ValueError(f"unknown architecture {name!r}; {hint}")
    return found


def parsed(name):
    """The Variant of a name that says its own numbers, such as densenet_bc_40_12; None for other names."""
    for module, family in MODULES.items():
        variant = module.parse(name) if hasattr(module, "parse") else None
        if variant is not None:
            return variant._replace(family=family)
    return None


def register(name, variant):
    """Make a net of your own known by a name. ValueError if there is one of that name already.

    architectures.register("mynet", Variant(build=mynet, recipe=Recipe(conv=he_in, linear=normal_01)))
    """
    if name in VARIANTS or name in FAMILIES or parsed(name):
        raise ValueError(f"register: there is an architecture {name!r} already")
    VARIANTS[name] = variant


def resolve(name, image_size=None):
    """(full name, why in one line): a family name becomes the variant that suits the image size, others stay.

    image_size: an int or an (H, W) pair; None means large. ValueError for an unknown name.
    """
    if name not in FAMILIES:
        find(name)
        return name, "named in full"
    small, large, why = FAMILIES[name]
    if image_size is None:
        return large, "the family's standard net for large images"
    h, w = pair("resolve", "image_size", image_size, 1)
    if max(h, w) <= SMALL:
        return small, f"images of {h}x{w} are at most {SMALL} pixels a side: {why}"
    return large, f"images of {h}x{w} are larger than {SMALL} pixels a side: the family's standard net"


def fresh(name, num_classes=None, image_size=None, in_channels=None, seed=0, **options):
    """A net by name with initial weights, the same for the same seed. See create in pretrained.py."""
    net = made(name, num_classes, image_size, in_channels, **options)
    return initialise(net, find(net.made.name).recipe, seed)


def outline(name, num_classes=None, image_size=None, in_channels=None, **options):
    """A net by name whose weights have shapes, but take no memory: for a look at what it would be."""
    with use_kernels(VirtualKernels()):
        return made(name, num_classes, image_size, in_channels, **options)


def made(name, num_classes, image_size, in_channels, **options):
    """A net by name with the weights that its layers give themselves."""
    name = resolve(name, image_size)[0]
    variant = find(name)
    hw = pair(name, "image_size", variant.image_size if image_size is None else image_size, 1)
    if min(hw) < variant.least:
        raise ValueError(f"{name}: images must be at least {variant.least}x{variant.least}; got {hw[0]}x{hw[1]}")
    classes = variant.num_classes if num_classes is None else num_classes
    channels = variant.in_channels if in_channels is None else in_channels
    net = adapted.adapt(name, *build(name, variant, classes, channels, hw, options))
    net.made = Made(name, classes, channels, hw, options, {**defaults(variant), **options})
    return net


def build(name, variant, num_classes, in_channels, image_size, options):
    """(net, options left over): the variant's builder with those of the settings that it takes.

    ValueError for an option that neither it nor `adapted` takes, and for a switch that is neither on nor off.
    """
    settings = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    takes = inspect.signature(variant.build).parameters
    unknown = [option for option in options if option not in takes and option not in adapted.OPTIONS]
    if unknown:
        known = [p for p in (*takes, *adapted.OPTIONS) if p not in settings]
        raise ValueError(f"{name}: unknown option {unknown[0]!r}; it takes {', '.join(known)}")
    own = {k: v for k, v in options.items() if k in takes}
    for option, value in own.items():
        if isinstance(takes[option].default, bool) and not isinstance(value, bool):
            raise ValueError(f"{name}: {option} must be True or False; got {value!r}")
    net = variant.build(**{k: v for k, v in settings.items() if k in takes}, **own)
    return net, {k: v for k, v in options.items() if k not in takes}


def defaults(variant):
    """{option: value} of a builder that is given none."""
    takes = inspect.signature(variant.build).parameters.values()
    return {p.name: p.default for p in takes if p.default is not p.empty}
