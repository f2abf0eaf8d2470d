"""The images to measure on."""

from ..data import ImageFolder
from ..data.folder import existing
from ..data.scan import folders
from ..data.splits import parts_among


def all_for_testing(root):
    """ImageFolder of `root/val/<class>/*.jpg` (or test); without such parts of all images in `root/<class>/`.

    Nothing is held out for training, as these weights have had theirs. DataError as of ImageFolder.
    """
    root = existing(root)
    return ImageFolder(root, train=False if parts_among(root, folders(root)) else None)
