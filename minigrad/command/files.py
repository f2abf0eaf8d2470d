"""Files that commands write: wholly, or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path, data):
    """Bytes into a file that is either the old one or wholly the new one, even if the machine stops meanwhile.

    OSError, with the old file in place and the room given back, where it can't be written.
    """
    path = Path(path)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError) and error.filename is None:  # of write and fsync
            error.filename = str(path)
        raise
