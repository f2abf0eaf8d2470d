"""Zip archives, opened only where their directory is of a size that can be of a net."""

import os
import re
import struct
import zipfile

from .errors import MAX_TENSORS, WeightsError

MAX_DIRECTORY = 300 * MAX_TENSORS  # bytes; an entry takes 46 and its name
END = re.compile(rb"(?=PK\x05\x06.{8}(.{4}))", re.DOTALL)  # the record at an archive's end; then the directory's size
END64 = re.compile(rb"(?=PK\x06\x06.{36}(.{8}))", re.DOTALL)  # the same of large ones (APPNOTE.TXT 4.3.14)
TAIL = 56 + 20 + 22 + (1 << 16)  # bytes at the end in which these lie: END64, its locator, END, a comment
IN_END64 = b"\xff" * 4  # a size that END64 gives


def opened(path):
    """The file as a zipfile.ZipFile. WeightsError if its directory, which that would read whole, is too large."""
    size = directory_size(path)
    if size > MAX_DIRECTORY:
        raise WeightsError(f"{path}: refused: a zip directory of {size:,} bytes; no net has so many tensors")
    return zipfile.ZipFile(path)


def bytes_of(archive, entry):
    """The bytes of an entry, so many as the directory says: left to itself, zipfile unpacks all before it counts.

    WeightsError for LZMA and the like, which NumPy and Keras don't write: their headers may ask for gigabytes.
    """
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise WeightsError(f"{archive.filename}: refused: {entry.filename} is compressed in an unusual way")
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def directory_size(path):
    """How many bytes the directory takes, at most: the largest that a record, or what looks like one, gives."""
    with open(path, "rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
        tail = file.read()
    sizes = [struct.unpack("<I", found)[0] for found in END.findall(tail) if found != IN_END64]
    return max(sizes + [struct.unpack("<Q", found)[0] for found in END64.findall(tail)], default=0)
