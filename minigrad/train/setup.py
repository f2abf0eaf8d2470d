"""From a command to everything that a run needs: the data, the net, the optimizer and the schedule."""

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import architectures
from architectures.registry import find

from .. import data, optim
from ..command.errors import UsageError, blaming_the_user
from ..command.reference import is_reference
from ..data.catalog import PHOTOGRAPH, kind_of_directory, statistics
from ..device import allow_tf32, get_device, get_num_threads, set_num_threads, use_kernels
from ..distributed.group import Group
from ..optim import lr_scheduler
from . import fitting, own, recipe, sampling
from .config import Config, flag
from .pretrained import USUAL, Conventions
from .recipe import complete, merged

ALONE = Group()
EMBEDDED = "fashion-mnist-10k"
IN_FOLDERS = {"imagefolder": "train/<class>/*.jpg", "shards": "train/*.tar", "parquet": "data/train-*.parquet"}
FIXED = (
    "arch",
    "num_classes",
    "image_size",
    "data",
    "opt",
    "seed",
    "recipe",
    "val_split",
)  # a checkpoint fits no other
FIXED_WITHIN_EPOCH = ("batch_size", "grad_accum", "limit_train_batches", "augment", "mixup_alpha", "cutmix_alpha")


@dataclass(frozen=True)
class Datasets:
    """The two parts of a data set, and how large its images are to be."""

    train: data.Dataset
    test: data.Dataset

    @property
    def channels(self):
        return self.train.image_shape[2]


@dataclass(frozen=True)
class Setup:
    """config: complete, arch being the full name; why: the reason for that net; datasets: what to train and test on.

    notes: what was chosen for the data at hand, and what is odd about them, a sentence each.
    conventions: what the net and its images have of the weights that the run began from.
    group: the processes that share each batch.
    """

    config: Config
    why: str
    datasets: Datasets
    notes: tuple = ()
    conventions: Conventions = USUAL
    group: Group = ALONE


def set_up(command, saved, classes=None):
    """A Setup from three layers of settings. UsageError for what can't be done.

    saved: the settings of a resumed run; classes: the names that its labels count (None: it didn't say).
    """
    file, flags = (own_directory(layer) for layer in (command.file, command.flags))
    saved = trusted(saved, {**file, **flags})
    for layer in (file, flags):
        recipe.check_current(layer)
    layers = [saved, file, flags]
    asked = Config(**{name: value for layer in (recipe.named(layers), *layers) for name, value in layer.items()})
    check_data_settings(asked)
    datasets = datasets_for(command, asked, classes)
    if not command.evaluate:
        datasets = sampling.held_back(datasets, asked.val_split, asked.seed)
    size, sized = fitting.image_size(asked, datasets.train)
    arch, why, size = choose_net(asked, size)
    known = dict(arch=arch, image_size=size, num_classes=asked.num_classes or datasets.train.num_classes)
    fitted, chosen = fitting.to_number_of_images(merged(known, layers), layers, len(datasets.train))
    config = complete(known, [*layers, fitted])
    check_classes(config, datasets.train)
    check_unchanged(saved, config, FIXED)
    return Setup(config, why, datasets, (*recipe.notes(config), *sized, *chosen, *sampling.notes(config)))


def own_directory(layer):
    """The settings, `data` being a directory of images written as the folder's kind and its path."""
    name = layer.get("data")
    if (
        name is None
        or name in data.names()
        or is_reference(name)
        or not (os.path.isdir(name) or looks_like_a_path(name))
    ):
        return layer
    if not os.path.isdir(name):
        raise UsageError(f"--data {name}: no such directory")
    if layer.get("data_path", name) != name:
        raise UsageError(f"--data {name} is a directory already: leave out --data-path {layer['data_path']}")
    return {**layer, "data": kind_of_directory(name), "data_path": name}


def looks_like_a_path(name):
    return os.sep in name or name in (".", "..") or name.startswith("~")


def check_data_unchanged(saved, asked):
    """As check_unchanged, for the data, before any are looked for."""
    if "data" in saved and asked.get("data", saved["data"]) != saved["data"]:
        raise UsageError(
            f"--data {asked['data']} does not fit the checkpoint, which was made with --data {saved['data']}"
        )


