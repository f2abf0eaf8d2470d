"""What a checkpoint of the train command says of its net, beside the weights."""

from ..command.reference import is_reference
from ..data.catalog import KINDS
from ..interop import WeightsError


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
