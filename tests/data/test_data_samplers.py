"""Data sets of arrays, parts of data sets, and the orders in which a loader visits them."""

import numpy as np
import pytest

from minigrad import data
from minigrad.data import (
    ArrayDataset,
    ConcatDataset,
    DataError,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    RandomStream,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
    transforms,
)
from minigrad.data.samplers import repeats


def numbers(n=20):
    return TensorDataset(np.arange(n, dtype=np.float32)[:, None], np.arange(n))


def images(n=20):
    return ArrayDataset(
        np.random.default_rng(0).integers(0, 256, (n, 6, 6, 1), dtype=np.uint8), np.arange(n) % 4, "abcd"
    )


def visited(loader, epoch=0):
    return np.concatenate([y for _, y, *_ in loader.iterate(epoch)])


def test_rows_of_arrays():
    x, y = np.random.default_rng(0).standard_normal((5, 3)), np.linspace(0, 1, 5)
    batches = list(DataLoader(TensorDataset(x, y), 2))
    assert [type(batch) for batch in batches] == [tuple] * 3 and batches[0][0].dtype == batches[0][
        1
    ].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x.astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y.astype(np.float32))


def test_batches_have_as_many_parts_as_the_samples():
    three = TensorDataset(np.zeros((4, 2)), np.arange(4), np.ones(4))
    x, y, w = next(iter(DataLoader(three, 4)))
    assert x.shape == (4, 2) and y.tolist() == [0, 1, 2, 3] and y.dtype == np.int64 and w.dtype == np.float32
    (x,) = next(iter(DataLoader(TensorDataset(np.arange(6).reshape(3, 2)), 3)))
    assert x.dtype == np.int64 and x.tolist() == [[0, 1], [2, 3], [4, 5]]  # numbers of words stay what they are
    with pytest.raises(DataError, match=r"sample 0: a sample must be a tuple \(image, label\); got dict"):
        list(DataLoader([{"image": 1}], 1))


@pytest.mark.parametrize(
    "arrays, error, message",
    [
        ((), ValueError, r"one length; got \[\]"),
        ((np.zeros(3), np.zeros(4)), ValueError, r"one length; got \[3, 4\]"),
        ((np.float32(3),), TypeError, r"needs arrays of numbers; got float32 \(\)"),
        ((["a", "b"],), TypeError, "needs arrays of numbers; got <U1"),
    ],
)
def test_arrays_that_do_not_fit(arrays, error, message):
    with pytest.raises(error, match=message):
        TensorDataset(*arrays)


def test_a_subset_knows_what_its_data_set_knows():
    whole = images()
    part = Subset(whole, [7, 3, 3])
    assert len(part) == 3 and part.classes == whole.classes and part.image_shape == (6, 6, 1)
    assert part.labels == [3, 3, 3] and part.class_to_idx == {"a": 0, "b": 1, "c": 2, "d": 3}
    np.testing.assert_array_equal(part[1][0], whole.images[3])
    (x, _labels), *_ = DataLoader(part, 3)  # by the array's way
    np.testing.assert_allclose(x * 255, whole.images[[7, 3, 3]], rtol=1e-6)
    (twice, _), *_ = DataLoader(Subset(part, [2, 0]), 2)
    np.testing.assert_array_equal(twice, x[[2, 0]])
    with pytest.raises(IndexError, match=r"Subset: index 20 is not in range\(20\)"):
        Subset(whole, [0, 20])
    with pytest.raises(AttributeError, match="nonsense"):
        _ = part.nonsense


def test_random_split():
    parts = random_split(numbers(), [15, 5], seed=3)
    assert [len(part) for part in parts] == [15, 5]
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(20))
    again, other = random_split(numbers(), [15, 5], seed=3), random_split(numbers(), [15, 5], seed=4)
    assert (again[1].indices == parts[1].indices).all() and (other[1].indices != parts[1].indices).any()
    assert [len(part) for part in random_split(numbers(10), [0.35, 0.35, 0.3])] == [4, 3, 3]
    for lengths in ([15, 6], [0.5, 0.4], [21, -1]):
        with pytest.raises(ValueError, match="random_split: lengths must"):
            random_split(numbers(), lengths)


def test_several_data_sets_in_a_row():
    both = ConcatDataset([images(3), images(5)])
    assert len(both) == 8 and both.num_classes == 4 and [both[i][1] for i in (0, 2, 3, 7, -1)] == [0, 2, 0, 0, 0]
    assert visited(DataLoader(both, 3)).tolist() == [0, 1, 2, 0, 1, 2, 3, 0]
    with pytest.raises(IndexError, match="index 8"):
        both[8]
    other = ArrayDataset(np.zeros((1, 6, 6, 1), np.uint8), np.zeros(1, int), "badc")
    with pytest.raises(ValueError, match=r"data set 1 has classes \('b', 'a', 'd', 'c'\), data set 0 has \('a', "):
        ConcatDataset([images(), other])
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])


def test_samplers_visit_what_they_say():
    stream = RandomStream(5)
    assert SequentialSampler(numbers()).indices(stream).tolist() == list(range(20))
    assert sorted(RandomSampler(numbers()).indices(stream)) == list(range(20))
    assert len(set(RandomSampler(numbers(), num_samples=7).indices(stream))) == 7
    drawn = RandomSampler(numbers(), replacement=True, num_samples=20_000).indices(stream)
    assert 850 < np.bincount(drawn, minlength=20).min() and np.bincount(drawn).max() < 1150
    assert sorted(SubsetRandomSampler([4, 9, 2]).indices(stream)) == [2, 4, 9]


