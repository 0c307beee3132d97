"""A run of three toy stages: words are written, repeated and told, each in a file or two."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hornbook.recipe.options import Options, unhashed
from hornbook.recipe.recipe import Recipe, read
from hornbook.runs.atomic import write_text
from hornbook.runs.directory import RunDirectory
from hornbook.runs.execute import execute
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.runs.stage import Stage, StageContext


class WordsOptions(Options):
    count: int = Field(3, ge=0, description="How many words to write.")
    color: str = unhashed("red", description="How they are shown.")


class RepeatedOptions(Options):
    factor: float = Field(2.0, gt=0, description="How often the words are repeated.")


class ToldOptions(Options):
    greeting: str = Field("hello", description="How the telling begins; skipped if empty.")


SECTIONS = {"words": WordsOptions, "repeated": RepeatedOptions, "told": ToldOptions}
STAGES = (
    Stage("words", "toy_stages:words", sections=("words",), outside="toy_stages:outside"),
    Stage("repeated", "toy_stages:repeated", reads=("words",), sections=("repeated",)),
    Stage(
        "told",
        "toy_stages:told",
        reads=("words", "repeated"),
        sections=("told",),
        skip="toy_stages:nothing_to_tell",
    ),
)
OUTSIDE = {"dictionary": "1"}


def outside(recipe: Recipe) -> dict[str, str]:
    return dict(OUTSIDE)


def words(context: StageContext) -> dict[str, Any]:
    """Write a shard a word, keeping those that a killed attempt has finished."""
    count = context.recipe["words"].count
    for number in range(count):
        context.stop.check()
        path = context.directory / f"{number}.txt"
        if not path.exists():
            write_text(path, f"word {number} of {OUTSIDE['dictionary']}\n")
            context.events.write("metric", step=number, loss=1 / (number + 1))
    return {"words": count}


def repeated(context: StageContext) -> dict[str, Any]:
    texts = [path.read_text("utf-8") for path in sorted(context.inputs["words"].glob("*.txt"))]
    folder = context.directory / "inner"
    folder.mkdir(exist_ok=True)
    text = "".join(texts) * int(context.recipe["repeated"].factor)
    (folder / "all.txt").write_text(text, encoding="utf-8")
    return {"characters": len(text), "share": 0.12345678, "nested": {"a": [1, 2]}}


def nothing_to_tell(context: StageContext) -> str | None:
    return None if context.recipe["told"].greeting else "there is no greeting"


def told(context: StageContext) -> None:
    text = (context.inputs["repeated"] / "inner" / "all.txt").read_text("utf-8")
    content = {"greeting": context.recipe["told"].greeting, "text": text}
    (context.directory / "told.json").write_text(json.dumps(content), encoding="utf-8")


def recipe_of(changes: Mapping[str, Any] | None = None) -> Recipe:
    return read({}, SECTIONS, changes or {})


def go(
    run: RunDirectory, changes: Mapping[str, Any] | None = None, stop: StopSignal | None = None
) -> dict[str, str]:
    """Execute the toy run and return the states."""
    return execute(
        STAGES, recipe_of(changes), run, progress=Progress(quiet=True), stop=stop or StopSignal()
    )


def outputs(run: RunDirectory) -> dict[str, bytes]:
    """Return every finished output's bytes."""
    return {
        path.relative_to(run.path).as_posix(): path.read_bytes()
        for stage in STAGES
        for path in sorted(run.stage(stage.name).rglob("*"))
        if path.is_file()
    }
