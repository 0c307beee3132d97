"""Short explanations of the field's ideas, in English and Chinese: the data of `hornbook explain`.

One file a topic in `topics/`: title and text in both languages, the equation (again in a language
that its words need), where the code is (`module` or `module:Name`), which choices of a spec it is
about (`parts`, by which it is found too), where the idea comes from, and what to read next.
"""

import difflib
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hornbook.errors import UserError

FOLDER = Path(__file__).parent / "topics"

WIDTH = 88

LABELS = {
    "en": {"code": "Code", "source": "Source", "related": "See also"},
    "zh": {"code": "代码", "source": "出处", "related": "另见"},
}
"""The languages that topics are written in, with the words around them."""


@dataclass(frozen=True)
class Topic:
    """One idea in one language."""

    name: str
    language: str
    title: str
    text: str
    equation: str
    code: tuple[str, ...]
    source: str
    related: tuple[str, ...]

    def render(self) -> str:
        """The topic as a terminal shows it."""
        label = LABELS[self.language]
        rows = [
            *((label["code"], place) for place in self.code),
            (label["source"], self.source),
            (label["related"], ", ".join(self.related)),
        ]
        body = textwrap.fill(self.text, WIDTH) if self.language == "en" else self.text
        ends = "\n".join(
            textwrap.fill(f"{name}: {value}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
            for name, value in rows
        )
        return f"{self.title}\n\n{body}\n\n{textwrap.indent(self.equation, '    ')}\n\n{ends}"


def topic_names() -> tuple[str, ...]:
    """All topics in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def explain(name: str, language: str = "en") -> Topic:
    """The topic `name` in `language`; raises UserError, naming near ones, where there is none."""
    if language not in LABELS:
        known = ", ".join(LABELS)
        raise UserError(f"Topics are written in {known}, not in {language!r}.")
    wanted = _found(name)
    data = _read(wanted)
    return Topic(
        name=wanted,
        language=language,
        title=data[language]["title"],
        text=data[language]["text"].strip(),
        equation=data[language].get("equation", data["equation"]).strip("\n"),
        code=tuple(data["code"]),
        source=data["source"],
        related=tuple(data["related"]),
    )


@cache
def parts_explained() -> dict[str, str]:
    """The topic that explains each choice of a spec, by the choice's name ("RMSNorm")."""
    return {part: name for name in topic_names() for part in _read(name).get("parts", ())}


def _found(name: str) -> str:
    """The topic of this name, or the one about a part of this name."""
    names = topic_names()
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    if wanted in names:
        return wanted
    parts = parts_explained()
    topics = {part.lower(): topic for part, topic in parts.items()}
    if wanted in topics:
        return topics[wanted]
    near = difflib.get_close_matches(wanted, [*names, *topics], n=3, cutoff=0.5)
    known = dict.fromkeys(topics.get(other, other) for other in near)
    hint = f"Near it: {', '.join(known)}." if near else f"There are: {', '.join(names)}."
    raise UserError(f"There is no topic {name!r}. {hint}")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
