"""A row of the op table."""

from dataclasses import dataclass

from minigrad import gradcheck


@dataclass(frozen=True, eq=False)
class Case(gradcheck.Case):
    """saves: the arrays its backward may keep alive, the memory price of the op."""

    saves: str = ""
