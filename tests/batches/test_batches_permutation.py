import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.permutation import derive, permute, unpermute

AROUND_POWERS = sorted({2**b + d for b in range(1, 12) for d in (-1, 0, 1)} | {1, 2, 3, 1000})


@pytest.mark.parametrize("size", AROUND_POWERS)
def test_every_index_has_one_image_and_finds_back(size):
    for key in (0, 1, 2**64 - 1):
        images = permute(np.arange(size), size, key)
        assert sorted(images.tolist()) == list(range(size))
        np.testing.assert_array_equal(unpermute(images, size, key), np.arange(size))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2**53), st.integers(0, 2**64 - 1), st.data())
def test_large_sizes_stay_inside_and_find_back(size, key, data):
    index = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5))
    images = permute(index, size, np.uint64(key))
    assert ((images >= 0) & (images < size)).all()
    assert unpermute(images, size, np.uint64(key)).tolist() == index


def test_sizes_and_keys_of_their_own_give_what_they_give_alone():
    sizes, keys = np.array([1, 2, 7, 100, 2**40]), np.array([5, 4, 3, 2, 1], dtype=np.uint64)
    index = np.array([0, 1, 3, 50, 12345])
    alone = [
        int(permute(i, n, k)) for i, n, k in zip(index.tolist(), sizes.tolist(), keys, strict=True)
    ]
    assert permute(index, sizes, keys).tolist() == alone


def z_score(counts):
    """How many standard deviations the chi-square of even `counts` lies above its mean."""
    counts = np.asarray(counts, dtype=np.float64)
    freedom = counts.size - 1
    chi = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    return (chi - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize("size", [2, 3, 5, 7, 8, 9, 17, 64, 100])
def test_over_keys_every_index_lands_everywhere_evenly(size):
    """Chi-square below mean + 5 standard deviations: an even permutation fails with p < 1e-4."""
    keys = derive(7, np.arange(4000))
    images = permute(np.arange(size)[None, :], size, keys[:, None])
    for index in {0, 1, size // 2, size - 1}:
        assert z_score(np.bincount(images[:, index], minlength=size)) < 5
    if size > 2:
        steps = (images[:, 1] - images[:, 0]) % size
        assert z_score(np.bincount(steps, minlength=size)[1:]) < 5  # where neighbours go


def test_all_permutations_of_five_are_equally_likely():
    """120 of them, 12,000 keys; 5 standard deviations, as above. (With 8 rounds: z = 106.)"""
    images = permute(np.arange(5)[None, :], 5, derive(1, np.arange(12_000))[:, None])
    _, counts = np.unique(images, axis=0, return_counts=True)
    assert len(counts) == 120
    assert z_score(counts) < 5


def test_the_constants_never_change():
    """A recipe's data order rests on them: if this fails, undo what you did."""
    assert permute(np.arange(10), 10, 1).tolist() == GOLDEN_TEN
    assert permute([0, 1, 10**9 - 1], 10**9, np.uint64(2**63 + 5)).tolist() == GOLDEN_BILLION
    assert int(derive(1, 2)) == GOLDEN_KEY


GOLDEN_TEN = [4, 0, 3, 7, 8, 5, 6, 2, 9, 1]
GOLDEN_BILLION = [182651746, 729283595, 315305286]
GOLDEN_KEY = 8084911050856847527
