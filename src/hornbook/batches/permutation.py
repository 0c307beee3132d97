"""A keyed permutation of 0..size-1 that is computed, not stored.

A Feistel network permutes the 2**bits numbers that just hold `size` of them (so fewer than twice
as many); a number that lands outside is sent through again until it lands inside (cycle walking,
Black & Rogaway 2002). The halves differ by one bit where `bits` is odd: a round changes one half by
a keyed hash of the other, so every round undoes itself and the network is a bijection for any
split. The constants are part of the data order of every recipe: they never change.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]

# With 8 rounds, permutations of 5 or 8 things are visibly unequal; with 24 all 120 of 5 are even.
ROUNDS = 24
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_STEPS = np.arange(1, ROUNDS + 1, dtype=np.uint64) * _GOLDEN


def mix(words: ArrayLike) -> Words:
    """Scatter 64-bit words [...] bijectively: the finaliser of splitmix64 (Steele et al. 2014)."""
    x = np.asarray(words, dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        x = (x ^ (x >> np.uint64(30))) * _FIRST
        x = (x ^ (x >> np.uint64(27))) * _SECOND
    return np.asarray(x ^ (x >> np.uint64(31)))


def derive(key: ArrayLike, purpose: ArrayLike) -> Words:
    """One key [...] for each (key, purpose number), both broadcast; differs where either does."""
    with np.errstate(over="ignore"):
        steps = (np.asarray(purpose, dtype=np.uint64) + _ONE) * _GOLDEN
        return mix(mix(key) + steps)


def permute(index: ArrayLike, size: ArrayLike, key: ArrayLike) -> NDArray[np.int64]:
    """Image [...] of each index in 0..size-1 under the permutation that (size, key) names.

    The three arguments broadcast against each other: each number may have a size and key of its
    own. `size` is at most 2**53. Cost: O(1) memory and time a number.
    """
    return _walk(index, size, key, tuple(range(ROUNDS)))


def unpermute(image: ArrayLike, size: ArrayLike, key: ArrayLike) -> NDArray[np.int64]:
    """The index [...] that `permute` sends to each image: its inverse."""
    return _walk(image, size, key, tuple(reversed(range(ROUNDS))))


def _walk(
    index: ArrayLike, size: ArrayLike, key: ArrayLike, rounds: tuple[int, ...]
) -> NDArray[np.int64]:
    """Apply the network until every number lies below its size."""
    broadcast = np.broadcast_arrays(
        np.asarray(index, dtype=np.uint64),
        np.asarray(size, dtype=np.uint64),
        np.asarray(key, dtype=np.uint64),
    )
    x, sizes, keys = (np.ravel(array) for array in broadcast)
    bits = np.frexp((sizes - _ONE).astype(np.float64))[1].astype(np.uint64)  # bit length
    out = _network(x, bits, keys, rounds)
    outside = np.flatnonzero(out >= sizes)
    while outside.size:
        out[outside] = _network(out[outside], bits[outside], keys[outside], rounds)
        outside = outside[out[outside] >= sizes[outside]]
    return out.astype(np.int64).reshape(broadcast[0].shape)


def _network(x: Words, bits: Words, keys: Words, rounds: tuple[int, ...]) -> Words:
    """One pass: even rounds change the high half by the low one, odd rounds the other way."""
    low_bits = bits - (bits >> _ONE)
    low_mask = (_ONE << low_bits) - _ONE
    high_mask = (_ONE << (bits - low_bits)) - _ONE
    low, high = x & low_mask, x >> low_bits
    base = mix(keys)
    for number in rounds:
        round_keys = base + _STEPS[number]
        if number % 2 == 0:
            high = high ^ (mix(low ^ round_keys) & high_mask)
        else:
            low = low ^ (mix(high ^ round_keys) & low_mask)
    return (high << low_bits) | low
