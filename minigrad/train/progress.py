"""How far a run has come: what its checkpoint records besides arrays."""

import math
from dataclasses import asdict, dataclass, field


@dataclass
class Progress:
    """epoch: epochs completed (trained, tested, recorded); the rest but history: sums over the epoch under way."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    images: int = 0
    seconds: float = 0.0
    history: list = field(default_factory=list)  # a record for each completed epoch, as in metrics.jsonl

    def add(self, result, seconds):
        """Count a StepResult that took that long. One that a GradScaler skipped, its loss not finite, has no images."""
        self.step += 1
        self.seconds += seconds
        if math.isfinite(result.loss):
            self.loss_sum += result.loss * result.images
            self.correct += result.correct
            self.images += result.images

    @property
    def train_loss(self):
        return self.loss_sum / self.images if self.images else math.nan

    @property
    def train_accuracy(self):
        return self.correct / max(self.images, 1)

    @property
    def images_per_second(self):
        return self.images / max(self.seconds, 1e-9)

    def finish_epoch(self, result, lr):
        """The epoch's record, which ends it. result: a TestResult; lr: the learning rate at the epoch's start."""
        record = {"epoch": self.epoch + 1, "train_loss": self.train_loss, "test_loss": result.loss}
        if result.accuracy is not None:
            record |= {"train_accuracy": self.train_accuracy, "test_accuracy": result.accuracy}
        record |= {f"test_{name}": value for name, value in result.metrics.items()} | {"lr": lr}
        fresh = Progress(self.epoch + 1, history=[*self.history, record])
        vars(self).update(vars(fresh))
        return record

    def best(self):
        """The record of the best epoch, the first of equals; None before the first epoch.

        That with the highest test accuracy, or the lowest test loss where there is no accuracy.
        """
        return max(self.history, key=goodness, default=None)

    def is_best(self):
        """Is the epoch completed last the best so far?"""
        return bool(self.history) and self.best() is self.history[-1]

    def epochs_since_best(self):
        """How many epochs were completed since the best."""
        return len(self.history) - 1 - self.history.index(self.best()) if self.history else 0

    def to_dict(self):
        return asdict(self)

    @classmethod
    def from_dict(cls, saved):
        """What to_dict gave. ValueError, naming the part, for what no run can have written."""
        kinds = {name: type(value) for name, value in cls().to_dict().items()}
        if not isinstance(saved, dict) or saved.keys() != kinds.keys():
            raise ValueError(f"the checkpoint's progress must have {', '.join(kinds)}")
        for name, value in saved.items():
            if type(value) is not kinds[name] or (kinds[name] is int and value < 0):
                raise ValueError(f"the checkpoint's progress has {name} {value!r}, which is no {kinds[name].__name__}")
        if not all(isinstance(record, dict) and cls.recorded() <= record.keys() for record in saved["history"]):
            raise ValueError(f"each record of the checkpoint's history must have {', '.join(sorted(cls.recorded()))}")
        return cls(**saved)

    @staticmethod
    def recorded():
        """The names in a record of history that others read."""
        return {"epoch", "train_loss", "test_loss", "lr"}


def goodness(record):
    """What is the higher, the better an epoch's test went."""
    return record["test_accuracy"] if "test_accuracy" in record else -record["test_loss"]
