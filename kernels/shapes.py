"""Sizes of sliding windows: the one formula behind convolution and pooling, and behind every error about them."""


def window_count(size, window, stride, padding, dilation=1, ceil_mode=False):
    """How many windows fit along one axis: P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1.

    With ceil_mode the division rounds up, but a window never starts beyond the input and its left padding.
    """
    room = size + 2 * padding - dilation * (window - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def window_counts(hw, size, stride, padding, dilation=(1, 1), ceil_mode=False):
    """window_count along both axes: (H, W) -> (P, Q)."""
    return tuple(window_count(*axis, ceil_mode) for axis in zip(hw, size, stride, padding, dilation))
