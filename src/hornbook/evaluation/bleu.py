"""BLEU: how many of an answer's word sequences occur in any of its references.

    p_n = Σ min(count of each n-gram, most of it in one reference) / Σ count,   over all answers
    BLEU = BP · exp(Σ_{n=1..4} ln p_n / 4),   BP = min(1, exp(1 - r / c))

c: words of all answers; r: words of the reference nearest in length to each, the shorter of two.
One number for a whole set, not a mean over answers; 0 where no sequence of four is right.

Source: Papineni et al. 2002, section 2.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from hornbook.errors import InputError

LONGEST = 4

WORDS = re.compile(r"\w+|[^\w\s]")
"""A word, or one sign; capitals count."""


def words(text: str) -> list[str]:
    """The words and signs of a text, which BLEU counts."""
    return WORDS.findall(text)


def bleu(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU from 0 to 1 of answers, each with its references.

    Raises:
        InputError: there is no answer, or one has no reference.
    """
    if not answers or len(answers) != len(references) or not all(references):
        raise InputError(
            f"BLEU needs answers and at least one reference for each; there are {len(answers)} "
            f"answers and {len(references)} lists of references."
        )
    right, made = [0] * LONGEST, [0] * LONGEST
    answered = nearest = 0
    for answer, others in zip(answers, references, strict=True):
        said, known = words(answer), [words(other) for other in others]
        answered += len(said)
        nearest += min((abs(len(one) - len(said)), len(one)) for one in known)[1]
        for n in range(1, LONGEST + 1):
            counts = grams(said, n)
            allowed: Counter[tuple[str, ...]] = Counter()
            for one in known:
                allowed |= grams(one, n)
            right[n - 1] += (counts & allowed).total()
            made[n - 1] += counts.total()
    if not all(right):
        return 0.0
    precision = sum(math.log(a / b) for a, b in zip(right, made, strict=True)) / LONGEST
    return math.exp(min(0.0, 1 - nearest / answered) + precision)


def grams(said: Sequence[str], n: int) -> "Counter[tuple[str, ...]]":
    """How often each sequence of n words occurs."""
    return Counter(tuple(said[i : i + n]) for i in range(len(said) - n + 1))
