"""Byte-pair encoding to read: the trainer and the encoder, with nothing left out but speed tricks.

Words are sequences of ids. To train: count adjacent pairs, join the most frequent one everywhere
into a new id, repeat. To encode a word: join the pair whose result has the lowest id, leftmost
first, until none is left. A heap finds that pair; a linked list of neighbours makes each join cost
O(1), so a word of n bytes takes O(n log n), where a search over all pairs each time takes O(n^2).

The fast tokenizer (`byte_bpe.py`) is tested against this file. Source: Sennrich et al. 2016,
arXiv:1508.07909, algorithm 1.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping

from hornbook.tokenizers.byte_map import BYTE_ORDER

Pair = tuple[int, int]


def train(
    words: Mapping[bytes, int], size: int, minimum_count: int = 2
) -> tuple[list[bytes], list[Pair]]:
    """Tokens in the order of their ids (the 256 bytes first), and the pair behind each merge.

    words: how often each word occurs. Of equally frequent pairs the smaller pair of ids wins.
    """
    tokens = list(BYTE_ORDER)
    byte_ids = {token[0]: number for number, token in enumerate(tokens)}
    sequences = [[byte_ids[byte] for byte in word] for word in words]
    counts = list(words.values())
    totals: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)

    def count(index: int, sign: int) -> None:
        for pair in zip(sequences[index], sequences[index][1:], strict=False):
            totals[pair] += sign * counts[index]
            where[pair].add(index)

    for index in range(len(sequences)):
        count(index, +1)
    merges: list[Pair] = []
    while len(tokens) < size and totals:
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        if totals[best] < minimum_count:
            break
        merges.append(best)
        for index in where.pop(best):
            count(index, -1)
            sequences[index] = join(sequences[index], best, len(tokens))
            count(index, +1)
        tokens.append(tokens[best[0]] + tokens[best[1]])
        totals.pop(best)
    return tokens, merges


def join(sequence: list[int], pair: Pair, new: int) -> list[int]:
    """The sequence with `new` in place of each `pair`, taken from the left without overlap."""
    joined: list[int] = []
    position = 0
    while position < len(sequence):
        here = tuple(sequence[position : position + 2]) == pair
        joined.append(new if here else sequence[position])
        position += 2 if here else 1
    return joined


def encode(word: bytes, ids: Mapping[bytes, int]) -> list[int]:
    """The ids of one word. ids: bytes to id, the single bytes among them."""
    end = len(word)
    stop = [*range(1, end + 1)]  # the token that starts at i ends before stop[i] ...
    before = [*range(-1, end)]  # ... and follows the one that starts at before[i]
    heap = [
        (ids[word[i : i + 2]], i, i + 1, i + 2) for i in range(end - 1) if word[i : i + 2] in ids
    ]
    heapq.heapify(heap)
    alive = [True] * end

    def offer(left: int, middle: int) -> None:
        if left >= 0 and middle < end:
            joined = ids.get(word[left : stop[middle]])
            if joined is not None:
                heapq.heappush(heap, (joined, left, middle, stop[middle]))

    while heap:
        _, left, middle, right = heapq.heappop(heap)
        if not alive[left] or stop[left] != middle or stop[middle] != right:
            continue  # one of the two has been joined to another since
        alive[middle] = False
        stop[left] = right
        if right < end:
            before[right] = left
        offer(before[left], left)
        offer(left, right)
    return [ids[word[i : stop[i]]] for i in range(end) if alive[i]]
