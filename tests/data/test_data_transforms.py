"""Transforms: against arrays worked out by hand, and alone against in a batch."""

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.data import RandomStream
from minigrad.data import transforms as T
from minigrad.data.transforms.geometric import random_box
from minigrad.data.transforms.photometric import shift_hue


def photos(n=4, h=12, w=10, c=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, c), dtype=np.uint8)


def streams(n=4, epoch=0):
    return RandomStream(7, epoch, np.arange(n))


RANDOM = [
    T.RandomCrop(8),
    T.RandomCrop((12, 9), padding=3, fill=5),
    T.RandomHorizontalFlip(),
    T.RandomResizedCrop(6),
    T.RandomResizedCrop((5, 7), scale=(0.5, 0.9), ratio=(0.5, 2)),
    T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.PCALighting(),
    T.Cutout(5),
    T.RandomErasing(0.7),
    T.RandomRotation(30),
    T.RandAugment(),
    T.TrivialAugmentWide(),
]
FIXED = [
    T.Pad(2),
    T.Grayscale(),
    T.CenterCrop(7),
    T.Resize(20),
    T.ToFloat(),
    T.Normalize([0.5] * 3, [0.2] * 3),
    T.Lambda(np.add),
]
CHAIN = T.Compose([T.RandomCrop(8, padding=2), T.RandomHorizontalFlip(), T.Normalize([0.5] * 3, [0.2] * 3)])


@pytest.mark.parametrize("transform", [*RANDOM, *FIXED[:-1], CHAIN], ids=str)
def test_batch_equals_one_by_one(transform):
    images, rng = photos(), streams()
    before = images.copy()
    together = transform(images, rng)
    alone = np.stack([transform(image, RandomStream(7, 0, i)) for i, image in enumerate(images)])
    assert together.dtype == alone.dtype
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(images, before)  # inputs are never written


@pytest.mark.parametrize("transform", [*RANDOM, CHAIN], ids=str)
def test_random_transforms_follow_their_stream(transform):
    images = np.repeat(photos(1), 64, axis=0)
    first = transform(images, streams(64))
    np.testing.assert_array_equal(first, transform(images, streams(64)))
    assert not np.array_equal(first, transform(images, streams(64, epoch=1)))
    assert len(np.unique(first.reshape(64, -1), axis=0)) > 1  # samples differ


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 3), st.integers(0, 99), st.data())
def test_vectorised_chain_equals_per_sample(h, w, c, padding, seed, data):
    size = data.draw(st.integers(1, h + 2 * padding)), data.draw(st.integers(1, w + 2 * padding))
    chain = T.Compose([T.RandomCrop(size, padding), T.RandomHorizontalFlip(), T.Normalize([0.3] * c, [0.7] * c)])
    images = photos(5, h, w, c, seed)
    together = chain(images, RandomStream(seed, np.arange(5)))
    for i in range(5):
        np.testing.assert_array_equal(together[i], chain(images[i], RandomStream(seed, i)))


def test_pad():
    np.testing.assert_array_equal(T.Pad(1, fill=9)(np.ones((1, 2, 1)))[..., 0], [[9] * 4, [9, 1, 1, 9], [9] * 4])


def test_random_crop_takes_every_window_equally_often():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    crops = T.RandomCrop((2, 3))(np.repeat(image[None], 6000, 0), streams(6000))
    windows, counts = np.unique(crops.reshape(6000, -1), axis=0, return_counts=True)
    expected = [image[t : t + 2, l : l + 3].ravel() for t in range(3) for l in range(2)]
    np.testing.assert_array_equal(windows, np.sort(expected, axis=0))
    assert counts.min() > 850 and counts.max() < 1150  # 1000 each, standard deviation 29


def test_random_crop_pads_first():
    crop = T.RandomCrop(4, padding=1, fill=7)(np.zeros((2, 2, 1), np.uint8), RandomStream(0, 0))
    np.testing.assert_array_equal(crop[..., 0], [[7] * 4, [7, 0, 0, 7], [7, 0, 0, 7], [7] * 4])


def test_center_crop():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    np.testing.assert_array_equal(T.CenterCrop((2, 3))(image)[..., 0], [[6, 7, 8], [11, 12, 13]])


