"""Images made larger and smaller: padding, interpolation, pixels from channels."""

from ...ops.checks import is_whole, whole
from .. import functional as F
from ..module import Module


class Pad2d(Module):
    """Base of the padding layers. x (N, H, W, C) -> (N, H + top + bottom, W + left + right, C)

    padding   an int for all four sides, or (left, right, top, bottom)

    ValueError for a padding that is none of these, and in the call for one that is longer than what it shows.
    """

    mode = "constant"
    value = 0.0

    def __init__(self, padding):
        sides = (padding,) * 4 if is_whole(padding, 0) else padding
        if not isinstance(sides, tuple | list) or len(sides) != 4 or not all(is_whole(p, 0) for p in sides):
            name = type(self).__name__
            raise ValueError(f"{name}: padding must be an int >= 0 or (left, right, top, bottom); got {padding!r}")
        self.padding = tuple(map(int, sides))

    def forward(self, x):
        """x (N, H, W, C) -> the padded image."""
        if x.ndim != 4:
            raise ValueError(f"{type(self).__name__}: x must have 4 axes (N, H, W, C); got shape {x.shape}")
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self):
        """(left, right, top, bottom)"""
        return f"{self.padding}"


class ZeroPad2d(Pad2d):
    """Zeros around the image. padding: an int, or (left, right, top, bottom)."""


class ConstantPad2d(Pad2d):
    """`value` around the image. padding: an int, or (left, right, top, bottom)."""

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = float(value)


class ReflectionPad2d(Pad2d):
    """The image's mirror image around it; the outermost pixels are not repeated. padding as in Pad2d."""

    mode = "reflect"


class ReplicationPad2d(Pad2d):
    """The outermost pixels again and again. padding as in Pad2d."""

    mode = "replicate"


class CircularPad2d(Pad2d):
    """The image's other end on each side. padding as in Pad2d."""

    mode = "circular"


class Upsample(Module):
    """Interpolation to another size: x (N, H, W, C) -> (N, P, Q, C). See ops.interpolate.

    size            (P, Q), or an int for both
    scale_factor    a number or a (vertical, horizontal) pair, instead of size: P = floor(H scale_factor)
    mode            "nearest" or "bilinear"
    align_corners   with "bilinear": do the outermost pixels lie upon each other?

    ValueError in the call for settings that don't fit together.
    """

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None):
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, C)."""
        return F.interpolate(x, self.size, self.scale_factor, self.mode, bool(self.align_corners))

    def extra_repr(self):
        """Size or scale, and the mode."""
        what = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{what}, mode={self.mode!r}" + (", align_corners=True" if self.align_corners else "")


class PixelShuffle(Module):
    """Channels as pixels: x (N, H, W, C r r) -> (N, H r, W r, C) with r = upscale_factor (Shi et al. 2016)."""

    def __init__(self, upscale_factor):
        self.upscale_factor = whole("PixelShuffle", "upscale_factor", upscale_factor)

    def forward(self, x):
        """x (N, H, W, C r r) -> (N, H r, W r, C)."""
        return F.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self):
        """r"""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels as channels, the inverse of PixelShuffle: x (N, H r, W r, C) -> (N, H, W, C r r)."""

    def __init__(self, downscale_factor):
        self.downscale_factor = whole("PixelUnshuffle", "downscale_factor", downscale_factor)

    def forward(self, x):
        """x (N, H r, W r, C) -> (N, H, W, C r r)."""
        return F.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self):
        """r"""
        return f"downscale_factor={self.downscale_factor}"