@pytest.mark.parametrize("replacement", [True, False])
def test_weights_are_probabilities(replacement):
    weights = np.array([1, 0, 2, 5])
    first = [
        WeightedRandomSampler(weights, 1, replacement).indices(RandomStream(replacement, i))[0] for i in range(4000)
    ]
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 4000, weights / 8, atol=0.03)
    without = WeightedRandomSampler(weights, 3, False).indices(RandomStream(0))
    assert sorted(without) == [0, 2, 3]


def test_rare_classes_come_as_often_with_weights():
    labels = np.r_[np.zeros(90, int), np.ones(10, int)]
    dataset = TensorDataset(np.zeros((100, 2)), labels)
    sampler = WeightedRandomSampler(1 / np.bincount(labels)[labels], 2000)
    assert 0.45 < visited(DataLoader(dataset, 100, sampler=sampler)).mean() < 0.55


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_with_a_sampler_can_be_resumed(num_workers):
    chain = transforms.RandomCrop(5, padding=2)
    sampler = WeightedRandomSampler(np.arange(20), 50)
    loader = DataLoader(images(), 8, sampler=sampler, transform=chain, num_workers=num_workers)
    whole = list(loader.iterate(4))
    assert len(whole) == len(loader) == 7
    for (x, y), (ex, ey) in zip(loader.iterate(4, start_batch=3), whole[3:], strict=True):
        np.testing.assert_array_equal(x, ex)
        np.testing.assert_array_equal(y, ey)
    assert (visited(loader, 4) != visited(loader, 5)).any()


def test_a_sample_that_comes_again_has_another_augmentation():
    loader = DataLoader(images(), 8, sampler=[3] * 8, transform=transforms.RandomCrop(6, padding=3))
    ((x, y),) = loader
    assert (y == 3).all() and len(np.unique(x.reshape(8, -1), axis=0)) > 4
    assert repeats(np.array([5, 2, 5, 5, 2])).tolist() == [0, 0, 1, 2, 1]


def test_collate_fn_sees_transformed_samples():
    loader = DataLoader(images(), 3, transform=lambda image, rng: image[:2], collate_fn=lambda samples: samples)
    first = next(iter(loader))
    assert len(first) == 3 and first[2][0].shape == (2, 6, 1) and first[2][1] == 2
    folder = DataLoader([(np.zeros((i, 2)), i) for i in range(1, 4)], 3, collate_fn=lambda s: [len(x) for x, _ in s])
    assert list(folder) == [[1, 2, 3]]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DataLoader(numbers(), 2, shuffle=True, sampler=[0]), "shuffle must be False"),
        (lambda: RandomSampler(numbers(), num_samples=21), "at most 20 without replacement; got 21"),
        (lambda: RandomSampler(numbers(), True, 0), "num_samples must be at least 1; got 0"),
        (lambda: WeightedRandomSampler([1, -1], 1), "weights must be one finite number of at least 0"),
        (lambda: WeightedRandomSampler([1, np.nan], 1), "weights must be"),
        (lambda: WeightedRandomSampler([0, 0], 1), "the 0 samples with a weight above 0; got 1"),
        (lambda: WeightedRandomSampler([1, 0], 2, False), "at most the 1 samples"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_data_set_of_your_own_says_what_is_customary():
    class Mine(ArrayDataset):
        mean, std, padding, flip = (0.1,), (0.2,), 3, True

    mine = Mine(images().images, images().labels, "abcd")
    chain = data.default_transforms(mine).transforms
    assert [type(t).__name__ for t in chain] == ["RandomCrop", "RandomHorizontalFlip", "Normalize"]
    assert chain[0].size == (6, 6) and chain[0].pad.padding == 3 and chain[2].mean == (0.1,)
    plain = data.default_transforms(images(), 12).transforms
    assert [type(t).__name__ for t in plain] == ["Resize", "Normalize"] and plain[1].mean == plain[1].std == (0.5,)
    assert data.default_transforms(Subset(mine, [1])).transforms[2].std == (0.2,)


@pytest.mark.parametrize(("total", "drop_last", "each"), [(10, False, 4), (10, True, 3), (2, False, 1), (9, True, 3)])
def test_processes_share_an_order(total, drop_last, each):
    stream = RandomStream(0, 1)
    shares = [DistributedSampler(numbers(total), 3, rank, drop_last=drop_last).indices(stream) for rank in range(3)]
    assert [len(share) for share in shares] == [each] * 3
    seen = np.unique(np.concatenate(shares))
    assert len(seen) == (total if not drop_last else 3 * each)


def test_shares_in_order_go_round_as_in_torch():
    share = DistributedSampler(numbers(5), 2, 1, shuffle=False)
    assert share.indices(RandomStream(0)).tolist() == [1, 3, 0] and len(share) == 3


@pytest.mark.parametrize(
    ("settings", "said"), [((3, 3), r"range\(3\), of num_replicas; got 3"), ((9, 0, True, True), "too few")]
)
def test_shares_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=f"DistributedSampler: .*{said}"):
        DistributedSampler(numbers(5), *settings)
