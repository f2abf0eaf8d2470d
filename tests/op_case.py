"""A row of the op table."""

from collections.abc import Callable
from dataclasses import dataclass

from minigrad import gradcheck


@dataclass(frozen=True, eq=False)
class Case(gradcheck.Case):
    """saves: the arrays its backward may keep alive, the memory price of the op.

    plain: for a fused op, the composition that it must equal.
    """

    saves: str = ""
    plain: Callable | None = None

    def run_plain(self, tensors):
        return self.plain(*tensors, **self.settings(tensors[0].device, tensors[0].dtype))
