"""From a command to everything that a run needs: the data, the net, the optimizer and the schedule."""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

import architectures
from architectures.registry import find

from .. import data, optim
from ..data.transforms import CutMix, Mixup
from ..device import allow_tf32, get_device, get_num_threads, set_num_threads, use_kernels
from ..optim import lr_scheduler
from .config import Config
from .errors import UsageError, blaming_the_user
from .recipe import complete

FIXED = ("arch", "num_classes", "image_size", "data", "opt")  # a checkpoint fits no other
FIXED_WITHIN_EPOCH = ("batch_size", "limit_train_batches", "seed", "augment", "mixup_alpha", "cutmix_alpha")


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
    """config: complete, arch being the full name; why: the reason for that net; datasets: what to train and test on."""

    config: Config
    why: str
    datasets: Datasets


def set_up(flags, file, saved):
    """A Setup from three layers of settings (saved: those of a resumed run). UsageError for what can't be done."""
    layers = [saved, file, flags]
    wanted = {name: value for layer in layers for name, value in layer.items()}
    asked = Config(**wanted)
    datasets = load_data(asked)
    arch, why, size = choose_net(asked, datasets.train.image_shape[0])
    known = dict(arch=arch, image_size=size, num_classes=asked.num_classes or datasets.train.num_classes)
    config = complete(known, layers)
    check_classes(config, datasets.train)
    check_unchanged(saved, config, FIXED)
    return Setup(config, why, datasets)


def load_data(config):
    with blaming_the_user(ValueError, data.DataError, OSError):
        return Datasets(*data.load(config.data, config.data_path, config.download))


def choose_net(config, native_size):
    """(full name, why, image size): the size asked for, else the data's own, else the one that the net was made for."""
    size = config.image_size or native_size
    with blaming_the_user(ValueError):
        arch, why = architectures.resolve(config.arch, size)
        return arch, why, size or find(arch).image_size


def check_classes(config, dataset):
    if config.num_classes < dataset.num_classes:
        raise UsageError(f"num_classes {config.num_classes} is below the {dataset.num_classes} of {config.data}")


def check_unchanged(saved, config, names):
    for name in names:
        if name in saved and saved[name] != getattr(config, name):
            asked = getattr(config, name)
            raise UsageError(f"{name} {asked} does not fit the checkpoint, which was made with {name} {saved[name]}")


def chosen_device(config):
    """The device, with the number of threads set. UsageError where there is no such device or number."""
    with blaming_the_user(ValueError, RuntimeError, OSError):
        if config.threads is not None:
            set_num_threads(config.threads)
        elif config.device == "cpu":  # a GPU needs none of the CPU's kernels
            get_num_threads()  # reads MINIGRAD_NUM_THREADS
        return get_device(config.device)


def kernels_in_force(config):
    return nullcontext() if config.kernels is None else use_kernels(config.kernels)


def products_in_force(config):
    """What float32 products may do, here and in tests."""
    return allow_tf32(config.amp == "tf32")


def build_model(setup, device):
    config = setup.config
    settings = dict(num_classes=config.num_classes, image_size=config.image_size, seed=config.seed)
    with blaming_the_user(ValueError):
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
    total, rise = config.epochs * steps, round(config.lr_warmup_epochs * steps)
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


class OneOf:
    """Each batch goes through one of these mixings, chosen at random."""

    def __init__(self, *mixings):
        self.mixings = mixings

    def __call__(self, images, labels, rng):
        chosen = int(rng.fold(2).uniform(1)[0] * len(self.mixings))
        return self.mixings[chosen](images, labels, rng)


def mixing(config):
    """The batch transform that mixup_alpha and cutmix_alpha ask for, or None."""
    pairs = ((Mixup, config.mixup_alpha), (CutMix, config.cutmix_alpha))
    mixings = [kind(alpha, config.num_classes) for kind, alpha in pairs if alpha is not None]
    return OneOf(*mixings) if mixings else None


def train_loader(config, dataset):
    """Batches in random order; the last, smaller one is left out, unless it is the only one."""
    return data.DataLoader(
        dataset, config.batch_size, shuffle=True, num_workers=config.workers, seed=config.seed,
        drop_last=len(dataset) >= config.batch_size, batch_transform=mixing(config),
        transform=data.default_transforms(config.data, config.image_size, train=config.augment),
    )  # fmt: skip


def test_batches(config, dataset):
    transform = data.default_transforms(config.data, config.image_size, train=False)
    loader = data.DataLoader(dataset, config.batch_size, num_workers=config.workers, transform=transform)
    return islice(loader.iterate(0), config.limit_test_batches)
