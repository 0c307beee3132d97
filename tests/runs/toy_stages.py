"""A run of three toy stages: words are counted, doubled and told, each in a file or two."""

import json
from typing import Any

from pydantic import Field

from hornbook.recipe.options import Options, unhashed
from hornbook.runs.stage import Stage, StageContext


class WordsOptions(Options):
    count: int = Field(3, ge=0, description="How many words to write.")
    color: str = unhashed("red", description="How they are shown.")


class DoubledOptions(Options):
    factor: float = Field(2.0, gt=0, description="How often each word is repeated.")


class ToldOptions(Options):
    greeting: str = Field("hello", description="How the telling begins.")


SECTIONS = {"words": WordsOptions, "doubled": DoubledOptions, "told": ToldOptions}
STAGES = (
    Stage("words", "toy_stages:words", sections=("words",)),
    Stage("doubled", "toy_stages:doubled", reads=("words",), sections=("doubled",)),
    Stage("told", "toy_stages:told", reads=("words", "doubled"), sections=("told",)),
)


def words(context: StageContext) -> dict[str, Any]:
    count = context.recipe["words"].count
    for number in range(count):
        context.stop.check()
        (context.directory / f"{number}.txt").write_text(f"word {number}\n", encoding="utf-8")
        context.events.write("metric", step=number, loss=1 / (number + 1))
    return {"words": count}


def doubled(context: StageContext) -> dict[str, Any]:
    texts = [path.read_text("utf-8") for path in sorted(context.inputs["words"].glob("*.txt"))]
    folder = context.directory / "inner"
    folder.mkdir(exist_ok=True)
    text = "".join(texts) * int(context.recipe["doubled"].factor)
    (folder / "all.txt").write_text(text, encoding="utf-8")
    return {"characters": len(text)}


def told(context: StageContext) -> dict[str, Any]:
    inputs = sorted(context.inputs)
    content = {"greeting": context.recipe["told"].greeting, "inputs": inputs}
    (context.directory / "told.json").write_text(json.dumps(content), encoding="utf-8")
    return {}
