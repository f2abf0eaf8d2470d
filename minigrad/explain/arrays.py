"""Arrays in a text, in a few words; and as a page shows them: numbers when there are few, else a heat map."""

import base64

import numpy as np

from ..device import get_device

FEW = 64  # an array of no more numbers than this is shown as numbers
SIDE = 64  # a heat map has no more rows or columns than this


def number(value):
    """A number as the page writes it."""
    return f"{value:.5g}"


def described(array):
    """What a page needs of an array: shape, a line of statistics, and `rows` of texts or a `heat` map."""
    array = np.asarray(get_device("cpu").asarray(array))
    about = dict(shape=list(array.shape), type=str(array.dtype), line=line(array))
    if array.size <= FEW:
        table = array.reshape(-1, array.shape[-1] if array.ndim else 1) if array.size else np.zeros((0, 1))
        return {**about, "rows": [[number(v) for v in row] for row in table.tolist()]}
    plane, caption = picture(array)
    return {
        **about,
        "heat": heat(plane, np.abs(np.nan_to_num(array, posinf=0.0, neginf=0.0)).max()),
        "caption": caption,
    }


def line(array):
    """Shape, range, mean and standard deviation in one line; a single number is its own statistics."""
    if array.size == 1:
        return number(array.item())
    if not array.size:
        return "empty"
    low, high, mean, std = (number(f(array)) for f in (np.min, np.max, np.mean, np.std))
    return f"{low} to {high}, mean {mean}, std {std}"


def in_words(array):
    """An array in a few words: the number, up to six numbers, or shape, range and norm."""
    array = get_device("cpu").asarray(array)
    if array.ndim == 0:
        return f"{array.item():.6g}"
    if array.size <= 6:
        return np.array2string(array, precision=4, separator=", ").replace("\n", "")
    if not array.size:
        return f"{array.shape} empty"
    good = array[np.isfinite(array)]
    if not good.size:
        return f"{array.shape} nothing finite"
    rest = f", {array.size - good.size:,} not finite" if good.size < array.size else ""
    return f"{array.shape} from {good.min():.4g} to {good.max():.4g}, norm {np.linalg.norm(good):.4g}{rest}"


def summary(thing, fields):
    """A text that names the fields of a result, one a line, with its arrays in a few words."""
    width = max(map(len, fields))
    lines = [type(thing).__name__]
    for name in fields:
        value = getattr(thing, name)
        items = value.items() if isinstance(value, dict) else [("", value)]
        lines += [f"  {name:<{width}}  {f'{key}: ' if key else ''}{value_in_words(v)}" for key, v in items]
    return "\n".join(lines)


def value_in_words(value):
    return in_words(value) if hasattr(value, "strides") else str(value)


def magnitude(array):
    """The number itself if there is one, else the root mean square: how large the numbers are."""
    array = np.asarray(get_device("cpu").asarray(array))
    if array.size == 1:
        return number(array.item())
    return f"rms {number(np.sqrt(np.mean(np.square(array, dtype=np.float64))))}" if array.size else "empty"


def picture(array):
    """(plane, caption): an array of any number of axes as a matrix of at most SIDE x SIDE."""
    if array.ndim == 4 and max(array.shape[1:3]) > 7:
        maps = min(array.shape[3], 16)
        plane, caption = mosaic(array[0, :, :, :maps]), f"first image, {maps} of {array.shape[3]} channels"
    elif array.ndim > 1:
        plane, caption = array.reshape(array.shape[0], -1), f"{array.shape[0]} rows along the first axis"
    else:
        plane, caption = array[None, :], "one row"
    steps = [-(-n // SIDE) for n in plane.shape]
    if max(steps) > 1:
        plane, caption = plane[:: steps[0], :: steps[1]], f"{caption}, thinned out {max(steps)} to 1"
    return plane, caption


def mosaic(maps):
    """Feature maps (H, W, C) side by side, in a grid that is as square as can be; each at most 16 x 16."""
    maps = maps[:: -(-maps.shape[0] // 16), :: -(-maps.shape[1] // 16)]
    h, w, c = maps.shape
    across = int(np.ceil(np.sqrt(c)))
    down = -(-c // across)
    grid = np.zeros((down * across, h, w), maps.dtype)
    grid[:c] = maps.transpose(2, 0, 1)
    return grid.reshape(down, across, h, w).transpose(0, 2, 1, 3).reshape(down * h, across * w)


def heat(plane, top):
    """A matrix as bytes: 128 is zero, 1 and 255 are minus and plus `top`, the largest magnitude of its array."""
    plane = np.nan_to_num(plane.astype(np.float64), posinf=0.0, neginf=0.0)
    levels = np.rint(plane / top * 127 + 128 if top else np.full(plane.shape, 128)).astype(np.uint8)
    data = base64.b64encode(levels.tobytes()).decode()
    return dict(width=plane.shape[1], height=plane.shape[0], top=number(top), data=data)
