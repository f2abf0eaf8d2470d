"""One image file of any kind."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minigrad import data
from minigrad.data import BadImage, read_image
from minigrad.pack.__main__ import main as pack

RAMP = np.arange(256, dtype=np.uint32).reshape(16, 16)


def saved(tmp_path, picture, name, **settings):
    picture.save(tmp_path / name, **settings)
    return read_image(tmp_path / name)


def grey(values):
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


# Depth


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_sixteen_bits_are_divided_by_257(tmp_path, name):
    values = (RAMP * 257).astype(np.uint16)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(values), name), grey(RAMP))
    halves = np.array([[0, 128, 129, 65406, 65407, 65535]], np.uint16)
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(halves), name)[0, :, 0], [0, 0, 1, 254, 255, 255])


def test_sixteen_bits_of_a_pgm(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P5 16 16 65535\n" + (RAMP * 257).astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "x.pgm"), grey(RAMP))


def test_sixteen_bits_with_the_high_byte_first(tmp_path):
    picture = Image.frombytes("I;16B", (16, 16), (RAMP * 257).astype(">u2").tobytes())
    np.testing.assert_array_equal(saved(tmp_path, picture, "x.tif"), grey(RAMP))


@pytest.mark.parametrize(
    "dtype, values, expected",
    [
        (np.float32, [0, 0.25, 0.5, 1], [0, 64, 128, 255]),
        (np.float32, [0, 0.001, 0.002, 0.004], [0, 0, 1, 1]),
        (np.float32, [0, 1.5, 100, 254.6], [0, 2, 100, 255]),
        (np.float32, [0, 257, 25700, 65535], [0, 1, 100, 255]),
        (np.float32, [-1, -0.5, 0, 1], [0, 64, 128, 255]),
        (np.float32, [-7, -7, -7, -7], [0, 0, 0, 0]),
        (np.int32, [0, 1, 128, 255], [0, 1, 128, 255]),
        (np.int32, [0, 257, 25700, 65535], [0, 1, 100, 255]),
        (np.int32, [-1000, 0, 1000, 2**24], [0, 0, 0, 255]),
    ],
)
def test_other_grey_values_are_scaled_by_their_range(tmp_path, dtype, values, expected):
    picture = Image.fromarray(np.array([values], dtype))
    np.testing.assert_array_equal(saved(tmp_path, picture, "x.tif")[0], np.array(expected)[:, None].repeat(3, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    with pytest.raises(BadImage, match=r"x\.tif: cannot decode image: it holds values that are not finite"):
        saved(tmp_path, Image.fromarray(np.array([[0, value]], np.float32)), "x.tif")


# Colours


def test_transparent_parts_lie_on_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], np.uint8)
    expected = [[10, 20, 30], [255, 255, 255], [127, 127, 127]]
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(pixels), "x.png")[0], expected)
    letter = Image.fromarray(np.array([[[0, 255], [0, 0]]], np.uint8), "LA")
    np.testing.assert_array_equal(saved(tmp_path, letter, "y.png")[0], [[0] * 3, [255] * 3])


def test_palettes(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 20, 30, 40, 50])
    picture.putpixel((1, 0), 1)
    for name in ("x.png", "x.gif"):
        np.testing.assert_array_equal(saved(tmp_path, picture, name)[0], [[200, 10, 20], [30, 40, 50]])
    np.testing.assert_array_equal(saved(tmp_path, picture, "y.png", transparency=1)[0], [[200, 10, 20], [255] * 3])


def test_one_bit_and_cmyk(tmp_path):
    picture = Image.fromarray(np.array([[True, False]]))
    np.testing.assert_array_equal(saved(tmp_path, picture, "x.png")[0], [[255] * 3, [0] * 3])
    white = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "x.jpg")
    cyan = saved(tmp_path, Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "y.jpg")
    assert white.min() > 250 and cyan[0, 0, 0] < 5 and cyan[0, 0, 1:].min() > 250


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tif"])
def test_an_animation_gives_its_first_frame(tmp_path, name):
    red, blue = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    image = saved(tmp_path, red, name, save_all=True, append_images=[blue])
    assert image.shape == (8, 8, 3) and image[0, 0, 0] > 250 and image[0, 0, 2] < 5


# The way the camera was held

UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
HELD = {  # where the 0th row and the 0th column of the stored image are in the upright one (EXIF 2.3, tag 0112)
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT.T[::-1],  # the 0th row is the right-hand side
    7: UPRIGHT.T[::-1, ::-1],
    8: UPRIGHT.T[:, ::-1],  # the 0th row is the left-hand side
}


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
@pytest.mark.parametrize("orientation", HELD)
def test_images_are_turned_upright(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"lossless": True} if name == "x.webp" else {}
    picture = Image.fromarray(grey(HELD[orientation]))
    np.testing.assert_array_equal(saved(tmp_path, picture, name, exif=exif, **settings), grey(UPRIGHT))


def test_a_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright, stored lying on its left side
    stored = np.zeros((20, 40, 3), np.uint8)
    stored[:, :20] = 255  # the left half is the upper one
    image = saved(tmp_path, Image.fromarray(stored), "x.jpg", exif=exif)
    assert image.shape == (40, 20, 3) and image[:18].min() > 250 and image[22:].max() < 5


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_leaves_the_image_as_it_is(tmp_path, exif):
    assert saved(tmp_path, Image.new("RGB", (5, 4)), "x.jpg", exif=exif).shape == (4, 5, 3)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_do_not_exist(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert saved(tmp_path, Image.new("RGB", (5, 4)), "x.png", exif=exif).shape == (4, 5, 3)


# Bad ones


def png_that_claims(width, height):
    """A PNG whose header promises so many grey pixels; there is next to nothing behind it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.parametrize("side", [13_300, 9_500])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, side):
    (tmp_path / "x.png").write_bytes(png_that_claims(side, side))
    with pytest.raises(BadImage, match=rf"x\.png: cannot decode image: it is too large: {side} x {side} pixels"):
        read_image(tmp_path / "x.png")