def trusted(saved, asked):
    """The settings of a checkpoint, without those that reach out of it: they must be asked for again."""
    check_data_unchanged(saved, asked)
    for name, what in (("arch", "net"), ("data", "data set")):
        if is_reference(saved.get(name, "")) and name not in asked:
            raise UsageError(f"this run's {what} is your own: add --{name} {saved[name]} to run that file")
    path = saved.get("data_path")
    if path is not None and "data_path" not in asked:
        raise UsageError(f"this run's images were in {path}: add --data-path {path} to read them there")
    return {name: value for name, value in saved.items() if name != "download"}


def check_data_settings(config):
    """UsageError for settings of the data that have no effect on these data, or that they need."""
    if config.data == EMBEDDED and config.data_path is not None:
        raise UsageError(f"--data-path has no effect with --data {EMBEDDED}, which comes with minigrad")
    if is_reference(config.data) and (config.data_path is not None or config.download):
        raise UsageError("--data-path and --download have no effect with a data set of your own")
    if config.least_side is not None and config.data not in IN_FOLDERS:
        raise UsageError(f"--least-side has no effect with --data {config.data}: it is for files of images")
    files = IN_FOLDERS.get(config.data)
    if files and config.data_path is None:
        raise UsageError(f"--data {config.data} needs --data-path DIR, a directory with {files} (or --data DIR)")
    if files and config.download:
        raise UsageError(f"--download has no effect with --data {config.data}: your own images are where they are")


def load_data(config, classes, parts=(True, False)):
    """The Datasets. UsageError, in words of the command line, if they can't be had, or their classes are others.

    classes: the names that a checkpoint's labels count, or None; parts: is the first for training, is the second?
    """
    if is_reference(config.data):
        return own_data(config, classes, parts)
    try:
        place = config.data_path, config.download, classes, config.least_side
        return Datasets(*(data.load_part(config.data, train, *place) for train in parts))
    except (ValueError, data.DataError, OSError, MemoryError) as error:
        raise UsageError(in_flags(str(error))) from error


def own_data(config, classes, parts):
    """As load_data, from a function of the user's."""
    pair = own.datasets(config.data)
    if classes is not None and list(pair[0].classes) != list(classes):
        raise UsageError(f"--data {config.data}: its classes are others than the checkpoint's")
    return Datasets(*(pair[0 if train else 1] for train in parts))


def in_flags(text):
    """A message of the data layer in words of the command line, on one line, a failed download's in short."""
    if "cannot download" in text and "By hand:" in text:
        first, *reasons, by_hand = text.splitlines()
        return f"{first} {len(reasons)} mirrors tried, the last: {reasons[-1].strip()}; by hand: {by_hand[9:]}"
    return text.replace("pass download=True", "--download fetches it")


IMAGES = {  # of training and for testing, in data sets that anybody may fetch
    data.MNIST: (60_000, 10_000),
    data.FashionMNIST: (60_000, 10_000),
    data.CIFAR10: (50_000, 10_000),
    data.CIFAR100: (50_000, 10_000),
}


class Unloaded(data.Described):
    """What is known of a part of a data set without its files: enough for a plan."""

    def __init__(self, kind, images):
        self.images, self.image_shape = images, (kind.native_size, kind.native_size, len(kind.mean))
        for name in ("name", "classes", "mean", "std", "native_size", "padding", "flip"):
            setattr(self, name, getattr(kind, name))

    def __len__(self):
        return self.images


def planned_data(config, classes):
    """As load_data, for a plan, which runs nothing: data sets that anybody may fetch need not be there."""
    for kind, images in IMAGES.items():
        if kind.name == config.data:
            return Datasets(*(Unloaded(kind, number) for number in images))
    return load_data(config, classes)


def datasets_for(command, config, classes):
    """The Datasets that planning, testing or training needs; a test reads those for testing only."""
    if command.plan:
        return planned_data(config, classes)
    return load_data(config, classes, (False, False) if command.evaluate else (True, False))


def choose_net(config, size):
    """(full name, why, image size): the size given, else the one that the net was made for."""
    if is_reference(config.arch):
        return config.arch, "your own", size or PHOTOGRAPH
    with blaming_the_user(ValueError):
        arch, why = architectures.resolve(config.arch, size)
        return arch, why, size or find(arch).image_size


