"""The loader: order, resume, workers, errors."""

import time

import numpy as np
import pytest
from data_sets import Listed, numbered, workers_alive
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.data import ArrayDataset, DataError, DataLoader, transforms

CHAIN = transforms.Compose(
    [transforms.RandomCrop(6, padding=2), transforms.RandomHorizontalFlip(), transforms.Normalize([0.4], [0.3])]
)


def noise(n=50, size=6):
    return ArrayDataset(
        np.random.default_rng(0).integers(0, 256, (n, size, size, 1), dtype=np.uint8), np.arange(n) % 5, "abcde"
    )


def assert_same(batches, expected):
    batches, expected = list(batches), list(expected)
    assert len(batches) == len(expected)
    for (x, y), (ex, ey) in zip(batches, expected):
        assert x.dtype == ex.dtype
        np.testing.assert_array_equal(x, ex)
        np.testing.assert_array_equal(y, ey)


def test_batches_in_order():
    loader = DataLoader(numbered(7), 3)
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    assert [len(y) for _, y in batches] == [3, 3, 1]
    x, y = batches[1]
    assert x.dtype == np.float32 and y.dtype == np.int64 and x.shape == (3, 6, 6, 1) and x.flags.c_contiguous
    np.testing.assert_allclose(x[:, 0, 0, 0] * 255, [3, 4, 5], rtol=1e-6)
    assert y.tolist() == [3, 4, 0]


def test_drop_last():
    loader = DataLoader(numbered(7), 3, drop_last=True)
    assert [len(y) for _, y in loader] == [3, 3] and len(loader) == 2
    assert len(DataLoader(numbered(6), 3, drop_last=True)) == len(DataLoader(numbered(6), 3)) == 2


def test_shuffle_visits_each_sample_once_in_an_order_of_the_epoch():
    loader = DataLoader(numbered(), 8, shuffle=True, seed=3)
    orders = [np.concatenate([np.rint(x[:, 0, 0, 0] * 255) for x, _ in loader.iterate(e)]) for e in (0, 1, 0)]
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(50))
    np.testing.assert_array_equal(orders[0], orders[2])
    assert (orders[0] != orders[1]).any() and (orders[0] != np.arange(50)).any()
    other = DataLoader(numbered(), 50, shuffle=True, seed=4)
    assert (next(iter(other))[0][:, 0, 0, 0] * 255 != orders[0]).any()


def test_set_epoch_is_what_iteration_runs():
    loader = DataLoader(noise(), 8, shuffle=True, transform=CHAIN)
    assert_same(loader, loader.iterate(0))
    loader.set_epoch(5)
    assert_same(loader, loader.iterate(5))


def test_each_pass_is_another_epoch():
    loader = DataLoader(noise(), 8, shuffle=True, transform=CHAIN)
    passes = [list(loader) for _ in range(3)]
    for epoch, batches in enumerate(passes):
        assert_same(batches, loader.iterate(epoch))
    assert not np.array_equal(passes[0][0][1], passes[1][0][1])  # another order
    loader.set_epoch(5)
    assert_same(loader, loader.iterate(5))
    assert_same(loader, loader.iterate(6))


def test_two_passes_at_once_differ():
    loader = DataLoader(noise(), 8, shuffle=True)
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(loader, loader))


def test_each_pass_without_shuffling_has_another_augmentation():
    loader = DataLoader(noise(), 50, transform=CHAIN)
    (first,), (second,) = loader, loader
    assert np.array_equal(first[1], second[1]) and not np.array_equal(first[0], second[0])


@pytest.mark.parametrize("wrap", [lambda d: d, Listed], ids=["array", "one by one"])
@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_batches_do_not_depend_on_workers(wrap, num_workers):
    def run(workers, prefetch=2):
        return DataLoader(wrap(noise()), 7, True, workers, transform=CHAIN, seed=1, prefetch=prefetch).iterate(2)

    assert_same(run(num_workers), run(0))
    assert_same(run(num_workers, prefetch=1), run(0))


def test_augmentation_belongs_to_the_sample_not_to_the_batch():
    runs = [np.concatenate([x for x, _ in DataLoader(noise(), b, transform=CHAIN).iterate(1)]) for b in (5, 8)]
    np.testing.assert_array_equal(*runs)


class Transpose(transforms.Transform):
    def batch(self, images, rng):
        return images.swapaxes(1, 2)


def test_images_are_contiguous():
    dataset = ArrayDataset(np.zeros((4, 6, 6, 3), np.uint8), np.zeros(4, int), "a")
    for transform in (Transpose(), transforms.CenterCrop(4), transforms.RandomCrop(4)):
        for wrap in (lambda d: d, Listed):
            assert next(iter(DataLoader(wrap(dataset), 2, transform=transform)))[0].flags.c_contiguous


def test_array_path_equals_one_by_one():
    def run(dataset):
        return DataLoader(dataset, 8, shuffle=True, transform=CHAIN).iterate(1)

    assert_same(run(noise()), run(Listed(noise())))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.integers(0, 2), st.data())
def test_resume_gives_the_rest_of_the_epoch(n, batch_size, shuffle, num_workers, data):
    loader = DataLoader(noise(n), batch_size, shuffle, num_workers, transform=CHAIN)
    whole = list(loader.iterate(3))
    start = data.draw(st.integers(0, len(whole)))
    assert_same(loader.iterate(3, start_batch=start), whole[start:])


