"""Weights from a file into a net: recognise, rename, convert, check, and only then change anything."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..ops.checks import pair
from . import caffe_names, keras_order, styles
from .contents import Contents
from .errors import WeightsError
from .layout import converted
from .preprocessing import HALF, IMAGENET_MEAN_STD, Preprocessing
from .reading import read
from .trace import Uses, uses
from .zoo import known


class Loaded(NamedTuple):
    """What load_weights did: names of the net that kept their values, and names in the file that were not used."""

    missing: list
    unexpected: list


class Source(NamedTuple):
    """A file and what is known of it before there is a net: see recognise."""

    contents: Contents
    style: styles.Style | None
    net: tuple
    options: dict
    preprocessing: Preprocessing | None


def recognise(path, origin=None):
    """The Source in a file: what it holds, whose names it has, which options of the net its arithmetic needs."""
    return source_of(read(path, origin))


def source_of(contents):
    """The Source of what was read."""
    row = known(contents.path)
    if contents.origin == "keras" and keras_order.applies(contents):
        return Source(contents, None, (), keras_order.options(contents), row.preprocessing if row else None)
    if contents.origin is None:
        return Source(contents, None, (), {}, None)
    style = styles.recognised(contents)
    options = {**style.options, **inferred_options(contents, style)}
    told = told_preprocessing(contents)
    return Source(contents, style, style.net, options, row.preprocessing if row else told or style.preprocessing)


def told_preprocessing(contents):
    """What a file that minigrad.export wrote says of its images; None for other files."""
    wanted = (contents.net_facts() or {}).get("preprocessing")
    try:
        return None if wanted is None else Preprocessing(**wanted)
    except TypeError:
        raise WeightsError(f"{contents.path}: damaged: what it says of its images can't be read") from None


def inferred_options(contents, style):
    """Options that names, and layers where a file has them, tell: heads, kinds of shortcuts, pools."""
    if contents.origin == "caffe":
        return caffe_names.options(contents)
    if contents.origin not in ("torch", "minigrad"):
        return {}
    if (told := contents.net_facts()) is not None:
        return told.get("options", {})
    names = list(styles.unwrapped(contents.arrays).values())
    found = {}
    if any(n.startswith("inception3a.") for n in names):
        found["aux_logits"] = any(n.startswith("aux1.") for n in names)
    if any(".shortcut." in n or ".downsample." in n for n in names):
        found["shortcut"] = "B"
    elif style.name == "ResNets for CIFAR":
        found["shortcut"] = "A_centre"
    return found


def load_weights(net, path, origin=None, strict=True, image_size=None):
    """Copy the weights in a file into a net, converted from their origin's layout; the net is then in evaluation mode.

    net         any Module; of one made by architectures.create it is checked that its options suit the file
    path        see `read`, which lists the formats
    origin      "torch", "keras", "caffe" or "minigrad" where the file does not tell
    strict      False: what does not fit (another head, say) keeps its values and is listed in the result
    image_size  of images that the net takes, an int or (H, W); None: what the net was made for

    Returns Loaded(missing, unexpected). net.preprocessing becomes what the weights expect of their images, or None
    where that is not known. WeightsError, with the net unchanged, for a file that is refused or does not fit.
    """
    source = with_origin(net, recognise(path, origin), image_size)
    check_options(net, source)
    return fill(net, source, strict, image_size)


class Fitted(NamedTuple):
    """What fits a net: {name: array}, what load_weights returns, and what the images have to be like."""

    state: dict
    loaded: Loaded
    preprocessing: Preprocessing | None


def fill(net, source, strict=True, image_size=None, head=False):
    """load_weights for a Source. head: the last layer may keep its values where the file's has another shape."""
    return put(net, fitted(net, source, strict, image_size, head))


def put(net, found):
    """Put what fits a net into it, which then is in evaluation mode. Loaded."""
    net.load_state_dict(found.state, strict=False)
    net.eval()
    net.preprocessing = found.preprocessing
    return found.loaded


def fitted(net, source, strict=True, image_size=None, head=False):
    """The Fitted of a Source and a net, of whose weights only the shapes are looked at. WeightsError as `fill`."""
    source = with_origin(net, source, image_size)
    shown = uses(net, image_shape(net, image_size))
    found = names_here(net, source, shown)
    fold_biases(net, found, shown)
    own = {name: t for name, t in (*net.named_parameters(), *net.named_buffers())}
    origin, state = source.contents.origin, {}
    for name in (n for n in own if n in found):
        state[name] = converted(origin, *found[name], own[name].shape, shown.flattened.get(name))
    loaded = check_fit(net, source, found, state, own, strict, shown.head if head else None)
    expected = turned_inside(net, source.preprocessing or usual_preprocessing(net, source))
    return Fitted({n: a for n, a in state.items() if n not in loaded.missing}, loaded, expected)


def image_shape(net, image_size):
    """(H, W, C) of an image for this net."""
    made = getattr(net, "made", None)
    usual = made.image_size if made is not None else 224
    h, w = pair("load_weights", "image_size", usual if image_size is None else image_size, 1)
    first = next((p for p in net.parameters() if p.ndim == 4), None)
    channels = made.in_channels if made is not None else first.shape[-1] if first is not None else 3
    return h, w, channels


def with_origin(net, source, image_size=None):
    """The source with an origin: where the file does not tell, the one whose layout fits the shape of every weight.

    (All but the last layer's, which may be another one.)
    """
    if source.contents.origin is not None:
        return source
    shown = uses(net, image_shape(net, image_size))
    own = {name: t.shape for name, t in (*net.named_parameters(), *net.named_buffers())}
    fitting = [o for o in ("torch", "minigrad") if all_fit(source.contents, o, own, shown)]
    if len(fitting) != 1:
        why = "would fit as " + " and as ".join(fitting) if fitting else "fits in no known layout"
        raise WeightsError(f"{source.contents.path}: its origin is not known (it {why}): say origin='torch' or another")
    return source_of(Contents(source.contents.path, source.contents.arrays, fitting[0], source.contents.facts))


