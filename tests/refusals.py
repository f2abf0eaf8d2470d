"""What must be refused, and in which words."""

import pytest


def refused(make, error, *parts):
    """make() raises this error, and its message has all of these parts."""
    with pytest.raises(error) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)
