"""--freeze: parts of a net that stay as they are while the rest is trained."""

from fnmatch import fnmatchcase

from ..command.errors import UsageError
from .suggest import nearest


class Frozen:
    """Parameters that get no gradient, and the modules that are nothing but frozen.

    patterns: names of parameters or modules with * for anything, by commas: "features.*,classifier.0"; None: nothing.
    names: of the frozen parameters.
    UsageError for a pattern that no name fits, and where nothing is left to train.
    """

    def __init__(self, model, patterns=None):
        known = [name for name, _ in model.named_parameters()]
        self.names = {name for pattern in parts_of(patterns) for name in fitting(pattern, known, model)}
        if len(self.names) == len(known):
            raise UsageError(f"--freeze {patterns}: that is the whole net; nothing is left to train")
        self.parameters = [p for name, p in model.named_parameters() if name in self.names]
        for p in self.parameters:
            p.requires_grad_(False)
        self.modules = [m for m in model.modules() if has_none_but(m, self.parameters)]

    def start_training(self, model):
        """Training mode for all but frozen modules: these compute as in evaluation.

        So their batch norms keep their running statistics, and use them.
        """
        model.train()
        for module in self.modules:
            module.eval()


def parts_of(patterns):
    """The patterns between commas."""
    return [] if patterns is None else [pattern.strip() for pattern in patterns.split(",")]


def fitting(pattern, known, model):
    """The names of parameters that fit, or that lie below a module that fits. UsageError if there are none."""
    found = [name for name in known if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]
    if not found:
        modules = [name for name, _ in model.named_modules() if name]
        raise UsageError(f"--freeze: no parameter fits {pattern!r}{nearest(pattern, [*modules, *known])}")
    return found


def has_none_but(module, parameters):
    """Does a module have parameters, and all of them among these?"""
    own, frozen = [id(p) for p in module.parameters()], {id(p) for p in parameters}
    return bool(own) and frozen.issuperset(own)
