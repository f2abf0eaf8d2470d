"""Data sets with transforms of their own: torchvision's transform= and target_transform=."""

import numpy as np
import pytest
from PIL import Image

from minigrad import data
from minigrad.data import ArrayDataset, DataLoader, ImageFolder, Subset, transforms

IMAGES = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4, 1)
LABELS = np.array([0, 1, 0, 1, 0, 1])
FLIP = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToFloat()])


def arrays(**settings):
    return ArrayDataset(IMAGES, LABELS, ("a", "b"), **settings)


def one_batch(dataset, **settings):
    return next(iter(DataLoader(dataset, len(dataset), **settings)))


def test_a_plain_function_is_called_with_one_image_and_one_label():
    dataset = arrays(transform=lambda image: image[:2] / 2.0, target_transform=lambda label: label + 10)
    image, label = dataset[3]
    assert image.shape == (2, 4, 1) and image[1, 0, 0] == IMAGES[3, 1, 0, 0] / 2 and label == 11
    assert dataset.image_shape == (2, 4, 1) and arrays().image_shape == (4, 4, 1)
    images, labels = one_batch(Subset(dataset, [5, 3]))
    np.testing.assert_array_equal(images[1], np.float32(image))
    assert labels.tolist() == [11, 11]


def test_random_ones_draw_anew_in_each_epoch_whatever_the_workers_and_the_wrapping():
    plain, wrapped = arrays(transform=FLIP), data.ConcatDataset([Subset(arrays(transform=FLIP), range(6))])
    epochs = [
        [[images for images, _ in loader] for _ in range(3)]
        for loader in (DataLoader(plain, 2), DataLoader(wrapped, 2, num_workers=2), DataLoader(plain, 2, seed=1))
    ]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert any(not np.array_equal(epochs[0][0], other) for other in epochs[0][1:])
    assert not np.array_equal(epochs[0], epochs[2])
    np.testing.assert_array_equal(plain[4][0], epochs[0][0][2][0])  # asked for alone: epoch 0, seed 0


def test_the_loaders_transform_goes_on_and_draws_for_itself():
    both = one_batch(arrays(transform=FLIP), transform=FLIP)[0]
    own = one_batch(arrays(transform=FLIP))[0]
    again = (own != both).any((1, 2, 3))
    assert 0 < again.sum() < 6  # some were flipped a second time, some not: not one draw for both


def test_folders_and_the_catalogue_take_them(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (5, 4), (9, 0, 0)).save(tmp_path / kind / "a.png")
    folder = ImageFolder(tmp_path, train=None, transform=transforms.Resize((2, 2)), target_transform=float)
    assert folder[1][0].shape == (2, 2, 3) and folder[1][1] == 1.0 and folder.class_to_idx == {"cat": 0, "dog": 1}
    embedded = data.EmbeddedFashionMNIST(train=False, transform=transforms.ToFloat())
    assert embedded[0][0].dtype == np.float32 and embedded.class_to_idx["Bag"] == 8


def test_what_cannot_be_called_is_refused_and_what_fails_names_the_sample():
    with pytest.raises(TypeError, match="ArrayDataset: transform must be a function or None; got int"):
        arrays(transform=3)
    with pytest.raises(data.DataError, match="sample 2: integer division"):
        one_batch(arrays(target_transform=lambda label: 1 // label), sampler=[2])