def check_classes(config, dataset):
    if config.num_classes < dataset.num_classes:
        raise UsageError(f"--num-classes {config.num_classes} is below the {dataset.num_classes} of {config.data}")


def check_unchanged(saved, config, names):
    for name in names:
        if name in saved and saved[name] != getattr(config, name):
            asked = getattr(config, name)
            raise UsageError(
                f"{flag(name)} {asked} does not fit the checkpoint, which was made with {flag(name)} {saved[name]}"
            )


def chosen_device(config, group=ALONE):
    """The device of this process of a group, with the number of threads set.

    UsageError where there is no such device or number.
    """
    with blaming_the_user(OSError), in_words("set_num_threads: n", "--threads"), in_words("device", "--device"):
        if config.threads is not None:
            set_num_threads(config.threads)
        elif config.device == "cpu":  # a GPU needs none of the CPU's kernels
            get_num_threads()  # reads MINIGRAD_NUM_THREADS
        device = get_device(config.device)
        return device.for_process(group.local_rank) if group.size > 1 else device


@contextmanager
def in_words(name, words):
    """In this block an error's first mention of a name is put in words of the command line."""
    try:
        yield
    except (ValueError, RuntimeError, UsageError) as error:
        raise UsageError(str(error).replace(name, words, 1)) from error


def kernels_in_force(config):
    return nullcontext() if config.kernels is None else use_kernels(config.kernels)


def products_in_force(config):
    """What float32 products may do, here and in tests."""
    return allow_tf32(config.amp == "tf32")


@contextmanager
def within_memory(config):
    """In this block a lack of memory is that of the net that was asked for."""
    try:
        yield
    except MemoryError as error:
        size = f"--image-size {config.image_size} and --num-classes {config.num_classes}"
        raise UsageError(f"--arch {config.arch} with {size} needs more memory than this machine has") from error


def build_model(setup, device):
    config = setup.config
    if is_reference(config.arch):
        sizes = dict(num_classes=config.num_classes, in_channels=setup.datasets.channels, image_size=config.image_size)
        with within_memory(config):
            return own.build(config.arch, sizes, config.seed).to(device)
    settings = dict(num_classes=config.num_classes, image_size=config.image_size, seed=config.seed)
    with blaming_the_user(OverflowError), in_words("images", "--image-size: images"), within_memory(config):
        settings |= setup.conventions.options
        return architectures.create(config.arch, in_channels=setup.datasets.channels, **settings).to(device)


def build_optimizer(config, model):
    params = list(model.parameters())
    if config.opt == "sgd":
        settings = dict(momentum=config.momentum, nesterov=config.nesterov)
        return optim.SGD(params, config.lr, weight_decay=config.weight_decay, **settings)
    kind = optim.Adam if config.opt == "adam" else optim.AdamW
    return kind(params, config.lr, weight_decay=config.weight_decay)


def build_schedule(config, steps):
    """step number -> learning rate for a run of config.epochs times `steps` steps, warm-up included."""
    total = config.epochs * steps
    rise = min(round(config.lr_warmup_epochs * steps), total - 1)
    rest = total - rise
    if config.lr_scheduler == "onecycle":
        return lr_scheduler.one_cycle(total, pct_start=rise / total)
    schedules = {
        "constant": lambda: lr_scheduler.constant(),
        "step": lambda: lr_scheduler.step_decay(config.lr_step_size * steps, config.lr_gamma),
        "multistep": lambda: lr_scheduler.multistep((total // 2 - rise, total * 3 // 4 - rise), config.lr_gamma),
        "cosine": lambda: lr_scheduler.cosine(rest),
        "polynomial": lambda: lr_scheduler.polynomial(rest),
    }
    return lr_scheduler.warmup(schedules[config.lr_scheduler](), rise)


def preprocessing(config, dataset):
    """What a test does to an image before the net sees it: resized, perhaps cropped, then (x / 255 - mean) / std."""
    resize = round(config.image_size * 256 / 224) if dataset.image_shape[0] is None else None  # the short side, or both
    mean, std = statistics(dataset)
    return {"mean": list(mean), "std": list(std), "resize": resize}
