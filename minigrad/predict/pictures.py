"""What the net looked at, as picture files: `--explain DIR`."""

import dataclasses
from pathlib import Path

from ..command.files import write_atomically
from ..data.text import printable, reason, shown
from ..explain import grad_cam
from ..explain.figure import png
from ..interop import WeightsError

ENDING = "-explained"


class Pictures:
    """A folder of Grad-CAM pictures, one for each photograph: photo.jpg gives photo-explained.png.

    folder: where they go; it is made when the first one is written. paths: the photographs, none of which is written
    over; of two with one name the second picture gets a number.
    """

    def __init__(self, folder, paths=()):
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise WeightsError(f"--explain {shown(folder)}: must be a directory; this is a file")
        self.taken = {Path(path).absolute() for path in paths}

    def add(self, classifier, path, image):
        """Write the picture of one photograph; its path. WeightsError where it can't be written."""
        target = self.target(Path(path).stem)
        data = png(explained(classifier, image).plot())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(target, data)
        except OSError as error:
            raise WeightsError(
                f"--explain {shown(self.folder)}: cannot write {target.name}: {reason(error)}"
            ) from error
        return target

    def target(self, stem):
        """A path that this folder has not given yet and that is no photograph's."""
        stem, number = printable(stem), 1
        while (
            path := self.folder / f"{stem}{ENDING}{'' if number == 1 else f'-{number}'}.png"
        ).absolute() in self.taken:
            number += 1
        self.taken.add(path.absolute())
        return path


def explained(classifier, image, class_=None, layer=None):
    """Grad-CAM (explain.grad_cam) of a classifier's net on a photograph, as the net saw it, with the class's name.

    image: a path, a Pillow image or bytes (H, W, C). class_, layer: as of explain.grad_cam. Returns a GradCam, whose
    plot() is the picture.
    """
    bytes_seen = classifier.fitted(image)
    found = grad_cam(classifier.net, classifier.preprocessing.normalised(bytes_seen), class_, layer)
    return dataclasses.replace(found, image=bytes_seen, name=classifier.name(found.class_))