def test_flip():
    image = np.array([[[1], [2], [3]]], np.uint8)
    assert T.RandomHorizontalFlip(1)(image, RandomStream(0))[0, :, 0].tolist() == [3, 2, 1]
    assert T.RandomHorizontalFlip(0)(image, RandomStream(0))[0, :, 0].tolist() == [1, 2, 3]
    flipped = T.RandomHorizontalFlip(0.25)(np.repeat(image[None], 4000, 0), streams(4000))[:, 0, 0, 0] == 3
    assert 0.22 < flipped.mean() < 0.28


def test_resize_sizes():
    image = photos(1, 20, 30)[0]
    assert T.Resize(10)(image).shape == (10, 15, 3)
    assert T.Resize((8, 9))(image).shape == (8, 9, 3)
    assert T.Resize(7)(image[..., :1]).shape == (7, 10, 1)
    np.testing.assert_array_equal(T.Resize((20, 30))(image), image)


def test_resize_is_bilinear():
    """Doubling a step from 0 to 100: pixel centres at -0.25, 0.25, 0.75, 1.25 of the old grid."""
    image = np.array([[[0], [100]]], np.uint8)
    assert T.Resize((1, 4))(image)[0, :, 0].tolist() == [0, 25, 75, 100]
    halved = T.Resize((1, 2))(np.array([[[0], [0], [100], [100]]], np.uint8))[0, :, 0]  # antialiased: wide triangle
    assert halved[0] > 0 and halved[1] < 100 and halved.sum() == 100


def test_resize_refuses_floats_and_two_channels():
    with pytest.raises(ValueError, match=r"Resize works on uint8 .*before ToFloat"):
        T.Resize(4)(np.zeros((4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="1 or 3 channels; got 2"):
        T.Resize(4)(np.zeros((4, 4, 2), np.uint8))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_random_boxes_lie_inside(height, width, seed):
    boxes = random_box(RandomStream(seed, np.arange(50)), (height, width), (0.08, 1), (3 / 4, 4 / 3))
    top, left, h, w = boxes.T
    assert (boxes >= 0).all() and (top + h <= height).all() and (left + w <= width).all()
    found = h > 0
    widest, narrowest = (w + 0.5) / (h - 0.5), (w - 0.5) / (h + 0.5)  # before h and w were rounded
    assert (widest[found] >= 3 / 4).all() and (narrowest[found] <= 4 / 3).all()


def test_random_boxes_cover_the_range():
    boxes = random_box(RandomStream(0, np.arange(5000)), (200, 200), (0.25, 0.5), (0.5, 2))
    area, log_ratio = boxes[:, 2] * boxes[:, 3] / 200**2, np.log2(boxes[:, 3] / boxes[:, 2])
    assert 0.24 < area.min() < 0.26 and 0.49 < area.max() < 0.51 and abs(area.mean() - 0.375) < 0.01
    top, left, h, w = boxes.T
    assert (top == 0).any() and (top + h == 200).any() and (left == 0).any() and (left + w == 200).any()
    assert -1.05 < log_ratio.min() < -0.95 and 0.95 < log_ratio.max() < 1.05 and abs(log_ratio.mean()) < 0.05


def test_random_resized_crop_is_crop_then_resize():
    image, rng = photos(1, 40, 50)[0], RandomStream(3, 4)
    transform = T.RandomResizedCrop(16)
    top, left, h, w = random_box(rng[None], (40, 50), transform.scale, transform.ratio)[0]
    np.testing.assert_array_equal(transform(image, rng), T.Resize((16, 16))(image[top : top + h, left : left + w]))


@pytest.mark.parametrize("h, w, middle", [(4, 100, slice(47, 52)), (100, 4, slice(47, 52))])
def test_random_resized_crop_of_a_sliver_takes_its_middle(h, w, middle):
    """At full area no allowed box fits: the largest central one is 4 x 5 (ratio 4/3) or 5 x 4 (3/4)."""
    image = photos(1, h, w)[0]
    crop = image[:, middle] if w > h else image[middle]
    out = T.RandomResizedCrop((8, 8), scale=(1, 1))(image, RandomStream(0))
    np.testing.assert_array_equal(out, T.Resize((8, 8))(crop))


def test_to_float_and_normalize():
    image = np.array([[[0, 51, 255]]], np.uint8)
    np.testing.assert_allclose(T.ToFloat()(image), [[[0, 0.2, 1]]], rtol=1e-6)
    normalize = T.Normalize([0.5, 0.1, 0], [0.5, 0.1, 2])
    for x in (image, image / 255.0):
        out = normalize(x)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, [[[-1, 1, 0.5]]], rtol=1e-5)


def test_normalize_keeps_channels_apart():
    images = photos(3, 5, 7)
    mean, std = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.3, 0.4])
    np.testing.assert_allclose(T.Normalize(mean, std)(images), (images / 255 - mean) / std, rtol=1e-4, atol=1e-5)


