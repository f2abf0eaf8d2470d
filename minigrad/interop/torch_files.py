"""torch's .pth, .pt, .th, .tar: the zip format (since 1.6) and the older one of pickles and storages in a row.

The pickle is read as data (pickles.py): a list of names says what a plain state_dict may mention, and any other name is
refused. Tensors are views of their storages, so that the memory taken is bounded by the file's length.
"""

import io
import os
import struct
import warnings
import zipfile

import numpy as np

from .contents import Contents
from .errors import MAX_HEADER, WeightsError, check_count
from .pickles import Call, Machine, Name, Persistent
from .zips import opened

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
DTYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?", "BFloat16Storage": "<u2",
}  # fmt: skip
TENSORS = {"_rebuild_tensor", "_rebuild_tensor_v2"}
# Notes beside the weights: mentioned in many training checkpoints, and of no effect since nothing is called.
HARMLESS = {
    "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "torch._utils._rebuild_parameter",
    "torch.Size", "torch.device", "torch.float32", "torch.float64", "torch.float16", "torch.int64",
    "argparse.Namespace", "_codecs.encode", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "builtins.set", "__builtin__.set",
    "pathlib.PosixPath", "pathlib.Path", "types.SimpleNamespace", "datetime.datetime", "datetime.timedelta",
    "torch.bfloat16", "torch.int32", "torch.uint8", "torch.bool",
    *(f"{m}.{t}" for m in ("builtins", "__builtin__") for t in ("list", "dict", "int", "float", "str", "frozenset")),
}  # fmt: skip
WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "params", "weights", "module", "model_state", "network")
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema")  # beside one of WRAPPERS, or alone


def read(path):
    """Contents of a torch file. WeightsError, executing nothing, for what is not a plain state_dict."""
    found = read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
    return Contents(str(path), arrays_of(path, found), "torch", note_of(found[0]))


def note_of(root):
    """What minigrad.export wrote of the net beside its weights, as facts of the Contents; {} in files of others."""
    note = root.get("minigrad_net") if isinstance(root, dict) else None
    return {"metadata": {"minigrad_net": note}} if isinstance(note, str) else {}


def check_name(path, name):
    """WeightsError for a name that a plain state_dict does not mention, saying what it makes of the file."""
    known = (name.module == "torch" and name.name in DTYPES) or (name.module == "torch._utils" and name.name in TENSORS)
    if known or str(name) in HARMLESS:
        return
    if name.module.startswith("torch._utils") or name.module == "torch":
        raise WeightsError(f"{path}: refused: {name} is not supported; only plain dense tensors are read")
    raise WeightsError(
        f"{path}: refused: its pickle asks for {name}, which is code and no weights (a whole pickled module?); nothing "
        "was executed. Save net.state_dict() where the class is known"
    )


def machine(path):
    return Machine(path, lambda name: check_name(path, name))


# The zip format


def read_zip(path):
    """(object, {key: bytes of a storage})."""
    try:
        with opened(path) as archive:
            root = checked_archive(path, archive)
            if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
                raise WeightsError(f"{path}: written by a big-endian machine, which is not supported")
            root_object = machine(path).run(io.BytesIO(archive.read(f"{root}data.pkl")))
            data = f"{root}data/"
            names = [name for name in archive.namelist() if name.startswith(data)]
            return root_object, {name.removeprefix(data): archive.read(name) for name in names}
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise WeightsError(f"{path}: damaged: {error}") from None


