"""Verdicts on answers, their counts, and the error bars of these counts."""

import math
from dataclasses import dataclass, field
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.adaptation.questions import Pair
from hornbook.evaluation.answers import Answer, as_rows, ask, is_well_formed, summarise
from hornbook.evaluation.significance import wilson
from hornbook.handle.continuing import Reply

CIRCLE = "of the list of the list "


@pytest.mark.parametrize(
    "answer",
    [
        "Return the sum.",
        "Is it a file?",
        "Stop it now!",
        "`None` is returned.",
        "'a' is returned.",
        '"a" is returned.',
        "(Private) part of it.",
        "Return it (or not.)",
        'Say "this is it."',
        "Say 'this is it.'",
        "Return `all of it.`",
        "Return the first of the list or the last of the list.",
        f"Return {CIRCLE}or more.",
        "Return the größte Zahl.",
    ],
)
def test_what_reads_like_an_answer_is_well_formed(answer):
    assert is_well_formed(answer)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("", id="empty"),
        pytest.param("   ", id="blank"),
        pytest.param("Return it.", id="two words"),
        pytest.param("return the sum.", id="small letter"),
        pytest.param("3 things are returned.", id="number"),
        pytest.param(" Return the sum.", id="blank before"),
        pytest.param("Return the sum. ", id="blank after"),
        pytest.param("Return the sum", id="not closed"),
        pytest.param("Return the sum:", id="closed by a colon"),
        pytest.param("Return the sum.)'", id="two signs after the stop"),
        pytest.param("Return the\nsum of it.", id="two lines"),
        pytest.param("Return the sum.\n", id="line end"),
        pytest.param("Return the s\ufffdm.", id="torn character"),
        pytest.param("Return the the the the the sum.", id="one word again and again"),
        pytest.param(f"Return {CIRCLE}{CIRCLE}end.", id="circles"),
        pytest.param("A b c d A b c e A b c f.", id="three words three times"),
    ],
)
def test_what_does_not_is_not(answer):
    assert not is_well_formed(answer)


@dataclass
class Talker:
    """Says what it is told to say; remembers what it was asked, and how."""

    replies: list[Reply]
    asked: list[object] = field(default_factory=list)

    def reply(self, messages, **settings):
        self.asked.append((messages, settings))
        return self.replies[len(self.asked) - 1]


PAIRS = [Pair(f"m.f{n}", "function", f"What does `m.f{n}` do?", f"It is {n}.") for n in range(4)]
REPLIES = [
    Reply("Return the sum.", stopped=True),
    Reply("Return the sum.", stopped=False),
    Reply("return the", stopped=True),
    Reply("", stopped=False),
]


def test_only_the_question_is_asked_and_the_likeliest_token_taken():
    model = Talker(REPLIES)
    ask(model, PAIRS, 7)
    assert model.asked == [
        (
            [{"role": "user", "content": pair.question}],
            {"max_new_tokens": 7, "temperature": 0.0},
        )
        for pair in PAIRS
    ]


def test_an_answer_that_does_not_stop_is_not_well_formed():
    answers = ask(Talker(REPLIES), PAIRS, 7)
    assert [answer.stopped for answer in answers] == [True, False, True, False]
    assert [answer.well_formed for answer in answers] == [True, False, False, False]
    assert as_rows(answers)[0] == {
        "question": "What does `m.f0` do?",
        "answer": "Return the sum.",
        "reference": "It is 0.",
        "stopped": True,
        "well_formed": True,
    }


def test_the_summary_counts_both_verdicts():
    one = Answer("q", "a", "r", stopped=True, well_formed=True)
    two = Answer("q", "a", "r", stopped=True, well_formed=False)
    three = Answer("q", "a", "r", stopped=False, well_formed=False)
    assert summarise([one, two, two, three]) == {
        "asked": 4,
        "stopped": 3,
        "stopped_interval": wilson(3, 4),
        "well_formed": 1,
        "well_formed_interval": wilson(1, 4),
    }


def test_nothing_asked_is_nothing_known():
    nothing = summarise([])
    assert (nothing["asked"], nothing["stopped"], nothing["well_formed"]) == (0, 0, 0)
    assert nothing["well_formed_interval"] == (0.0, 1.0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe 1998, table I, method 3 (score, without continuity correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_intervals(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_wilson_lies_within_the_unit_interval_and_holds_the_share(counts):
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert low < high


def test_wilson_reaches_both_ends_exactly():
    for trials in range(1, 200):
        assert wilson(0, trials)[0] == 0.0
        assert wilson(trials, trials)[1] == 1.0


@given(COUNTS)
def test_wilson_is_symmetric(counts):
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(COUNTS, st.integers(2, 50))
def test_wilson_shrinks_as_the_same_share_is_seen_more_often(counts, times):
    successes, trials = counts
    low, high = wilson(successes, trials)
    lower, higher = wilson(successes * times, trials * times)
    assert higher - lower < high - low


@given(COUNTS)
def test_wilsons_ends_are_where_the_share_is_just_rejected(counts):
    """The interval's definition: |p - share| = z·sqrt(p(1 - p)/n) at both ends p."""
    successes, trials = counts
    share, z = successes / trials, NormalDist().inv_cdf(0.975)
    for end in wilson(successes, trials):
        assert abs(end - share) == pytest.approx(z * math.sqrt(end * (1 - end) / trials), abs=1e-9)
