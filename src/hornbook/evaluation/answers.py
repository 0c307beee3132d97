"""Does a tuned model answer in the taught form, and stop? Asked about things it was not tuned on.

What is counted is form, not truth: a model of a few million parameters has no room for facts.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hornbook.adaptation.questions import Pair
from hornbook.evaluation.significance import wilson
from hornbook.handle.model import Model

CIRCLES = 3


@dataclass(frozen=True)
class Answer:
    """One question, what the model said, the docstring's own answer, and the verdicts."""

    question: str
    answer: str
    reference: str
    stopped: bool
    well_formed: bool


def is_well_formed(answer: str) -> bool:
    """Say whether an answer reads like one.

    That is: a single line of three words or more, begun with a capital letter or a quotation mark
    and closed like a sentence, with no torn character in it, that does not go round in circles (no
    run of three words comes three times).
    """
    words = answer.split()
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    return (
        re.fullmatch(r"""[A-Z`'"(].*[.!?][)'"`]?""", answer) is not None
        and len(words) >= 3
        and max(runs.values()) < CIRCLES
        and "\ufffd" not in answer
    )


def ask(model: Model, pairs: Iterable[Pair], max_new_tokens: int) -> list[Answer]:
    """Ask every question once, taking the likeliest token each time, so that it can be repeated."""
    answers = []
    for pair in pairs:
        reply = model.reply(pair.messages()[:1], max_new_tokens=max_new_tokens, temperature=0.0)
        answers.append(
            Answer(
                pair.question,
                reply.text,
                pair.answer,
                stopped=reply.stopped,
                well_formed=reply.stopped and is_well_formed(reply.text),
            )
        )
    return answers


def summarise(answers: list[Answer]) -> dict[str, Any]:
    """Count the answers that stop and those that are well-formed too, with 95 % intervals."""
    asked = len(answers)
    stopped = sum(answer.stopped for answer in answers)
    well_formed = sum(answer.well_formed for answer in answers)
    return {
        "asked": asked,
        "stopped": stopped,
        "stopped_interval": wilson(stopped, asked),
        "well_formed": well_formed,
        "well_formed_interval": wilson(well_formed, asked),
    }


def as_rows(answers: list[Answer]) -> list[dict[str, Any]]:
    """Return the answers as plain rows for a JSON file."""
    return [asdict(answer) for answer in answers]