def test_a_file_may_only_be_an_image(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(BadImage, match=r"x\.jpg: cannot decode image: it is no image, or of a format that isn't read"):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"BM" + b"\xff" * 60]
)
def test_rubbish_is_named(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BadImage, match=r"x\.png: ") as caught:
        read_image(tmp_path / "x.png")
    assert caught.value.path == tmp_path / "x.png" and "\n" not in str(caught.value)
    assert "<_io" not in str(caught.value) and isinstance(caught.value, data.DataError)


def test_every_cut_of_a_file_is_refused_or_whole(tmp_path):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, "png")
    whole = out.getvalue()
    for end in range(0, len(whole) - 20, 7):
        (tmp_path / "x.png").write_bytes(whole[:end])
        with pytest.raises(BadImage):
            read_image(tmp_path / "x.png")


# Smaller than it is


def gradients_of(height, width):
    """A smooth picture, which keeps its looks at any size."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return Image.fromarray((255 * np.stack([x, y, 1 - x], -1)).astype(np.uint8))


@pytest.mark.parametrize("least, size", [
    (None, (400, 656)), (400, (400, 656)), (201, (400, 656)), (200, (200, 328)), (101, (200, 328)), (100, (100, 164)),
    (50, (50, 82)), (1, (50, 82)), (4000, (400, 656)),
])  # fmt: skip
@pytest.mark.parametrize("upright", [True, False])
def test_a_jpeg_is_decoded_as_small_as_its_shorter_side_may_be(tmp_path, least, size, upright):
    picture = gradients_of(400, 656) if upright else gradients_of(656, 400)
    picture.save(tmp_path / "x.jpg", quality=95)
    size = size if upright else size[::-1]
    small = read_image(tmp_path / "x.jpg", least_side=least)
    assert small.shape == (*size, 3)
    shrunk = np.asarray(picture.resize(size[::-1], Image.Resampling.BOX), np.int64)
    assert np.abs(small - shrunk).mean() < 3


def test_what_the_camera_says_holds_for_the_smaller_one(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    gradients_of(400, 656).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg", 100).shape == (164, 100, 3)


def test_other_formats_are_decoded_whole(tmp_path):
    picture = gradients_of(40, 64)
    for name in ("x.png", "x.webp", "x.bmp", "x.tif"):
        picture.save(tmp_path / name)
        assert read_image(tmp_path / name, 5).shape == (40, 64, 3)


def test_folders_and_shards_decode_so(tmp_path):
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / "photos" / place).mkdir(parents=True)
        gradients_of(400, 656).save(tmp_path / "photos" / place / "a.jpg")
    folder = data.ImageFolder(tmp_path / "photos", least_side=100)
    assert folder[0][0].shape == (100, 164, 3)
    assert pack([str(tmp_path / "photos"), str(tmp_path / "shards")]) == 0
    np.testing.assert_array_equal(data.Shards(tmp_path / "shards", least_side=100)[0][0], folder[0][0])
    np.testing.assert_array_equal(
        data.load_part("imagefolder", True, tmp_path / "photos", least_side=100)[0][0], folder[0][0]
    )
    with pytest.raises(data.DataError, match="least_side is for files of images"):
        data.load_part("fashion-mnist-10k", True, least_side=100)
