"""Tasks made on the fly: right, the same for the same number, and of every kind."""

import re
from collections import Counter
from datetime import datetime

import pytest

import pair_tasks

FORMATS = (
    "%d %B %Y",
    "%d %b %Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%B %d, %Y",
    "%b %d, %Y",
    "%A, %B %d, %Y",
    "%a %d %b %Y",
    "%d of %B %Y",
    "the %d day of %B in the year %Y",
    "%B %Y, the %d",
)
"""What `strptime` reads, once ordinals have lost their ending."""


def reading(text):
    """The dates that a spelling may mean, by Python's own parser."""
    plain = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", text)
    found = set()
    for form in FORMATS:
        try:
            found.add(datetime.strptime(plain, form).date())
        except ValueError:
            continue
    return found


def test_dates_are_read_as_python_reads_them():
    kinds = Counter()
    for number in range(1500):
        text, answer = pair_tasks.dates(3, number)
        days = reading(text)
        assert [day.isoformat() for day in days] == [answer], text
        # `strptime` takes any weekday: ask the calendar which it was.
        if text.split(",")[0].endswith("day"):
            assert text.startswith(next(iter(days)).strftime("%A")), text
        kinds[re.sub(r"[A-Za-z]+", "w", re.sub(r"\d+", "0", text))] += 1
    assert len(kinds) >= 10, "some spelling never comes"
    assert max(kinds.values()) < 500, "one spelling crowds out the others"


@pytest.mark.parametrize(
    ("day", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"),
     (21, "21st"), (22, "22nd"), (23, "23rd"), (30, "30th"), (31, "31st")],
)  # fmt: skip
def test_ordinals(day, text):
    assert pair_tasks.ordinal(day) == text


def test_a_reversal_reads_the_same_backwards():
    lengths = Counter()
    for number in range(2000):
        source, target = pair_tasks.reversal(0, number, 2, 9)
        assert source == "".join(reversed(target))
        assert re.fullmatch("[a-z]+", source)
        lengths[len(source)] += 1
    assert sorted(lengths) == list(range(2, 10))
    assert min(lengths.values()) > 2000 / 8 * 0.7


@pytest.mark.parametrize("task", [pair_tasks.dates, pair_tasks.reversal])
def test_an_example_is_a_function_of_seed_and_number(task):
    forwards = [task(1, number) for number in range(50)]
    backwards = [task(1, number) for number in reversed(range(50))]
    assert forwards == backwards[::-1]
    assert forwards != [task(2, number) for number in range(50)]
    assert len(set(forwards)) > 40
