"""One image file as RGB bytes, whatever its format, its depth, its colours and the way the camera was held."""

from pathlib import Path

import numpy as np

from .errors import BadImage, DataError
from .foreign import open_regular
from .text import reason, shown

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff", ".webp")
    + (".ppm", ".pgm", ".pbm", ".pnm")
)
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # what a file may be, whatever its name says
ORIENTATION = 0x0112  # the tag of EXIF
UPRIGHT = {  # what the camera says: what to do with the array (H, W, C)
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def read_image(path: str | Path, least_side: int | None = None) -> np.ndarray:
    """The image as RGB uint8 (H, W, 3), upright as its EXIF orientation says; of an animation the first frame.

    least_side: a JPEG is decoded at a half, a quarter or an eighth of its size, as long as its shorter side keeps so
    many pixels: quicker by far for a large photograph that is then made small. None: whole, as other formats are.

    Transparent parts are laid on white. Grey images of more than 8 bits are scaled by the range of their type, see
    `grey_to_bytes`. An image with more pixels than Pillow's own limit, `PIL.Image.MAX_IMAGE_PIXELS`, is refused before
    it is decoded.

    Raises BadImage, naming the file, if it is damaged, too large or no image.
    """
    try:
        with open_regular(path) as file:
            return decoded(file, path, least_side)
    except BadImage:
        raise
    except DataError as error:
        raise BadImage(str(error), path) from error


def decoded(file, path: str | Path, least_side: int | None = None) -> np.ndarray:
    """`read_image` of an open file. path: its name, for errors."""
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as picture:
            check_size(picture.size, Image.MAX_IMAGE_PIXELS)
            if least_side:
                draft(picture, least_side)
            array = to_rgb(picture)
            return np.ascontiguousarray(UPRIGHT.get(orientation(picture), np.asarray)(array))
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and more
        raise BadImage(f"{shown(path)}: cannot decode image: {words(error)}", path) from error


def draft(picture, least_side: int) -> None:
    """Have a JPEG decoded smaller, as read_image says; Pillow leaves other formats as they are."""
    picture.draft(None, tuple(least_side * side // min(picture.size) for side in picture.size))


def words(error: Exception) -> str:
    """Pillow's message without the address of the stream that it read."""
    unknown = type(error).__name__ == "UnidentifiedImageError"
    return "it is no image, or of a format that isn't read" if unknown else reason(error)


def check_size(size: tuple[int, int], most: int | None) -> None:
    """ValueError for more than `most` pixels; None: no limit."""
    if most is not None and size[0] * size[1] > most:
        raise ValueError(f"it is too large: {size[0]} x {size[1]} pixels, at most {most:,} are decoded")


def orientation(picture) -> int:
    """1 to 8, as EXIF counts them; 1, upright, where there is none that can be read. Ask when the image is decoded."""
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # the pixels are whole all the same
        return 1


def to_rgb(picture) -> np.ndarray:
    """uint8 (H, W, 3) of a Pillow image of any mode."""
    from PIL import Image

    if picture.mode == "RGB" and "transparency" not in picture.info:
        return np.array(picture)
    if picture.mode[0] in "IF":
        grey = grey_to_bytes(np.asarray(picture), sixteen=picture.mode != "F" and picture.format in ("PPM", "PNG"))
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return np.array(Image.alpha_composite(white, seen).convert("RGB"))
    return np.array(picture.convert("RGB"))


def grey_to_bytes(values: np.ndarray, sixteen: bool = False) -> np.ndarray:
    """Grey values of any type as uint8.

        16-bit integers           v / 257, so that 65535 becomes 255
        floats in [0, 1]          255 v
        other values in [0, 255]  as they are
        in [0, 65535]             v / 257
        all others                the smallest becomes 0, the largest 255

    sixteen: the integers are of 16 bits, though their array has room for more. ValueError for nan and infinity.
    """
    if sixteen or (values.dtype.kind == "u" and values.dtype.itemsize == 2):
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("it holds values that are not finite")
    if low < 0 or high > 65535:
        start, scale = low, 255 / (high - low) if high > low else 0.0
    elif values.dtype.kind == "f" and high <= 1:
        start, scale = 0.0, 255.0
    else:
        start, scale = 0.0, 1.0 if high <= 255 else 1 / 257
    return np.rint((values.astype(np.float64) - start) * scale).astype(np.uint8)