def checked_archive(path, archive):
    """The folder within the archive, after refusing what torch does not write."""
    pickles = [entry for entry in archive.infolist() if entry.filename.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise WeightsError(f"{path}: a zip archive, but not one of torch.save (no single data.pkl)")
    check_count(path, len(archive.infolist()))
    if any(entry.filename.split("/")[-1] == "constants.pkl" for entry in archive.infolist()):
        raise WeightsError(f"{path}: refused: a TorchScript program, which is code: save model.state_dict()")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise WeightsError(f"{path}: refused: compressed entries, which torch.save does not write")
    if sum(entry.file_size for entry in archive.infolist()) > os.path.getsize(path):
        raise WeightsError(f"{path}: refused: its entries claim more bytes than the file has")
    if pickles[0].file_size > MAX_HEADER:
        raise WeightsError(f"{path}: refused: a pickle of {pickles[0].file_size:,} bytes describes its tensors")
    return pickles[0].filename.removesuffix("data.pkl")


def numbers_of(path, storages, kind, key, numel):
    """A storage's bytes as numbers of its type."""
    data, dtype = storages.get(key), np.dtype(DTYPES[kind])
    if data is None:
        raise WeightsError(f"{path}: damaged: no storage {key!r}")
    if not isinstance(numel, int) or numel < 0 or numel * dtype.itemsize > len(data):
        raise WeightsError(f"{path}: damaged: a storage that claims more numbers than its {len(data):,} bytes hold")
    return np.frombuffer(data, dtype, numel)


# The older format


class Bounded:
    """A file whose read() never asks for more than there is: a length in the file allocates nothing by itself."""

    def __init__(self, file, size):
        self.file, self.size, self.tell, self.readline = file, size, file.tell, file.readline

    def read(self, n=-1):
        left = self.size - self.file.tell()
        return self.file.read(left if n < 0 else min(n, left))


def read_legacy(path):
    """(object, {key: bytes}) of pickles in a row: magic, protocol, system, object, keys; then the storages."""
    with open(path, "rb") as file:
        bounded = Bounded(file, os.path.getsize(path))
        start = file.read(1)
        file.seek(0)
        if start != b"\x80" or machine(path).run(bounded) != MAGIC:
            raise WeightsError(f"{path}: not a file of torch.save (neither its zip nor its older format)")
        _protocol, _system, root_object, keys = (machine(path).run(bounded) for _ in range(4))
        if not isinstance(keys, list):
            raise WeightsError(f"{path}: damaged: no list of storages")
        check_count(path, len(keys))
        return root_object, legacy_storages(path, bounded, keys, kinds_below(root_object))


def kinds_below(value):
    """{storage's key: its type} of all storages that an object refers to."""
    stack, seen, kinds = [value], set(), {}
    while stack:
        item = stack.pop()
        if isinstance(item, Persistent):
            _, kind, key, *_ = checked_id("", item)
            kinds[key] = kind
        elif id(item) not in seen:
            seen.add(id(item))
            stack += parts_of(item)
    return kinds


def parts_of(item):
    if isinstance(item, Call):
        return [*item.items.values(), *item.arguments, item.state]
    if isinstance(item, dict):
        return list(item.values())
    return list(item) if isinstance(item, list | tuple) and not isinstance(item, Name) else []


def legacy_storages(path, file, keys, kinds):
    """{key: bytes} of what follows the pickles."""
    read = {}
    for key in keys:
        count = file.read(8)
        if len(count) < 8 or key not in kinds:
            raise WeightsError(f"{path}: truncated: {len(read)} of {len(keys)} storages")
        (numel,) = struct.unpack("<q", count)
        size = numel * np.dtype(DTYPES[kinds[key]]).itemsize
        if numel < 0 or size > file.size - file.tell():
            raise WeightsError(f"{path}: truncated: {len(read)} of {len(keys)} storages")
        read[key] = file.read(size)
    return read


# From the described object to arrays


def arrays_of(path, found):
    """{name: array} of the state_dict in what was read."""
    root_object, storages = found
    state = state_in(path, root_object)
    check_count(path, len(state))
    arrays = {name: array_of(path, name, value, storages) for name, value in state.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def state_in(path, value):
    """The state_dict: what was saved itself, or what stands in it under a customary name, or alone. One dict.

    A training checkpoint may hold tensors beside it, such as the best accuracy; their names have no dots.
    """
    for _ in range(4):
        value = dict_of(value) or {}
        tensors = {name: v for name, v in value.items() if isinstance(name, str) and is_tensor(v)}
        inner = {name: v for name, v in value.items() if isinstance(name, str) and holds_weights(v)}
        found = next((inner[w] for w in (*WRAPPERS, *AVERAGES) if w in inner), None)
        if found is None and not any("." in name for name in tensors):
            found = only(path, inner)
        if found is None and tensors:
            return tensors
        warn_of_averages(path, inner)
        value = found
    raise WeightsError(f"{path}: no state_dict in it: a dict of tensors, or one under {', '.join(WRAPPERS)}")


def dict_of(value):
    """A dict as it is, or what an OrderedDict's call holds; None for what is neither."""
    value = value.items if isinstance(value, Call) and not is_tensor(value) else value
    return value if isinstance(value, dict) else None


def holds_weights(value):
    """Is this a dict with a tensor or a dict in it?"""
    return any(is_tensor(v) or dict_of(v) for v in (dict_of(value) or {}).values())


def only(path, inner):
    """The one of some dicts that holds a state_dict, whatever its name. WeightsError if there are several."""
    holding = {name: v for name, v in inner.items() if is_state_dict(dict_of(v))}
    if len(holding) > 1:
        raise WeightsError(
            f"{path}: weights of several nets ({', '.join(map(repr, holding))}): save the one that is meant"
        )
    return next(iter(holding.values()), None)


def is_state_dict(value):
    """Does this dict hold tensors, or a state_dict under a customary name?"""
    return any(is_tensor(v) or name in WRAPPERS for name, v in value.items())


def warn_of_averages(path, inner):
    """Say so where averaged weights stand beside those that are read."""
    both = [next((w for w in names if w in inner), None) for names in (WRAPPERS, AVERAGES)]
    if all(both):
        warnings.warn(
            f"{path}: holds weights under {both[0]!r} and averages of them under {both[1]!r}; those under "
            f"{both[0]!r} are read",
            stacklevel=2,
        )


def is_tensor(value):
    return isinstance(value, Call) and value.name.module == "torch._utils"


def array_of(path, name, value, storages):
    """The array that a call of torch's rebuilding functions stands for; None for what is no tensor."""
    if not is_tensor(value):
        return None
    if value.name.name == "_rebuild_parameter":
        return array_of(path, name, value.arguments[0], storages)
    if len(value.arguments) < 4 or not isinstance(value.arguments[0], Persistent):
        raise WeightsError(f"{path}: damaged: {name} is no tensor")
    reference, offset, size, stride = value.arguments[:4]
    _, kind, key, _, numel = checked_id(path, reference)
    return view(path, name, numbers_of(path, storages, kind, key, numel), (offset, size, stride), kind)


def checked_id(path, persistent):
    """("storage", type's name, key, location, numel) of a persistent id."""
    key = persistent.key
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Name):
        raise WeightsError(f"{path}: damaged: a reference that is no storage")
    if key[1].name not in DTYPES or not isinstance(key[2], str):
        raise WeightsError(f"{path}: refused: storages of {key[1]} are not supported")
    return "storage", key[1].name, *key[2:5]


def view(path, name, flat, layout, kind):
    """A storage's numbers as a tensor: offset, size and stride in elements, all inside the storage."""
    offset, size, stride = layout
    numbers = (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else ()
    if not numbers or len(size) != len(stride) or any(not isinstance(n, int) or n < 0 for n in numbers):
        raise WeightsError(f"{path}: damaged: size, stride and offset of {name} are not numbers >= 0, one an axis each")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride)) if all(size) else offset - 1
    if last >= flat.size or np.prod(size, dtype=object) > flat.size:
        raise WeightsError(f"{path}: refused: {name} of size {size} reaches outside its storage of {flat.size:,}")
    strides = [s * flat.itemsize for s in stride]
    array = np.lib.stride_tricks.as_strided(flat[offset:], size, strides, writeable=False)
    return (array.astype("<u4") << 16).view("<f4") if kind == "BFloat16Storage" else array
