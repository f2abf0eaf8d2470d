"""The loaders of a run, and how each batch is shared among processes."""

import copy

from .. import data
from ..command.errors import UsageError
from ..data.transforms import CutMix, Mixup


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


def step_images(config):
    """How many images make a step."""
    return config.batch_size * config.grad_accum


def check_shares(config, dataset, group):
    """UsageError for batches that are too small to be shared among the processes of a group."""
    images = min(step_images(config), len(dataset))
    if group.size > 1 and images < group.size * config.grad_accum:
        batch = f"--batch-size {config.batch_size} with {len(dataset):,} training images"
        raise UsageError(f"{batch} gives {group.size} processes less than an image each")


def shared(loader, group):
    """A loader as one that gives this process its share of each batch. UsageError if it shares them out already."""
    if group.size == 1:
        return loader
    if isinstance(loader.sampler, data.DistributedSampler) or loader.share != (0, 1):
        raise UsageError("each batch of a DataLoader is shared among the processes here: leave out DistributedSampler")
    loader = copy.copy(loader)
    loader.share = group.rank, group.size
    return loader


def train_loader(config, dataset, conventions, group):
    """Batches in random order; the last, smaller one is left out, unless it is the only one."""
    check_shares(config, dataset, group)
    sampler = getattr(dataset, "sampler", None) or data.RandomSampler(dataset)
    return data.DataLoader(
        dataset, step_images(config), sampler=sampler, num_workers=config.workers, seed=config.seed,
        drop_last=len(dataset) >= step_images(config), batch_transform=mixing(config),
        transform=conventions.transforms(data.default_transforms(dataset, config.image_size, train=config.augment)),
        skip_bad_images=config.skip_bad_images, share=(group.rank, group.size),
    )  # fmt: skip


def test_loader(config, dataset, conventions, group):
    """(the loader of a test, the number of batches that it is to give)"""
    loader = data.DataLoader(
        dataset, config.batch_size, num_workers=config.workers, skip_bad_images=config.skip_bad_images,
        share=(group.rank, group.size),
        transform=conventions.transforms(data.default_transforms(dataset, config.image_size, train=False)),
    )  # fmt: skip
    return loader, min(len(loader), config.limit_test_batches or len(loader))
