"""Does what was measured in some runs agree with what was published of others?"""

import math
from statistics import mean, stdev
from typing import NamedTuple

QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # of Student's t, 0.975, 1 to 10


class Verdict(NamedTuple):
    """word: reproduced, better or worse; margin: how far the two may lie apart by chance, in per cent."""

    word: str
    margin: float


def judged(errors, published, spread=None, runs=1):
    """The Verdict on our runs' errors (per cent) beside the published one, a mean of so many runs of that spread.

    Both are taken as runs of one and the same thing, which vary alike. Then the difference of the two means is, in 95
    of 100 cases, at most t s sqrt(1/n + 1/k): n and k are the numbers of our runs and of theirs, s the standard
    deviation of all around their own mean, t the quantile of Student's distribution with n + k - 2 degrees of freedom.
    Without a published spread theirs count as one run. None where no freedom is left: one run doesn't tell how runs
    vary.
    """
    n, k = len(errors), runs if spread is not None else 1
    freedom = n + k - 2
    if freedom < 1:
        return None
    squares = (n - 1) * (stdev(errors) ** 2 if n > 1 else 0.0) + (k - 1) * (spread or 0.0) ** 2
    margin = quantile(freedom) * math.sqrt(squares / freedom * (1 / n + 1 / k))
    difference = mean(errors) - published
    if abs(difference) <= margin:
        return Verdict("reproduced", margin)
    return Verdict("worse" if difference > 0 else "better", margin)


def quantile(freedom):
    """What Student's t stays below in 97.5 of 100 cases."""
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    return 1.960 + 2.372 / freedom + 2.823 / freedom**2  # Cornish and Fisher's series; within 0.002 above 10
