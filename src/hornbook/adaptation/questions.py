"""Questions and answers from docstrings: "What does `os.path.join` do?" and its first sentence.

A docstring's first paragraph says what a thing does; that is all the supervision a very small model
can learn from. The form is fixed (one question, one answer, stop), so that it can be checked.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

QUESTIONS = {
    "function": "What does `{name}` do?",
    "method": "What does `{name}` do?",
    "class": "What is `{name}`?",
    "module": "What is the module `{name}` for?",
}
SHORTEST_ANSWER = 15
LONGEST_ANSWER = 240

_NO_PROSE = re.compile(r"^\s*(>>>|([-*+]|\d+[.)])\s|([=~^*#_-])\3{2,}\s*$)", re.MULTILINE)
"""A line that is a doctest, an item of a list, or the rule under a heading."""

_SIGNATURE = re.compile(r"[\w.]+\(.*\)\s*(-+>|--|$)")


@dataclass(frozen=True)
class Pair:
    """One question with its answer; `name` and `kind` say what it asks about."""

    name: str
    kind: str
    question: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """Return the pair as a conversation of two messages."""
        return [
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": self.answer},
        ]


def pairs_from_documents(documents: Iterable[pa.RecordBatch]) -> Iterator[Pair]:
    """Make a pair of each docstring whose first paragraph can stand as an answer.

    A name that occurs twice (an overload, a platform's variant) asks the same question twice; the
    first answer is kept.
    """
    seen: set[str] = set()
    for batch in documents:
        for row in batch.select(["text", "metadata"]).to_pylist():
            text, facts = str(row["text"]), json.loads(str(row["metadata"]))
            kind, name = facts.get("kind"), facts.get("name")
            if not (isinstance(kind, str) and isinstance(name, str) and "signature" in facts):
                continue  # somebody else's metadata
            template = QUESTIONS.get(kind)
            answer = first_sentence(text.partition("\n\n")[2])
            if template is None or answer is None or name in seen:
                continue
            seen.add(name)
            yield Pair(name, kind, template.format(name=name), answer)


def first_sentence(docstring: str) -> str | None:
    """Return the first paragraph as one line that ends like a sentence, or None if it is no answer.

    Paragraphs that are too short or too long, signatures, headings, and those with a doctest or a
    list in them are no answers.
    """
    paragraph = docstring.strip().partition("\n\n")[0]
    line = " ".join(paragraph.split())
    if _SIGNATURE.match(line) or _NO_PROSE.search(paragraph):
        return None
    if not line.endswith((".", "!", "?")):
        line = line.rstrip(":;,") + "."
    line = line[0].upper() + line[1:]
    whole = SHORTEST_ANSWER <= len(line) <= LONGEST_ANSWER and len(line.split()) >= 3
    return line if whole and re.match(r"[A-Z`'\"(]", line) else None
