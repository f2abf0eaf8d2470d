"""What a file of weights holds, whatever its format."""

import json
from dataclasses import dataclass, field

import numpy as np

from .errors import WeightsError

ORIGINS = ("torch", "keras", "caffe", "minigrad")
NUMBERS = "fiub"  # kinds of NumPy's types: floating point, integers, truth values


@dataclass(frozen=True)
class Contents:
    """path; arrays {name: array}, as the file has them; origin: who wrote it, which says how the arrays are laid out.

    origin is one of ORIGINS, or None where the format does not tell.
    facts: what else the file says, such as a Keras model's layers; {} for most.
    """

    path: str
    arrays: dict
    origin: str | None
    facts: dict = field(default_factory=dict)

    def net_facts(self):
        """What a file that minigrad.export wrote says of its net, a dict; None for other files."""
        text = self.facts.get("metadata", {}).get("minigrad_net")
        if text is None:
            return None
        try:
            found = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("options", {}), dict):
            raise WeightsError(f"{self.path}: damaged: what it says of its net can't be read")
        return found

    def checked(self):
        """The same, after a look at the values. WeightsError for numbers that no net can have."""
        if not self.arrays:
            raise WeightsError(f"{self.path}: holds no weights")
        for name, array in self.arrays.items():
            check_values(self.path, name, array)
        return self


def check_values(path, name, array):
    """Refuse complex numbers, texts, NaN, infinities, and variances below 0."""
    if array.dtype.kind not in NUMBERS:
        raise WeightsError(f"{path}: {name} holds {array.dtype} values; weights are real numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WeightsError(f"{path}: {name} holds NaN or infinite values")
    is_variance = name.endswith(("running_var", "moving_variance", "moving_variance:0", "/variance"))
    if is_variance and array.size and array.min() < 0:
        raise WeightsError(f"{path}: {name} is a variance and has values below 0 ({array.min():.3g})")
