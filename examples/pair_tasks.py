"""Tasks of pairs made on the fly: example `number` of a seed is always the same one.

    reversal   "kqzab" -> "bazqk": the first letter wanted is the last one read
    dates      "2nd of March 1998", "Monday, March 2, 1998", "2.3.1998", … -> "1998-03-02"

Each draws from a generator of its own, keyed by (seed, number), so that any part of the data can be
made anywhere and a test set of another seed is other data.
"""

import string
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

Pair = tuple[str, str]

FIRST_DAY, LAST_DAY = date(1700, 1, 1), date(2199, 12, 31)


def generator(seed: int, number: int) -> np.random.Generator:
    """What example `number` of a seed draws from."""
    return np.random.Generator(np.random.Philox(key=[seed, number]))


def reversal(seed: int, number: int, shortest: int = 1, longest: int = 12) -> Pair:
    """Letters and the same backwards; every length from shortest to longest is equally likely."""
    draw = generator(seed, number)
    length = draw.integers(shortest, longest + 1)
    text = "".join(string.ascii_lowercase[i] for i in draw.integers(0, 26, length))
    return text, text[::-1]


def ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th, …, 11th, 12th, 13th, …, 21st."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{'th' if 11 <= day <= 13 else ending}"


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def month(day: date) -> str:
    """The month's English name, whatever the locale."""
    return MONTHS[day.month - 1]


def weekday(day: date) -> str:
    """The weekday's English name, whatever the locale."""
    return WEEKDAYS[day.weekday()]


SPELLINGS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {month(d)} {d.year}",
    lambda d: f"{d.day} {month(d)[:3]} {d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{month(d)} {d.day}, {d.year}",
    lambda d: f"{month(d)[:3]} {ordinal(d.day)}, {d.year}",
    lambda d: f"{weekday(d)}, {month(d)} {d.day}, {d.year}",
    lambda d: f"{weekday(d)[:3]} {d.day} {month(d)[:3]} {d.year}",
    lambda d: f"{ordinal(d.day)} of {month(d)} {d.year}",
    lambda d: f"the {ordinal(d.day)} day of {month(d)} in the year {d.year}",
    lambda d: f"{month(d)} {d.year}, the {ordinal(d.day)}",
)
"""Ways to write a date in English; the day comes before the month where both are numbers."""


def dates(seed: int, number: int) -> Pair:
    """A day of 500 years in one of the spellings, and as ISO 8601 writes it."""
    draw = generator(seed, number)
    days = int(draw.integers(0, (LAST_DAY - FIRST_DAY).days + 1))
    day = FIRST_DAY + timedelta(days=days)
    return SPELLINGS[draw.integers(0, len(SPELLINGS))](day), day.isoformat()
