"""Counter-based random numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.data.streams import RandomStream, mix64, permutation


def test_draws_are_splitmix64():
    """The published test vector of SplitMix64 from state 1234567."""
    stream = RandomStream().of(np.uint64(1234567))
    assert stream.bits(5).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**40), st.integers(0, 1000), st.lists(st.integers(0, 2**40), min_size=1, max_size=8))
def test_many_streams_equal_each_alone(seed, epoch, indices):
    together = RandomStream(seed, epoch, np.array(indices))
    for row, single, i in zip(together.uniform(7), together, indices):
        np.testing.assert_array_equal(row, RandomStream(seed, epoch, i).uniform(7))
        np.testing.assert_array_equal(row, single.uniform(7))
    np.testing.assert_array_equal(together.fold(3).uniform(2)[0], RandomStream(seed, epoch, indices[0], 3).uniform(2))


def test_fewer_draws_are_the_first_of_more():
    stream = RandomStream(5, np.arange(4))
    np.testing.assert_array_equal(stream.uniform(9)[:, :3], stream.uniform(3))


def test_each_part_of_the_path_matters():
    paths = [(), (0,), (0, 0), (0, 0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2)]
    assert len({int(RandomStream(*path).key) for path in paths}) == len(paths)
    assert len(np.unique(RandomStream(0, np.arange(10_000)).bits(4))) == 40_000


def test_uniform_and_normal_have_their_moments():
    stream = RandomStream(1, np.arange(50_000))
    u = stream.uniform(2)
    assert u.min() >= 0 and u.max() < 1
    np.testing.assert_allclose(u.mean(0), 0.5, atol=0.01)
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.02
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.02  # neighbours in the data set
    z = stream.normal(2)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(z.std(0), 1, atol=0.02)
    assert np.isfinite(z).all()


def test_mix64_is_a_bijection_on_a_sample():
    assert len(np.unique(mix64(np.arange(100_000, dtype=np.uint64)))) == 100_000


def test_generator_is_keyed():
    first, again, other = (RandomStream(*path).generator().random() for path in ((1, 2), (1, 2), (1, 3)))
    assert first == again != other


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_permutation(n):
    order = permutation(RandomStream(3, 1), n)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, permutation(RandomStream(3, 1), n))
    if n == 1000:
        assert (order == np.arange(n)).sum() < 10
        assert (order == permutation(RandomStream(3, 2), n)).sum() < 10