def test_batch_transform_makes_soft_labels_and_follows_the_batch():
    mixup = transforms.Mixup(0.4, num_classes=5)

    def run(workers, start=0):
        loader = DataLoader(noise(), 8, True, workers, transform=CHAIN, batch_transform=mixup)
        return list(loader.iterate(1, start))

    whole = run(0)
    assert whole[0][1].shape == (8, 5) and whole[0][1].dtype == np.float32
    assert_same(run(2), whole)
    assert_same(run(0, start=4), whole[4:])
    assert whole[0][1].max(1).min() != whole[1][1].max(1).min()  # another lam


IMAGE = np.zeros((2, 2, 1), np.uint8)


def labels_of(*labels, **settings):
    """What the loader makes of these labels, in one batch."""
    return next(iter(DataLoader([(IMAGE, label) for label in labels], len(labels), **settings)))[1]


@pytest.mark.parametrize(
    "labels, dtype",
    [
        ([2, 0], np.int64),
        ([np.uint8(2), np.int32(0)], np.int64),
        ([True, False], np.int64),
        ([2.7, 0.5], np.float32),
        ([np.float64(2.7), np.float16(0.5)], np.float32),
        ([np.array([0.3, 0.7]), np.array([0.9, 0.1])], np.float32),
        ([[0.3, 0.7], [0.9, 0.1]], np.float32),
        ([np.eye(3, dtype=np.uint8)] * 2, np.int64),
        ([np.array(1.5), np.array(2.5)], np.float32),
    ],
    ids=str,
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_labels_are_kept(labels, dtype, num_workers):
    batch = labels_of(*labels, num_workers=num_workers)
    assert batch.dtype == dtype
    np.testing.assert_array_equal(batch, np.array(labels).astype(dtype))


def test_tuples_and_dicts_of_labels_are_kept():
    batch = labels_of({"class": 1, "box": (0.5, [1, 2])}, {"class": 3, "box": (1.5, [3, 4])})
    assert batch["class"].tolist() == [1, 3] and batch["class"].dtype == np.int64
    assert batch["box"][0].tolist() == [0.5, 1.5] and batch["box"][1].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "labels, message",
    [
        ([1, 0.5], "sample 0 has integer, sample 1 has float"),
        ([0.5, 1], "sample 0 has float, sample 1 has integer"),
        ([1, np.zeros(2)], r"sample 0 has integer, sample 1 has float array \(2,\)"),
        ([np.zeros(2), np.zeros(3)], r"float array \(2,\), sample 1 has float array \(3,\)"),
        ([{"a": 1}, {"b": 1}], r"dict \('a': integer\), sample 1 has dict \('b': integer\)"),
        ([(1, 2), (1,)], r"tuple \(integer, integer\), sample 1 has tuple \(integer\)"),
        (["cat", "dog"], "sample 0: a label must be a number, an array of numbers, or .* got 'cat'"),
        ([[1, [2, 3]]] * 2, "sample 0: .*inhomogeneous"),
        ([None, None], "sample 0: a label must be a number, .* got None"),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_labels_of_several_kinds_are_refused(labels, message, batch_size):
    with pytest.raises(DataError, match=message):
        list(DataLoader([(IMAGE, label) for label in labels], batch_size))


def test_plain_function_as_transform():
    loader = DataLoader(numbered(4), 2, transform=lambda image, rng: image[:2])
    assert next(iter(loader))[0].shape == (2, 2, 6, 1)


def test_float_images_pass_unscaled():
    dataset = ArrayDataset(np.full((2, 3, 3, 1), 0.5), np.zeros(2, int), "a")
    x, _ = next(iter(DataLoader(dataset, 2)))
    assert x.dtype == np.float32 and (x == 0.5).all()


def test_workers_end_when_the_consumer_leaves():
    slow = DataLoader(numbered(), 1, num_workers=3, transform=lambda image, rng: time.sleep(0.002) or image)
    batches = iter(slow)
    next(batches)
    assert workers_alive()
    batches.close()
    assert not workers_alive()
    for _ in slow:
        break
    assert not workers_alive()
    assert len(list(slow)) == 50 and not workers_alive()


def test_prefetch_is_bounded():
    started = []
    loader = DataLoader(
        numbered(), 1, num_workers=2, prefetch=3, transform=lambda image, rng: started.append(0) or image
    )
    batches = iter(loader)
    next(batches)
    time.sleep(0.1)
    assert 1 <= len(started) <= 2 * 3 + 1
    batches.close()


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(batch_size=0), "batch_size must be at least 1; got 0"),
        (dict(batch_size=4, num_workers=-1), "num_workers must be at least 0; got -1"),
        (dict(batch_size=4, prefetch=0), "prefetch must be at least 1; got 0"),
        (dict(batch_size=4, seed=-1), "seed must be at least 0; got -1"),
        (dict(batch_size=51, drop_last=True), "with drop_last, 50 samples in batches of 51 make no batch"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(numbered(), **settings)


def test_empty_data_set_and_bad_start():
    with pytest.raises(ValueError, match="number of samples in dataset must be at least 1; got 0"):
        DataLoader(ArrayDataset(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, int), "a"), 4)
    for start in (-1, 8):
        with pytest.raises(ValueError, match=r"start_batch must be in \[0, 7\]"):
            DataLoader(numbered(), 8).iterate(0, start)
    assert list(DataLoader(numbered(), 8).iterate(0, 7)) == []
    assert [len(y) for _, y in DataLoader(numbered(3), 8)] == [3]