def test_color_jitter_by_hand():
    image = np.array([[[0.2, 0.4, 0.6], [0.8, 0.0, 0.4]]], np.float32)
    grey = image @ np.array([0.299, 0.587, 0.114])
    steps = T.ColorJitter(0.5, 0.5, 0.5, 0.5).steps()
    np.testing.assert_allclose(steps[0](image, 1.0), np.clip(1.5 * image, 0, 1), rtol=1e-6)
    np.testing.assert_allclose(steps[1](image, 0.0), 0.5 * image + 0.5 * grey.mean(), rtol=1e-6)
    np.testing.assert_allclose(steps[2](image, 0.0), 0.5 * image + 0.5 * grey[..., None], rtol=1e-6)
    np.testing.assert_allclose(steps[3](image, 0.5), image, rtol=1e-6)  # the middle of [-h, h]
    np.testing.assert_allclose(T.ColorJitter()(image, RandomStream(0)), image, rtol=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(-0.5, 0.5))
def test_hue_shift_agrees_with_colorsys(rgb, shift):
    rgb = np.array(rgb, np.float32) / 255
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb.tolist())
    expected = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
    np.testing.assert_allclose(shift_hue(rgb, shift), expected, atol=2e-6)


def test_pca_lighting():
    image = np.zeros((2, 2, 3), np.uint8)
    assert not T.PCALighting(0)(image, RandomStream(0)).any()
    shifts = T.PCALighting(0.1)(np.zeros((20_000, 1, 1, 3), np.float32), streams(20_000))[:, 0, 0]
    vectors, values = T.PCALighting.eigenvectors, T.PCALighting.eigenvalues
    covariance = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    np.testing.assert_allclose(np.cov(shifts.T), covariance, rtol=0.05)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)  # orthonormal, so not mistyped


def test_grayscale():
    image = np.array([[[255, 0, 0], [0, 255, 0], [10, 20, 30]]], np.uint8)
    assert T.Grayscale()(image)[0, :, 0].tolist() == [76, 150, 18]
    assert T.Grayscale(3)(image / np.float32(255)).shape == (1, 3, 3)


def test_random_rotation():
    image = photos(1, 9, 9)[0]
    np.testing.assert_array_equal(T.RandomRotation((90, 90))(image, RandomStream(0)), np.rot90(image))
    corner = T.RandomRotation((45, 45), fill=7)(image, RandomStream(0))[0, 0]
    assert corner.tolist() == [7, 7, 7]
    dot = np.zeros((41, 41, 1), np.uint8)
    dot[20, 36:39] = 255  # to the right of the middle
    heights = []
    for i in range(300):
        rows, columns = np.nonzero(T.RandomRotation(20)(dot, RandomStream(i))[..., 0] > 60)
        heights.append(np.degrees(np.arctan2(20 - rows.mean(), columns.mean() - 20)))
    assert -21 < min(heights) < -17 and 17 < max(heights) < 21 and abs(np.mean(heights)) < 2


def test_compose_gives_each_transform_its_own_numbers():
    twice = T.Compose([T.RandomHorizontalFlip(), T.RandomHorizontalFlip()])
    images = np.repeat(photos(1), 64, axis=0)
    out = twice(images, streams(64))
    kept = (out == images).all((1, 2, 3))
    assert 10 < kept.sum() < 54  # with shared draws two flips would always cancel