def all_fit(contents, origin, own, shown):
    found = styles.renamed(styles.recognised(Contents(contents.path, contents.arrays, origin)), contents)
    weights = {n: a for n, (_, a) in found.items() if n in own and a.ndim > 1 and n != shown.head}
    same = [converted(origin, n, a, own[n], shown.flattened.get(n)).shape == own[n] for n, a in weights.items()]
    return bool(same) and all(same)


def names_here(net, source, shown: Uses):
    """{name here: (name there, array)} of the file."""
    if source.style is None:
        return keras_order.renamed(source.contents, net, shown.convolution)
    return styles.renamed(source.style, source.contents)


def fold_biases(net, found, shown):
    """Where a convolution here has no bias because batch norm follows, take the file's bias off the running mean.

    norm(conv(x) + b) with running mean m is norm(conv(x)) with running mean m - b.
    """
    own = dict(net.named_parameters())
    for mean, weight in shown.convolution.items():
        bias = f"{weight.removesuffix('weight')}bias" if weight else None
        if bias in found and bias not in own and mean in found:
            there, b = found.pop(bias)
            name, m = found[mean]
            if m.shape != b.shape:
                raise WeightsError(f"{there}: shape {b.shape}, but {name} has {m.shape}")
            found[mean] = name, (m.astype(np.float64) - b).astype(np.float32)


def check_fit(net, source, found, state, own, strict, head):
    """Loaded, or WeightsError that lists all that does not fit."""
    shapes = [n for n, a in state.items() if a.shape != own[n].shape]
    missing = [n for n in own if n not in state]
    unexpected = [there for n, (there, _) in found.items() if n not in own]
    heads = {head, f"{head.removesuffix('weight')}bias"} if head else set()
    faults = {
        "missing": missing,
        "not of this net": unexpected,
        "of another shape": [f"{n} {state[n].shape} (here {own[n].shape})" for n in shapes if n not in heads],
    }
    if strict and any(faults.values()):
        listed = "; ".join(f"{what} ({len(names)}): {few(names)}" for what, names in faults.items() if names)
        raise WeightsError(
            f"{source.contents.path}: does not fit {type(net).__name__}: {listed}. strict=False loads what fits"
        )
    if len(shapes) + len(missing) == len(own):
        raise WeightsError(f"{source.contents.path}: nothing in it fits {type(net).__name__}")
    return Loaded(missing + shapes, unexpected)


def few(names):
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def check_options(net, source):
    """WeightsError where the file needs other options than this net was made with; a warning where they were given."""
    made, path = getattr(net, "made", None), source.contents.path
    if made is None:
        return
    if source.net and made.name != source.net[0]:
        raise WeightsError(f"{path}: weights of {source.net[0]}, not of {made.name}")
    for option, value in source.options.items():
        check_option(made, path, option, value)
    if source.contents.origin == "torch" and made.name.endswith("_v1"):
        warnings.warn(f"{path}: torch's files of this net mostly have the stride in the 3x3: resnet50", stacklevel=3)
    unknown = source.contents.origin == "torch" and "shortcut" not in {**source.options, **made.options}
    if unknown and made.settings.get("shortcut") == "A":
        raise WeightsError(
            f"{path}: whether zero channels were padded at the end or at both sides can't be seen in it: give "
            "shortcut='A' (end) or shortcut='A_centre' (both)"
        )


def check_option(made, path, option, value):
    """An option that the file needs: as it is, given otherwise (a warning), or not given (WeightsError)."""
    now = made.settings.get(option)
    if now == value:
        return
    text = f"{path}: these weights need {option}={value!r}, the net has {now!r}"
    if option not in made.options:
        raise WeightsError(f"{text}: architectures.create({made.name!r}, {option}={value!r})")
    warnings.warn(text, stacklevel=4)


def classes_in(net, source):
    """How many classes the last layer in the file has; None where that can't be told."""
    shown = uses(net, image_shape(net, None))
    if shown.head is None:
        return None
    found = names_here(net, source, shown)
    _, bias = found.get(f"{shown.head.removesuffix('weight')}bias", (None, None))
    return None if bias is None else bias.size


def turned_inside(net, preprocessing):
    """The preprocessing of a net that makes 0.5 of ImageNet's mean and standard deviation itself (transform_input)."""
    made = getattr(net, "made", None)
    if preprocessing is None or made is None or not made.settings.get("transform_input"):
        return preprocessing
    mean, std = IMAGENET_MEAN_STD
    return replace(preprocessing, mean=mean, std=std) if preprocessing.mean == HALF[0] else preprocessing


def usual_preprocessing(net, source):
    """What torch's nets of ImageNet's 1000 classes expect, by their net; None for others, and where it can't be told.

    timm's Inception has 0.5 for mean and standard deviation. Files of GoogLeNet may have either: torchvision's own one,
    like its others, is known by its checksum.
    """
    made = getattr(net, "made", None)
    if source.contents.origin != "torch" or made is None or made.num_classes != 1000 or min(made.image_size) <= 64:
        return None
    if made.name == "googlenet_torchvision" and not made.settings.get("transform_input"):
        return None
    size, usual = made.image_size[0], HALF if made.name == "inception_v4" else IMAGENET_MEAN_STD
    return Preprocessing(size, *usual, resize=round(size * 256 / 224))
