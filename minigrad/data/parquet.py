"""Images in Parquet files as hubs publish them, with the pyarrow package (`pip install minigrad[parquet]`).

A row is an encoded image and its label. Files say how many rows they have, so labels are read at the start, and images
forwards, some rows at a time (see `reading`).
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .encoded import LARGEST_IMAGE, Encoded, given_names, numbered_names
from .errors import DataError
from .foreign import blaming, open_regular
from .text import printable, shown

PARTS = {True: ("train",), False: ("validation", "val", "valid", "test")}
PLACES = ".", "data"  # below the root: where the files may be
IMAGE, LABEL = ("image", "img"), "label"  # names of columns
MOST_ROWS = 10_000_000  # of a file
LARGEST_GROUP = 1 << 30  # bytes of a row group's images
ROWS, BUFFER = 16, 1 << 20  # how many are read at a time; bytes
NUMBERED = re.compile(r"(.*)-(\d{1,6})-of-(\d{1,6})")


class Parquet(Encoded):
    """`root/data/train-00000-of-00002.parquet` and so on; for testing `validation`, `val`, `valid` or `test`.

    Columns: `image` (or `img`), a struct whose `bytes` are an encoded image, or the encoded image itself; `label`, an
    integer. The files may also lie in root. classes: the names that labels count, in this order; None: the lines of
    `root/classes.txt`, else the names that the files give (as Hugging Face's ClassLabel), else "class 0" and so on.
    transform, target_transform, least_side: as of ImageFolder. A DataLoader that trains takes `sampler`.

    DataError, naming file and row, for files that are damaged, incomplete or of another form, for a null, and for a
    label beyond the classes; BadImage, when it is asked for, for an image that can't be decoded.
    """

    name = "parquet"

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        download: bool = False,
        classes: Sequence[str] | None = None,
        *,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        least_side: int | None = None,
    ):
        if root is None or download:
            raise DataError("Parquet: cannot be downloaded: root must be a directory with data/train-*.parquet")
        self.least_side = least_side
        self.set_transforms(transform, target_transform)
        self.files = files_of(Path(root), train)
        labels, groups, given = zip(*(listed(path) for path in self.files))
        self.file_of = np.repeat(np.arange(len(self.files)), [len(of_file) for of_file in labels])
        self.first = np.cumsum([0, *(len(of_file) for of_file in labels)])  # sample of each file
        self.groups = [np.cumsum([0, *rows]) for rows in groups]  # the first row of each row group
        self.labels = np.concatenate(labels)
        largest = int(self.labels.argmax())
        names = given_names(Path(root), classes) or given[0]
        self.classes = names or numbered_names(int(self.labels[largest]) + 1)
        if self.labels[largest] >= len(self.classes):
            where = f"{shown(self.path(largest))}: {self.where(largest)}"
            raise DataError(f"{where}: the label {self.labels[largest]}, but there are {len(self.classes)} classes")

    def row(self, index: int) -> int:
        """The row of a sample in its file."""
        return int(index - self.first[self.file_of[index]])

    def opened(self, index: int) -> "Rows":
        """The file that a sample is in, open for reading."""
        return Rows(self.path(index), self.groups[self.file_of[index]])

    def piece(self, index: int, file: "Rows") -> bytes:
        """The encoded image of a sample in an open file."""
        return file.image(self.row(index))

    def where(self, index: int) -> str:
        """The sample's row in its file."""
        return f"row {self.row(index)}"


class Rows:
    """The images of an open file, which are read forwards within a row group, some rows at a time.

    first: the first row of each row group.
    """

    def __init__(self, path: Path, first: np.ndarray):
        self.path, self.first, self.file = path, first, opened(path)
        self.group, self.begin, self.end = -1, 0, 0  # of the rows that are in memory
        self.batches, self.images = iter(()), []

    def image(self, row: int) -> bytes:
        """The encoded image in a row. DataError, naming the row, if there is none, or it is too large or damaged."""
        with blaming(self.path, f"cannot read row {row}", Exception):
            self.go_to(row)
            value = self.images[row - self.begin].as_py()
        if isinstance(value, dict):
            value = value["bytes"]
        if value is None or len(value) > LARGEST_IMAGE:
            what = "no image (null)" if value is None else f"{len(value):,} bytes; at most {LARGEST_IMAGE:,}"
            raise DataError(f"{shown(self.path)}: row {row} has {what}")
        return value

    def go_to(self, row: int) -> None:
        """Have this row in memory."""
        group = int(np.searchsorted(self.first, row, side="right")) - 1
        if group != self.group or row < self.begin:
            self.group, self.end = group, int(self.first[group])
            column = image_column(self.path, self.file.schema_arrow)
            self.batches = self.file.iter_batches(ROWS, row_groups=[group], columns=[column], use_threads=False)
        while row >= self.end:
            batch = next(self.batches, None)
            if batch is None:
                raise ValueError("there are fewer rows than the file says")
            self.begin, self.end, self.images = self.end, self.end + batch.num_rows, batch.column(0)

    def close(self) -> None:
        """Close the file."""
        self.batches, self.images = iter(()), []
        self.file.close(force=True)


def opened(path: Path) -> Any:
    """pyarrow's ParquetFile. DataError without pyarrow, and for what is no such file."""
    try:
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(f"{shown(path)}: reading Parquet needs pyarrow: pip install 'minigrad[parquet]'") from None
    file = open_regular(path)
    try:
        with blaming(path, "is no Parquet file, or damaged", Exception):
            return pq.ParquetFile(
                file, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True,
                thrift_string_size_limit=1 << 24, thrift_container_size_limit=1 << 20,
            )  # fmt: skip
    except DataError:
        file.close()
        raise


def has_parquet(root: str | Path) -> bool:
    """Is this a directory of such files?"""
    return any(found(Path(root), part) for part in PARTS[True])


def found(root: Path, part: str) -> list[Path]:
    """The files of a part, by name."""
    forms = f"{part}-*.parquet", f"{part}.parquet", f"{part}/*.parquet"
    return sorted(path for place in PLACES for form in forms for path in (root / place).glob(form))


def files_of(root: Path, train: bool) -> list[Path]:
    """The files of a part, by name. DataError if there are none, or not all of those that their names count."""
    for part in PARTS[train]:
        if files := found(root, part):
            check_complete(files)
            return files
    raise DataError(f"Parquet: no data/{PARTS[train][0]}-*.parquet in {shown(root)}")


def check_complete(files: list[Path]) -> None:
    """DataError if the first name says that there are more files, and one of them is missing."""
    first = files[0]
    if (numbers := NUMBERED.fullmatch(first.stem)) is None:
        return
    part, number, total = numbers.groups()
    for i in range(int(total)):
        wanted = first.with_name(f"{part}-{i:0{len(number)}}-of-{total}.parquet")
        if wanted not in files:
            raise DataError(f"{shown(wanted)}: missing; {shown(first.name)} is there")


def listed(path: Path) -> tuple[np.ndarray, list[int], tuple[str, ...]]:
    """(labels, rows of each row group, names of the classes if it has them) of a file. DataError, naming the row."""
    file = opened(path)
    try:
        with blaming(path, "is no Parquet file, or damaged", Exception):
            check_form(path, file)
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            labels = labels_of(path, file, sum(rows))
            return labels, rows, names_of(file.schema_arrow)
    finally:
        file.close(force=True)


def check_form(path: Path, file) -> None:
    """DataError for columns of other names or types, and for what the file claims of its sizes."""
    import pyarrow.types as types  # pyright: ignore[reportMissingImports]

    schema, rows = file.schema_arrow, file.metadata.num_rows
    image_column(path, schema)
    kind = schema.field(LABEL).type if LABEL in schema.names else None
    if kind is None or not types.is_integer(kind):
        what = "none of that name" if kind is None else f"of the type {kind}"
        raise DataError(f"{shown(path)}: the column {LABEL!r} must hold integers; it has {what}: {columns(schema)}")
    if not 0 < rows <= MOST_ROWS:
        raise DataError(f"{shown(path)}: it says that it has {rows:,} rows; from 1 to {MOST_ROWS:,} are read")
    for group in range(file.num_row_groups):
        if (size := file.metadata.row_group(group).total_byte_size) > LARGEST_GROUP:
            raise DataError(f"{shown(path)}: row group {group} has {size:,} bytes; at most {LARGEST_GROUP:,}")


def image_column(path: Path, schema) -> str:
    """The column that has the encoded images, as pyarrow names it. DataError if there is none."""
    import pyarrow.types as types  # pyright: ignore[reportMissingImports]

    def is_bytes(kind):
        return types.is_binary(kind) or types.is_large_binary(kind)

    for name in IMAGE:
        kind = schema.field(name).type if schema.names.count(name) == 1 else None
        if kind is not None and is_bytes(kind):
            return name
        if kind is not None and types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            if is_bytes(kind.field("bytes").type):
                return f"{name}.bytes"
    raise DataError(f"{shown(path)}: no column 'image' with bytes, or a struct of bytes and path: {columns(schema)}")


def columns(schema) -> str:
    """The columns and their types, for errors."""
    return shown("it has " + ", ".join(f"{field.name} ({field.type})" for field in schema))


def labels_of(path: Path, file, rows: int) -> np.ndarray:
    """All labels, int64 (rows,). DataError, naming the row, for a null and for a negative one."""
    labels, done = np.empty(rows, np.int64), 0
    for batch in file.iter_batches(1 << 16, columns=[LABEL], use_threads=False):
        column = batch.column(0)
        if column.null_count:
            row = done + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{shown(path)}: row {row} has no label (null)")
        part = column.to_numpy(zero_copy_only=False)
        labels[done : done + len(part)] = part
        done += len(part)
    if done != rows:
        raise DataError(f"{shown(path)}: it says that it has {rows:,} rows; there are {done:,} labels")
    if (labels < 0).any():
        row = int(np.argmax(labels < 0))
        raise DataError(f"{shown(path)}: row {row} has the label {labels[row]}; it must be at least 0")
    return labels


def names_of(schema) -> tuple[str, ...]:
    """The names of the classes that Hugging Face's libraries note in a file; () where there are none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[LABEL]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(printable(name) for name in names) if known else ()
