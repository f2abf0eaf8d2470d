"""What a checkpoint of the train command says of its net, beside the weights."""

import re
from contextlib import contextmanager

from architectures import registry

from ..command.reference import is_reference
from ..data.catalog import KINDS
from ..data.text import reason
from ..interop import WeightsError


@contextmanager
def believing(path):
    """Within this block what a file says of its net is taken at its word; WeightsError where it makes no sense."""
    try:
        yield
    except WeightsError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged: what it says of its net can't be read ({reason(error)})") from error


def within(path, facts, arrays):
    """The facts of a net, in a file of these arrays. WeightsError for a net that is larger than they are.

    Depth and width, where its name gives any, classes and channels are each an axis of some array, or at most their
    number.
    """
    most = max(len(arrays), *(n for array in arrays.values() for n in array.shape), 0)
    in_name = [] if facts["arch"] in registry.VARIANTS else re.findall(r"\d+", facts["arch"])
    sizes = [*map(int, in_name), facts["num_classes"], facts["in_channels"]]
    if max(sizes) > most:
        raise WeightsError(f"{path}: damaged: says that it is of a net of {max(sizes):,}; its arrays are of {most:,}")
    return facts


def described(path, facts):
    """{"arch", "num_classes", "image_size", "in_channels", "classes", "options", "preprocessing"} of a checkpoint.

    Checkpoints that don't say how their images were normalised are taken to have their data set's customary numbers.
    """
    config = facts.get("config") if isinstance(facts, dict) else None
    if not isinstance(config, dict) or not {"arch", "num_classes", "image_size"} <= config.keys():
        raise WeightsError(f"{path}: a checkpoint that does not say of which net it is")
    if is_reference(config["arch"]):
        raise WeightsError(f"{path}: its net is your own ({config['arch']}): build it, then load_weights(net, path)")
    net = facts.get("net") or of_data_set(path, config)
    channels = net.get("channels") or len(net["mean"])
    wanted = {"size": config["image_size"], "mean": net["mean"], "std": net["std"], "resize": net.get("resize")}
    found = {name: config[name] for name in ("arch", "num_classes", "image_size")}
    wanted["channels"] = "L" if channels == 1 else net.get("order", "RGB")
    told = {"classes": net.get("classes"), "options": net.get("options", {})}
    return {**found, "in_channels": channels, **told, "preprocessing": wanted}


def of_data_set(path, config):
    kind = KINDS.get(config.get("data"))
    if kind is None:
        raise WeightsError(f"{path}: trained on {config.get('data')!r}, of which nothing is known here")
    return {"mean": kind.mean, "std": kind.std, "classes": getattr(kind, "classes", None), "channels": len(kind.mean)}
