"""Transforms that cut out and mix images: cutout, random erasing, mixup, cutmix."""

import numpy as np

from minigrad.data import RandomStream
from minigrad.data import transforms as T


def photos(n=4, h=12, w=10, c=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, c), dtype=np.uint8)


def streams(n=4, epoch=0):
    return RandomStream(7, epoch, np.arange(n))


def test_cutout_squares():
    ones = np.ones((2000, 6, 8, 2), np.float32)
    out = T.Cutout(3)(ones, streams(2000))
    holes = 1 - out[..., 0]
    np.testing.assert_array_equal(out[..., 0], out[..., 1])
    sizes = np.unique(holes.sum((1, 2)))
    assert sizes.tolist() == [4, 6, 9]  # whole, cut at one border, cut at a corner
    corner = holes[holes[:, 0, 0] == 1]  # centred on (0, 0), (0, 1), (1, 0) or (1, 1)
    assert 50 < len(corner) < 250


def test_random_erasing():
    ones = np.ones((4000, 20, 20, 1), np.float32)
    out = T.RandomErasing(0.3, scale=(0.1, 0.2), ratio=(1, 1), value=-1)(ones, streams(4000))
    area = (out == -1).mean((1, 2, 3))
    assert 0.27 < (area > 0).mean() < 0.33
    assert area[area > 0].min() > 0.08 and area.max() < 0.22


def test_mixup_by_hand():
    x = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    mixed, labels = T.Mixup(0.5, num_classes=4)(x, np.arange(4), RandomStream(2))
    assert labels.dtype == mixed.dtype == np.float32
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], labels @ np.arange(4), rtol=1e-5, atol=1e-6)  # in the same parts
    assert ((labels > 0).sum(1) == 2).any()


def test_mixup_parts_are_beta():
    mix, x, y = T.Mixup(0.2, 2), np.zeros((2, 1, 1, 1), np.float32), np.arange(2)
    parts = np.array([mix(x, y, RandomStream(i))[1][0, 0] for i in range(3000)])
    assert abs(parts[parts < 1].mean() - 0.5) < 0.05
    assert 0.14 < parts[parts < 1].var() < 0.22  # 1 / (4 (2 alpha + 1)) = 0.179


def test_cutmix_labels_are_the_areas():
    x = np.stack([np.full((9, 11, 1), i, np.float32) for i in range(3)])
    partial = 0
    for seed in range(30):
        mixed, labels = T.CutMix(1.0, num_classes=3)(x, np.arange(3), RandomStream(seed))
        areas = np.stack([(mixed == i).mean((1, 2, 3)) for i in range(3)], axis=1)
        np.testing.assert_allclose(labels, areas, atol=1e-6)
        partial += (areas.max(1) < 1).any()
    assert partial > 10


def test_mixing_twice_takes_soft_labels():
    x, y = np.zeros((2, 4, 4, 1), np.float32), np.array([[0.5, 0.5], [0, 1]], np.float32)
    np.testing.assert_allclose(T.Mixup(1, 2)(x, y, RandomStream(0))[1].sum(1), 1)