def test_plain_functions_see_single_images():
    shapes = []
    chain = T.Compose([lambda image, rng: shapes.append((image.shape, rng.shape)) or image[:2]])
    assert chain(photos(3), streams(3)).shape == (3, 2, 10, 3)
    assert shapes == [((12, 10, 3), ())] * 3


def test_repr_names_the_settings():
    assert repr(T.Cutout(5)) == "Cutout(length=5)"
    assert "RandomHorizontalFlip(p=0.5)" in repr(T.Compose([T.RandomHorizontalFlip()]))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: T.Pad(-1), "Pad: padding must be at least 0; got -1"),
        (lambda: T.RandomCrop(0), "RandomCrop: size must be at least 1; got 0"),
        (lambda: T.RandomCrop(11)(photos(), streams()), r"RandomCrop: image \(12, 10\) .* size \(11, 11\)"),
        (lambda: T.CenterCrop(11)(photos()), "CenterCrop: image"),
        (lambda: T.RandomHorizontalFlip(1.5), r"p must be in \[0, 1\]; got 1.5"),
        (lambda: T.RandomErasing(-1), "RandomErasing: p must be"),
        (lambda: T.RandomErasing(ratio=(2, 1)), r"RandomErasing: ratio must be \(low, high\)"),
        (lambda: T.RandomResizedCrop(4, scale=(0, 1)), "RandomResizedCrop: scale must be"),
        (lambda: T.Normalize([0.5], [0.1, 0.2]), "Normalize: needs a mean and a std"),
        (lambda: T.Normalize([0.5], [0]), "std > 0"),
        (lambda: T.Normalize([0.5], [1])(photos()), "image has 3 channels but mean has 1"),
        (lambda: T.ColorJitter(hue=0.6), "hue <= 0.5"),
        (lambda: T.ColorJitter(0.1)(photos(c=1), streams()), "ColorJitter: image must have 3 channels"),
        (lambda: T.PCALighting(-1), "std must be >= 0"),
        (lambda: T.PCALighting()(photos(c=1), streams()), "PCALighting: image must have 3 channels"),
        (lambda: T.Grayscale(2), "num_output_channels must be 1 or 3; got 2"),
        (lambda: T.RandomRotation(-1), "degrees must be at least 0"),
        (lambda: T.Cutout(0), "length must be at least 1; got 0"),
        (lambda: T.Mixup(0, 10), "Mixup: alpha must be > 0"),
        (lambda: T.CutMix(1, 0), "CutMix: .*num_classes >= 1"),
        (lambda: T.ToFloat()(np.zeros((2, 2))), r"must be \(H, W, C\) or \(N, H, W, C\); got shape \(2, 2\)"),
        (lambda: T.one_hot(np.zeros(3), 2), "labels must be class numbers .*; got float64"),
        (lambda: T.Cutout(2)(photos(), streams(3)), r"need \(4,\) streams; got \(3,\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_random_transform_needs_a_stream():
    with pytest.raises(TypeError, match=r"Cutout\(length=2\) draws random numbers: rng must be a RandomStream"):
        T.Cutout(2)(photos(), np.random.default_rng(0))


@pytest.mark.parametrize("base", [T.Transform(), T.ImageTransform()])
def test_bases_are_abstract(base):
    with pytest.raises(NotImplementedError):
        base(photos())


@pytest.mark.parametrize("policy", [T.RandAugment, T.TrivialAugmentWide])
def test_changes_without_strength_leave_an_image_alone(policy):
    from minigrad.data.transforms.augmenting import changed

    image = photos()[0]
    for change in policy.changes[:-2]:  # the last two know no strength
        np.testing.assert_array_equal(changed("", image, change, 0.0), image)
    assert any((changed("", image, change, 1.0) != image).any() for change in policy.changes[1:])


def test_policies_refuse_settings_out_of_range():
    with pytest.raises(ValueError, match=r"RandAugment: .*got num_ops=2, magnitude=31, num_magnitude_bins=31"):
        T.RandAugment(2, 31)
    with pytest.raises(ValueError, match="num_magnitude_bins must be at least 2; got 1"):
        T.TrivialAugmentWide(1)
    with pytest.raises(ValueError, match="RandAugment works on uint8 images"):
        T.RandAugment()(photos()[0] / 255, streams()[0])
