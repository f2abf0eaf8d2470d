"""x.size: NumPy's number and torch's function in one."""


class Count(int):
    """How many numbers a tensor has, as NumPy says it; called, torch's size: the shape, or the length of one axis."""

    shape: tuple

    def __new__(cls, array):
        count = super().__new__(cls, array.size)
        count.shape = array.shape
        return count

    def __call__(self, dim=None):
        """The shape as a tuple, or the length of axis dim. IndexError for an axis that is not there."""
        if dim is not None and not -len(self.shape) <= dim < len(self.shape):
            raise IndexError(f"size: dim must be an axis of shape {self.shape}; got {dim}")
        return self.shape if dim is None else self.shape[dim]
