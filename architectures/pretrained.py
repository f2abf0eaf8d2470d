"""Nets by name, with initial weights or with those of a file."""

from minigrad.interop import WeightsError
from minigrad.interop.loading import Source, check_options, classes_in, fitted, put, recognise, with_origin

from .registry import defaults, find, fresh, outline, resolve


def create(name, num_classes=None, image_size=None, in_channels=None, seed=0, weights=None, **options):
    """Build a net by name, with initial weights that are the same for the same seed, or with those of a file.

    name         one of names(), of families(), or a parsed one such as densenet_bc_40_12
    num_classes, image_size (an int or an (H, W) pair), in_channels: None means what the net's paper used
    weights      a file of weights, see pretrained, which also takes origin and strict as options. The net is then in
                 evaluation mode
    options      the builder's own, such as shortcut="C" (ResNet) or memory_efficient=True (DenseNet); and, for every
                 net, eps (of batch norm) and padding="same" (TensorFlow's, where there is a stride)

    ValueError for an unknown name (with the nearest ones), an unknown option, or an image too small for the net.
    """
    if weights is None:
        return fresh(name, num_classes, image_size, in_channels, seed, **options)
    return pretrained(name, weights, num_classes, image_size, in_channels, seed, **options)


def pretrained(
    name, path, num_classes=None, image_size=None, in_channels=None, seed=0, origin=None, strict=True, **options
):
    """A net by name with the weights in a file, in evaluation mode.

    The file's origin decides how its arrays are read and which options the net needs (eps, padding, shortcut): they are
    set, unless they were given. name may be the less exact one: "resnet50" for a file of resnet50_v1.

    num_classes  None: as many as the file has. Another number than the file's: a fresh last layer, the rest loaded
    origin, strict  as in minigrad.interop.load_weights

    net.preprocessing is what the weights expect of their images, None where that is not known; net.loaded lists what
    kept its initial values. WeightsError, in one line, for a file that is refused or does not fit.
    """
    source = recognise(path, origin)
    if source.contents.origin is None:
        source = with_origin(outline(name, num_classes, image_size, in_channels, **options), source)
    name = full_name(name, image_size, source)
    options = {**options_for(name, source), **options}
    settings = dict(image_size=image_size, in_channels=in_channels, **options)
    sketch = outline(name, num_classes, **settings)
    if num_classes is None and (classes := classes_in(sketch, source)) is not None:
        sketch = outline(name, classes, **settings)
    return filled(sketch, source, seed, strict, head=num_classes is not None)


def filled(sketch, source, seed=0, strict=True, head=False):
    """The net that is outlined, with a Source's weights: it is built, and takes memory, only if they fit."""
    check_options(sketch, source)
    found = fitted(sketch, source, strict, head=head)
    name, classes, channels, image_size, options, _ = sketch.made
    net = fresh(name, classes, image_size, channels, seed, **options)
    net.loaded = put(net, found)
    return net


def options_for(name, source: Source):
    """Those of the options that a file needs which a net takes."""
    takes = {"eps", "padding", *defaults(find(name))}
    return {k: v for k, v in source.options.items() if k in takes}


def full_name(name, image_size, source: Source):
    """The net that the file is of, where it is of one only; else the name that was asked for."""
    asked = resolve(name, image_size)[0]
    if not source.net:
        return asked
    if name not in source.net and asked not in source.net:
        raise WeightsError(f"{source.contents.path}: weights of {source.net[0]}, not of {asked}")
    return source.net[0]
