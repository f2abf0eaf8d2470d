"""Cutting images into blocks that fit the caches, and copying a block with the zeros around the image."""

from typing import NamedTuple

from ..llvm import copy_bytes, zero_bytes
from ..runtime import serial


class Image(NamedTuple):
    """An array (N, H, W, C) in memory: its first sizes, and the bytes between images, rows and pixels."""

    images: int
    rows: int
    columns: int
    image_step: int
    row_step: int
    pixel_step: int


def image_of(shape, strides):
    return Image(*shape[:3], *strides[:3])


class Blocks(NamedTuple):
    """How an output is cut: whole images and rows in a block, and how many blocks there are of either."""

    images: int
    rows: int
    of_images: int
    of_rows: int


def blocks_of(images, rows, columns, pixels):
    """Blocks of about so many pixels."""
    block_images, block_rows = block_size(images, rows, columns, pixels)
    return Blocks(block_images, block_rows, of_images=-(-images // block_images), of_rows=-(-rows // block_rows))


@serial
def block_at(blocks, index, images, rows):
    """(first image, first row), (images, rows) of a block."""
    n, p = index // blocks.of_rows * blocks.images, index % blocks.of_rows * blocks.rows
    return (n, p), (min(blocks.images, images - n), min(blocks.rows, rows - p))


def flat(plan):
    """All numbers of a plan of nested tuples, in order: the form in which it gets to a kernel fastest."""
    return [n for field in plan for n in (flat(field) if isinstance(field, tuple) else [field])]


def divide_evenly(total, at_most):
    """The size of equal parts of `total` that are no larger than `at_most`."""
    return -(-total // -(-total // at_most)) if total else 1


def block_size(images, rows, columns, pixels):
    """(images, rows) of a block of about so many pixels: part of an image, or several whole small ones."""
    if rows * columns * 2 > pixels:
        return 1, divide_evenly(rows, max(1, round(pixels / columns)))
    return divide_evenly(images, max(1, pixels // (rows * columns))), rows


def chunk_size(blocks, panels, threads):
    """Panels in a task: all, unless there are too few blocks to keep the threads equally busy."""
    for chunks in range(1, panels + 1):
        tasks = blocks * chunks
        if tasks >= 0.9 * threads * -(-tasks // threads):
            break
    return divide_evenly(panels, -(-panels // chunks))


@serial
def image_part(begin, count, size):
    """How many of the positions begin .. begin + count lie before an image of `size`, and how many inside."""
    before = min(max(-begin, 0), count)
    return before, max(min(begin + count, size) - begin - before, 0)


@serial
def copy_with_border(source, steps, size, pixel, first, count, target):
    """Copy count = (rows, columns) pixels, from (row, column) first on, of one image; zeros where there is no image.

    steps: bytes from row to row and pixel to pixel; size: of the image (height, width); pixel: bytes to copy of each.
    """
    left, inside = image_part(first[1], count[1], size[1])
    right = count[1] - left - inside
    for row in range(first[0], first[0] + count[0]):
        if row < 0 or row >= size[0]:
            zero_bytes(target, count[1] * pixel)
            target += count[1] * pixel
            continue
        zero_bytes(target, left * pixel)
        target += left * pixel
        here = source + row * steps[0] + (first[1] + left) * steps[1]
        if steps[1] == pixel:
            copy_bytes(target, here, inside * pixel)
        else:
            for i in range(inside):
                copy_bytes(target + i * pixel, here + i * steps[1], pixel)
        target += inside * pixel
        zero_bytes(target, right * pixel)
        target += right * pixel
