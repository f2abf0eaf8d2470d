"""What is said of a file of weights that can't be used, and the limits that such a file has to keep."""

MAX_TENSORS = 20_000  # resnet1202 has 7,200
MAX_HEADER = 16 << 20  # bytes that describe tensors rather than being tensors
UNPACKED = 20  # bytes that one byte of a compressed file may become ...
SMALL = 64 << 20  # ... in files that become larger than this


class WeightsError(ValueError):
    """A file of weights that is damaged, refused or does not fit; the message says why in one line."""


def check_count(path, count):
    """Refuse a file that claims more tensors than any net has."""
    if count > MAX_TENSORS:
        raise WeightsError(f"{path}: more than {MAX_TENSORS:,} tensors; no net has so many")


def check_unpacked(path, size, unpacked):
    """Refuse a file of `size` bytes whose contents would take far more memory than it is long."""
    if unpacked > max(SMALL, UNPACKED * size):
        raise WeightsError(f"{path}: {size:,} bytes that claim to hold {unpacked:,}: refused as a decompression bomb")
