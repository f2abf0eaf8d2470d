"""--evaluate --pretrained: the accuracy of weights from elsewhere, on images as these weights expect them."""

from ..command.errors import UsageError, blaming_the_user
from ..command.reference import is_reference
from ..command.screen import Bar, say
from ..data import DataError, ImageFolder
from ..data.catalog import native_size, statistics
from ..interop import Preprocessing
from ..predict import load
from ..verify.images import all_for_testing
from ..verify.labels import numbers_of
from ..verify.scoring import part_of, score
from . import plan
from .compilation import Compilation
from .config import Config
from .setup import (
    check_data_settings,
    chosen_device,
    kernels_in_force,
    load_data,
    own_directory,
    products_in_force,
)


def test_weights(command):
    """Print the accuracy of --pretrained on the test set of --data; the exit status. UsageError as of a run's test."""
    given = {**own_directory(command.file), **own_directory(command.flags)}
    config = Config(**given)
    check_data_settings(config)
    if is_reference(config.arch):
        raise UsageError(
            "--evaluate --pretrained is for nets of --list-archs; a run of your own net is tested by --resume"
        )
    device = chosen_device(config)
    with kernels_in_force(config), products_in_force(config):
        dataset = test_set(config)
        with blaming_the_user(ValueError, OSError, MemoryError):
            classifier = load(command.pretrained, given.get("arch"))
            notes = [*expected_images(classifier, dataset, config.data), numbers_of(classifier, dataset)[1]]
            classifier.to(device)
        say(*(plan.row("note", note) for note in notes))
        with Compilation(device, config).watched(), blaming_the_user(DataError, ValueError, OSError, MemoryError):
            found = measured(classifier, dataset, config)
    five = "" if found.top5 is None else f", top-5 {found.top5:.2f}%"
    images = plan.count(found.images, "image")
    say(f"{command.pretrained}: test accuracy {found.top1:.2f}%{five}, loss {found.loss:.4f} ({images})")
    return 0


def test_set(config):
    """The images to test on; of a directory without parts all, as these weights were not trained on any of them."""
    if config.data != ImageFolder.name:
        return load_data(config, None, (False, False)).test
    with blaming_the_user(DataError, OSError):
        return all_for_testing(config.data_path)


def expected_images(classifier, dataset, name):
    """Fills in what the weights don't say of their images; a note then."""
    if classifier.preprocessing is not None:
        return
    size, photographs = classifier.sizes()[1][0], native_size(dataset) is None
    mean, std = statistics(dataset)
    resize, channels = (round(size * 256 / 224) if photographs else None), "L" if len(mean) == 1 else "RGB"
    classifier.preprocessing = Preprocessing(size, mean, std, resize, channels=channels)
    yield f"these weights don't say what they expect of images: taken as usual with {name}, mean {mean}, std {std}"


def measured(classifier, dataset, config):
    batch_size = config.batch_size or 64
    images = None if config.limit_test_batches is None else config.limit_test_batches * batch_size
    with Bar("testing", -(-len(part_of(dataset, images)) // batch_size)) as bar:
        return score(classifier, dataset, batch_size, config.workers, images, config.skip_bad_images, bar.update)
