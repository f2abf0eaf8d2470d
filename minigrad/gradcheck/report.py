"""What gradcheck says: one Mistake for each wrong input, and the error and the warning that carry them."""

from typing import NamedTuple


class Guess(NamedTuple):
    """What kind of mistake it looks like, why, and what to do about it."""

    kind: str
    text: str
    hint: str


class Mistake(NamedTuple):
    """One wrong gradient.

    input            the input's (or parameter's) name
    index            where the error is largest; None if the gradient has a wrong shape or is missing
    expected, found  the two numbers there (or the two shapes)
    share            "12 of 36 elements are wrong"
    guess            a Guess, or None where nothing simple explains it
    """

    input: str
    index: tuple | None
    expected: object
    found: object
    share: str
    guess: Guess | None

    def __str__(self):
        where = "" if self.index is None else f"[{', '.join(map(str, self.index))}]"
        lines = [f"gradient of {self.input}{where}: expected {self.expected}, found {self.found} ({self.share})"]
        if self.guess is None:
            return "\n".join([*lines, "  no simple mistake explains it; compare the backward with its formula"])
        return "\n".join([*lines, f"  looks like: {self.guess.kind}: {self.guess.text}", f"  hint: {self.guess.hint}"])


class GradcheckError(AssertionError):
    """fn's backward does not belong to its forward.

    op        the op's name
    mistakes  a Mistake for each wrong input; empty where the fault is another (in-place damage, a random function)
    kind      the kind of the first mistake: "sign", "constant factor", ...; None if it was not recognised
    """

    def __init__(self, op, mistakes=(), kind=None, text=""):
        self.op, self.mistakes = op, tuple(mistakes)
        self.kind = kind or (mistakes[0].guess.kind if mistakes and mistakes[0].guess else None)
        super().__init__("\n".join([f"{op}: {text or 'the backward pass is wrong'}", *map(str, mistakes)]))


class KinkWarning(UserWarning):
    """Somewhere the slopes to the left and to the right differ, so there is no gradient to compare with."""
