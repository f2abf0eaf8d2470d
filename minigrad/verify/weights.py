"""How often are published weights right?"""

import time

from ..command.screen import Bar, say
from ..data.catalog import KINDS, load_part
from ..interop import fetching
from ..interop.zoo import DATA, SIZES, known
from ..predict import load
from .images import all_for_testing
from .labels import numbers_of
from .scoring import part_of, score

CLOSE = 0.05  # per cent: published figures are rounded


def verify(asked):
    """Measure the weights that were asked for, and say what came out; the exit status."""
    path = fetching.located(asked.weights)
    classifier = load(path, asked.arch)
    row = known(path)
    dataset = data_for(row, asked.data)
    matched = numbers_of(classifier, dataset)[1]
    say(*about(asked.weights, row, classifier), f"data       {size_of(dataset, asked)}; {matched}")
    start = time.perf_counter()
    with Bar("measuring", -(-len(part_of(dataset, asked.images)) // asked.batch_size)) as bar:
        found = score(classifier, dataset, asked.batch_size, 1, asked.images, tick=bar.update)
    expected = expected_of(row, (found.images, dataset.num_classes))
    say(f"measured   {found} ({found.images:,} images, {time.perf_counter() - start:.0f} s){verdict(found, expected)}")
    return 0 if expected is None or agrees(found, expected) else 1


def data_for(row, directory):
    """The test set that a row's accuracy is of; a folder of images for other files."""
    name = DATA[row.published.data] if row else "imagefolder"
    return all_for_testing(directory) if KINDS[name].native_size is None else load_part(name, False, directory)


def size_of(dataset, asked):
    images = len(part_of(dataset, asked.images))
    return f"{images:,} of {len(dataset):,} images" if images < len(dataset) else f"{images:,} images"


def about(name, row, classifier):
    """What is known of the weights."""
    if row is None:
        yield f"weights    {name}: not one of architectures.weights()"
        return
    yield f"weights    {name}: {classifier.net.made.name}, {row.source} ({row.licence}), sha256 {row.sha256[:8]}..."
    yield f"published  {row.published}"
    if row.measured not in (None, row.published):
        yield f"before     {row.measured}, measured with minigrad"


def expected_of(row, size):
    """The known accuracy on a test set of this size, (images, classes); None where there is none."""
    there = () if row is None else (row.published, row.measured)
    return next((known for known in there if known is not None and SIZES[known.data] == size), None)


def agrees(found, expected):
    """Within what rounding leaves open, in top-1 and, where it is known, in top-5?"""
    top5 = expected.top5 is None or abs(found.top5 - expected.top5) <= CLOSE
    return top5 and abs(found.top1 - expected.top1) <= CLOSE


def verdict(found, expected):
    if expected is None:
        return ""
    return f", as is known: {expected}" if agrees(found, expected) else f": NOT the known {expected}"
