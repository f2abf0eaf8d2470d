"""What a session is made of: built from the names in a configuration, or given to a Trainer."""

from functools import partial

from .. import data
from ..nn import CrossEntropyLoss
from ..nn import functional as F
from ..tensor import Tensor
from . import loaders
from . import setup as build
from .sampling import class_weights, total_weight
from .step import count_correct


class Named:
    """The parts that a configuration names. setup: a Setup; device: where the net is.

    criterion: the loss of training, and test_criterion that of a test, of outputs and targets, a mean over the batch;
    weigh: what targets count in the mean of the loss; count: how many outputs are right; metrics: {name: as criterion,
    but a number} of a test; num_classes: what outputs are scores of.
    """

    test_criterion, count, metrics = staticmethod(F.cross_entropy), staticmethod(count_correct), {}

    def __init__(self, setup, device):
        self.setup, self.config, self.device = setup, setup.config, device
        self.num_classes = self.config.num_classes
        weight = class_weights(self.config.class_weights, setup.datasets.train, self.num_classes)
        weight = None if weight is None else device.asarray(weight)
        self.weigh = partial(total_weight, weight=weight)
        self.criterion = partial(F.cross_entropy, weight=weight, label_smoothing=self.config.label_smoothing)

    def model(self):
        return build.build_model(self.setup, self.device)

    def optimizer(self, model):
        return build.build_optimizer(self.config, model)

    def train_loader(self):
        setup = self.setup
        return loaders.train_loader(self.config, setup.datasets.train, setup.conventions, setup.group)

    def test_loader(self):
        """(the loader of a test, the number of batches that it is to give)"""
        setup = self.setup
        return loaders.test_loader(self.config, setup.datasets.test, setup.conventions, setup.group)

    def scores(self, model, images):
        """What the model makes of images (a tensor) in a test; with --tta the mean over each and its mirror image."""
        if not self.config.tta:
            return model(images)
        mirrored = images.device.xp.ascontiguousarray(images.data[:, :, ::-1])
        return (model(images) + model(Tensor(mirrored))) * 0.5

    def net_facts(self):
        """What is needed, besides the weights and the configuration, to classify an image with this net."""
        datasets = self.setup.datasets
        names = {"classes": list(datasets.train.classes), "channels": datasets.channels}
        images = build.preprocessing(self.config, datasets.train)
        return {**names, **images, **self.setup.conventions.to_facts()}


class Given(Named):
    """The parts that a Trainer was given.

    net: a Module; loss: of outputs and targets (None: softmax cross-entropy of class scores, which also counts what is
    right); metrics: {name: function of outputs and targets, a mean over the batch}; optimizer: None for that of the
    settings.
    """

    def __init__(self, setup, device, net, loss=None, metrics=None, optimizer=None):
        super().__init__(setup, device)
        self.net, self.given_optimizer, self.metrics = net.to(device), optimizer, dict(metrics or {})
        train = setup.datasets.train
        self.num_classes = getattr(getattr(train, "dataset", train), "num_classes", None) or 0  # the outputs tell
        if loss is not None:
            self.criterion = self.test_criterion = loss
            weighted = isinstance(loss, CrossEntropyLoss) and loss.reduction == "mean"
            self.weigh = partial(total_weight, weight=loss.weight, ignored=loss.ignore_index) if weighted else len
            self.num_classes = self.count = None

    def model(self):
        return self.net

    def optimizer(self, model):
        return self.given_optimizer or super().optimizer(model)

    def train_loader(self):
        return self.loader(self.setup.datasets.train, shuffle=True)

    def test_loader(self):
        loader = self.loader(self.setup.datasets.test)
        return loader, min(len(loader), self.config.limit_test_batches or len(loader))

    def loader(self, dataset, shuffle=False):
        """A DataLoader as it is; the batches of a data set."""
        config, number = self.config, loaders.step_images(self.config) if shuffle else self.config.batch_size
        group = self.setup.group
        if isinstance(dataset, data.DataLoader):
            return loaders.shared(dataset, group)
        if shuffle:
            loaders.check_shares(config, dataset, group)
        drop = shuffle and len(dataset) >= number
        settings = dict(shuffle=shuffle, drop_last=drop, num_workers=config.workers, seed=config.seed)
        settings |= dict(skip_bad_images=config.skip_bad_images, share=(group.rank, group.size))
        return data.DataLoader(dataset, number, **settings)

    def net_facts(self):
        return {}
