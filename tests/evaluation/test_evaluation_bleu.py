"""BLEU against examples worked by hand, among them those of Papineni et al. 2002."""

import math
from itertools import product

import pytest

from hornbook.errors import InputError
from hornbook.evaluation.bleu import bleu, words


def test_an_example_worked_by_hand():
    """Two answers of 6 and 5 words, references of 7 and 6, and of 6."""
    answers = ["the cat is on the mat", "a dog sat down here"]
    references = [
        ["there is a cat on the mat", "the cat sat on the mat"],
        ["a dog sat down over there"],
    ]
    # Words: all 6 (the: 2 of the second), then a, dog, sat, down.
    # Pairs: "the cat", "on the", "the mat"; "a dog", "dog sat", "sat down".
    # Threes: "on the mat"; "a dog sat", "dog sat down". Fours: none; "a dog sat down".
    shares = [10 / 11, 6 / 9, 3 / 7, 1 / 5]
    nearest = 6 + 6
    expected = math.exp(1 - nearest / 11) * math.prod(shares) ** 0.25
    assert bleu(answers, references) == pytest.approx(expected, rel=1e-12)


def test_a_word_counts_as_often_as_one_reference_has_it():
    """Papineni et al., section 2.1: seven times "the" has two right ones. Here three follow."""
    answer = "the the the the the the the cat is on"
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    shares = [(2 + 3) / 10, 3 / 9, 2 / 8, 1 / 7]
    assert bleu([answer], references) == pytest.approx(math.prod(shares) ** 0.25, rel=1e-12)


def test_short_answers_pay_and_long_ones_do_not():
    reference = "one two three four five six seven eight"
    assert bleu([reference], [[reference]]) == pytest.approx(1.0)
    half = bleu(["one two three four"], [[reference]])
    assert half == pytest.approx(math.exp(1 - 8 / 4))
    assert bleu(["one two three four"], [[reference, "x y z a"]]) == pytest.approx(1.0)
    twice = bleu([f"{reference} {reference}"], [[reference]])
    assert twice == pytest.approx(math.prod([8 / 16, 7 / 15, 6 / 14, 5 / 13]) ** 0.25)


def test_of_two_references_equally_near_the_shorter_counts():
    answer, shorter, longer = "a b c d e", "a b c d", "a b c d e f"
    for pair in product([shorter, longer], repeat=2):
        expected = 1.0 if shorter in pair else math.exp(1 - 6 / 5)
        right = [5, 4, 3, 2] if longer in pair else [4, 3, 2, 1]
        shares = math.prod(a / b for a, b in zip(right, [5, 4, 3, 2], strict=True)) ** 0.25
        assert bleu([answer], [list(pair)]) == pytest.approx(expected * shares), pair


def test_no_four_words_in_a_row_is_nothing():
    assert bleu(["a b c"], [["a b c"]]) == 0.0
    assert bleu([""], [["a b c d"]]) == 0.0


def test_signs_are_words():
    assert words("It's £20, isn't it?") == [
        "It",
        "'",
        "s",
        "£",
        "20",
        ",",
        "isn",
        "'",
        "t",
        "it",
        "?",
    ]


@pytest.mark.parametrize(("answers", "references"), [([], []), (["a"], []), (["a"], [[]])])
def test_answers_without_references_are_refused(answers, references):
    with pytest.raises(InputError, match="at least one reference for each"):
        bleu(answers, references)
