"""confusion: which classes a model takes for which."""

from dataclasses import dataclass

import numpy as np

from ..autograd import no_grad
from ..data import DataLoader
from ..nn.inspection import unchanged
from ..tensor import Tensor
from .figure import Plotted, figure, plain

CELLS_WITH_NUMBERS, CLASSES_WITH_NAMES = 20, 60


@dataclass(frozen=True, repr=False)
class Confusion(Plotted):
    """counts[i, j]: images of class i that were taken for class j; classes: their names."""

    counts: np.ndarray
    classes: tuple

    @property
    def accuracy(self):
        """The share of all images that were classified rightly."""
        return float(np.trace(self.counts) / max(self.counts.sum(), 1))

    def mistakes(self, n=5):
        """The n most frequent mistakes: (true class, predicted class, number of images)."""
        wrong = self.counts * ~np.eye(len(self.counts), dtype=bool)
        order = np.argsort(-wrong, axis=None, kind="stable")[:n]
        pairs = (np.unravel_index(i, wrong.shape) for i in order if wrong.flat[i])
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in pairs]

    def __repr__(self):
        lines = [f"accuracy {self.accuracy:.2%} of {int(self.counts.sum()):,} images; most frequent mistakes:"]
        return "\n".join((*lines, *(f"  {n:>6,} of {a} taken for {b}" for a, b, n in self.mistakes())))

    def plot(self):
        """Each row is a true class: the share, in per cent, that was taken for each class."""
        return confusion_figure(self.counts, self.classes, f"accuracy {self.accuracy:.2%}")


@no_grad()
def confusion(model, dataset, transform=None, batch_size=200):
    """Count what a model predicts for every image of a data set -> Confusion.

    transform: as of a DataLoader, for example data.default_transforms("fashion-mnist-10k", train=False); None: bytes
    become numbers in [0, 1]. The model runs in evaluation mode and is left as it was. ValueError if it has
    another number of classes than the data set.
    """
    if not hasattr(dataset, "classes"):
        kind = type(dataset).__name__
        raise TypeError(f"confusion: dataset must be a data set with `classes`, its classes' names; got {kind}")
    classes, device = tuple(dataset.classes), next(model.parameters()).device
    counts = np.zeros((len(classes),) * 2, np.int64)
    with unchanged(model):
        model.eval()
        for images, labels in DataLoader(dataset, batch_size, transform=transform):
            logits = model(Tensor(device.asarray(images))).numpy()
            if logits.shape[1] != len(classes):
                raise ValueError(f"confusion: the model has {logits.shape[1]} classes, the data set {len(classes)}")
            np.add.at(counts, (labels, logits.argmax(1)), 1)
    return Confusion(counts, classes)


def confusion_figure(counts, names, title):
    """A Figure of counts[i, j], images of class i that were taken for class j, as a share of class i in per cent."""
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(0.55 * len(names) + 2.5, 5), 24)
    fig, axes = figure(figsize=(side + 1, side))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    fig.colorbar(image, ax=axes, label="% of the images of the true class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="true", title=plain(title))
    names = [plain(name) for name in names]
    if len(names) <= CLASSES_WITH_NAMES:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
    if len(names) <= CELLS_WITH_NUMBERS:
        number_cells(axes, shares)
    return fig


def number_cells(axes, shares):
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.05:
            colour = "white" if share > 50 else "black"
            axes.text(j, i, f"{share:.1f}" if share < 99.95 else "100", ha="center", va="center", color=colour, size=9)
