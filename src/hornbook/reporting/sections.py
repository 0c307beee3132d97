"""The sections of a run's page that are words, cards and tables.

Each says so when the run has nothing for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hornbook.reporting.blocks import (
    Answers,
    Block,
    Card,
    Cards,
    Code,
    Samples,
    Section,
    table,
    visible,
)
from hornbook.reporting.curves import loss_curve
from hornbook.reporting.facts import ALL_SOURCES, Record, RunFacts, Share, own_values
from hornbook.reporting.figures import short_number

STEPS_SHOWN = 6
"""Steps whose samples are on the page, spread evenly over the training."""

ANSWERS_SHOWN = 12

T = TypeVar("T")

SHARE_LABELS = {
    "well_formed": "well-formed and stopped",
    "stopped": "stopped by themselves",
}


def duration(seconds: float | None) -> str:
    """95.2 -> `1 min 35 s`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def headline(facts: RunFacts) -> Section:
    """The figures one looks for first: bits per byte against the baselines, tokens, time."""
    cards = [_score_card(facts, *score) for score in facts.final_bits_per_byte().items()]
    tokens = facts.tokens_seen()
    if tokens is not None:
        cards.append(Card("tokens seen", short_number(tokens), "in pre-training"))
    kept, read = sum(s.kept for s in facts.corpus), sum(s.read for s in facts.corpus)
    if read:
        cards.append(Card("documents kept", f"{kept:,}", f"of {read:,} read"))
    if facts.tuning and "well_formed" in facts.tuning.shares:
        share = facts.tuning.shares["well_formed"]
        note = f"{share.count} of {share.total} held-out questions"
        cards.append(Card("answers in the taught form", f"{share.value:.0%}", note))
    seconds = facts.seconds()
    if seconds is not None:
        cards.append(Card("time", duration(seconds), "all finished stages together"))
    if not cards:
        return Section("headline", "In short", ("This run has not recorded any figure yet.",))
    return Section("headline", "In short", (), (Cards(tuple(cards)),))


def _score_card(facts: RunFacts, source: str, value: float) -> Card:
    beside = [
        f"{model} {values[source]:.2f}"
        for model, values in facts.baselines.items()
        if source in values
    ]
    label = "bits per byte" + ("" if source == ALL_SOURCES else f", {source}")
    note = "against " + ", ".join(beside) if beside else "on held-out text"
    return Card(visible(label), f"{value:.3f}", visible(note))


def corpus(facts: RunFacts) -> Section:
    """What was read and kept, what each rule dropped, with an example, and what training took."""
    given = tuple(contributions(facts))
    if not facts.corpus:
        return Section("corpus", "Corpus", ("No corpus has been built yet.",), given)
    kept = [
        (s.name, s.read, s.kept, s.read - s.kept, s.train, s.validation, _megabytes(s.text_bytes))
        for s in facts.corpus
    ]
    heads = ("source", "read", "kept", "dropped", "training", "validation", "MB")
    blocks: list[Block] = [table("Documents by source", heads, kept, range(1, 7))]
    dropped = [
        (f"{source.name}: {row.rule}", row.count, row.path, row.reason, row.opening)
        for source in facts.corpus
        for row in source.dropped
    ]
    words = () if dropped else ("No rule dropped anything.",)
    if dropped:
        columns = ("source: rule", "dropped", "for example", "because", "which begins")
        caption = "What was dropped, by which rule, with the longest document as an example"
        blocks.append(table(caption, columns, dropped, (1,)))
    changed = [
        (f"{source.name}: {rule}", count)
        for source in facts.corpus
        for rule, count in source.changed.items()
    ]
    if changed:
        caption = "What was changed inside texts"
        blocks.append(table(caption, ("source: rule", "places"), changed, (1,)))
    return Section("corpus", "Corpus", words, (*blocks, *given))


def contributions(facts: RunFacts) -> list[Block]:
    """What each source gave to pre-training, with the sums; nothing where it was not counted."""
    if not facts.contributions:
        return []
    counted = ("samples", "tokens", "targets", "bytes")
    rows: list[tuple[Any, ...]] = [
        (
            record.get("source", ""),
            *(record.get(name) for name in counted),
            f"{record.get('epochs', 0.0):.3f}",
            f"{record.get('share', 0.0):.1%}",
        )
        for record in facts.contributions
    ]
    sums = [sum(record.get(name, 0) for record in facts.contributions) for name in counted]
    caption = "What each source gave to pre-training, as counted while it was read"
    heads = ("source", *counted, "epochs", "share of samples")
    return [table(caption, heads, [*rows, ("all", *sums, "", "100.0%")], range(1, 7))]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f}" if size else ""


def tokenizer(facts: RunFacts) -> Section:
    """How much text a token carries, by source."""
    blocks: list[Block] = []
    if facts.tokens:
        rows = [
            (
                f"{row.source} ({row.split})",
                row.documents,
                row.tokens,
                row.text_bytes,
                None if row.bytes_per_token is None else f"{row.bytes_per_token:.3f}",
            )
            for row in facts.tokens
        ]
        columns = ("source", "documents", "tokens", "bytes", "bytes per token")
        caption = "Tokens in the store; more bytes per token means shorter sequences"
        blocks.append(table(caption, columns, rows, range(1, 5)))
    if facts.tokenizer:
        caption = "What the tokenizer's stage recorded"
        blocks.append(table(caption, ("value", "is"), list(flat(facts.tokenizer).items())))
    words = () if blocks else ("No tokenizer has been trained yet.",)
    return Section("tokenizer", "Tokenizer", words, tuple(blocks))


def samples(facts: RunFacts) -> Section:
    """What the model wrote while it learned: one prompt along the way, every prompt at the end."""
    if not facts.samples:
        return Section("samples", "Samples along the way", ("No sample has been written yet.",))
    shown = tuple(
        {
            "label": _sample_label(record),
            "prompt": visible(record.get("prompt", "")),
            "text": visible(record.get("text", "")),
        }
        for record in _chosen_samples(facts.samples)
    )
    words = ("The marked beginning was given; the model wrote the rest.",)
    return Section("samples", "Samples along the way", words, (Samples(shown),))


def _chosen_samples(records: Sequence[Record]) -> list[Record]:
    by_step: dict[Any, list[Record]] = {}
    for record in records:
        by_step.setdefault(record.get("step"), []).append(record)
    *before, last = spread(list(by_step.values()), STEPS_SHOWN)
    return [*(group[0] for group in before), *last]


def _sample_label(record: Record) -> str:
    step = record.get("step")
    return "" if step is None else f"after step {step:,}"


def spread(records: Sequence[T], count: int) -> list[T]:
    """At most `count` of the records at even distances, the first and the last among them."""
    if len(records) <= count:
        return list(records)
    last = len(records) - 1
    return [records[round(i * last / (count - 1))] for i in range(count)]


def tuning(facts: RunFacts) -> Section:
    """Do tuned answers keep the taught form and stop? On functions that were held out."""
    heading = "Instruction tuning"
    if facts.tuning is None and "finetuning" in facts.metrics:
        words = ("Tuned; the answers to held-out questions have not been measured.",)
        return Section("tuning", heading, words, tuple(loss_curve(facts, "finetuning")))
    if facts.tuning is None:
        why = facts.skipped.get("finetuning")
        text = f"Left out: {why}" if why else "The model has not been tuned on instructions."
        return Section("tuning", heading, (visible(text),))
    words = (
        "Counted is form, not truth: a small model learns how an answer looks long before it "
        "knows the facts.",
    )
    blocks: list[Block] = []
    if facts.tuning.shares:
        rows = [
            (SHARE_LABELS[name], f"{share.count} of {share.total}", *_share_cells(share))
            for name, share in facts.tuning.shares.items()
        ]
        columns = ("answers", "count", "share", "95 % interval (Wilson)")
        blocks.append(table("Answers to held-out questions", columns, rows, (1, 2, 3)))
    blocks += loss_curve(facts, "finetuning")
    if facts.tuning.answers:
        chosen = spread(facts.tuning.answers, ANSWERS_SHOWN)
        blocks.append(Answers(tuple(_answer(record) for record in chosen)))
    return Section("tuning", heading, words, tuple(blocks))


def _share_cells(share: Share) -> tuple[str, str]:
    return f"{share.value:.1%}", f"{share.low:.1%} to {share.high:.1%}"


def _answer(record: Record) -> Mapping[str, str]:
    verdict = "did not stop" if not record.get("stopped") else "stopped, another form"
    if record.get("well_formed"):
        verdict = "well-formed and stopped"
    return {
        "question": visible(record.get("question", "")),
        "answer": visible(record.get("answer", "")),
        "reference": visible(record.get("reference", "")),
        "verdict": verdict,
    }


def incidents(facts: RunFacts) -> Section:
    """What went wrong on the way, if anything did."""
    if not facts.incidents:
        return Section("incidents", "Incidents", ("None: nothing unusual was recorded.",))
    rows = [_event_row(record) for record in facts.incidents]
    blocks = (table("Incidents", ("stage", "step", "what", "details"), rows, (1,)),)
    return Section("incidents", "Incidents", (), blocks)


def _event_row(record: Record) -> tuple[Any, ...]:
    rest = flat({k: v for k, v in own_values(record).items() if k != "what"})
    details = ", ".join(f"{key}: {visible(value)}" for key, value in rest.items())
    return record.get("stage", ""), record.get("step"), record.get("what", ""), details


def recipe(facts: RunFacts) -> Section:
    """The resolved recipe, and the choices that were made automatically."""
    blocks: list[Block] = []
    if facts.decisions:
        rows = [(r.get("what", ""), r.get("stage", ""), r.get("why", "")) for r in facts.decisions]
        blocks.append(table("Choices made for this run", ("what", "stage", "why"), rows))
    if facts.recipe_text:
        caption = "recipe.toml, with every default written out"
        blocks.append(Code(caption, visible(facts.recipe_text)))
    words = () if facts.recipe_text else ("The run has no recipe.toml.",)
    return Section("recipe", "Recipe", words, tuple(blocks))


def stages(facts: RunFacts) -> Section:
    """Each stage's state, seconds and own summary; versions and machine."""
    heading = "Stages and machine"
    if not facts.stages:
        return Section("stages", heading, ("No stage has begun yet.",))
    rows = [
        (
            stage.name,
            stage.state,
            duration(stage.seconds),
            ", ".join(f"{key} {visible(value)}" for key, value in flat(stage.summary).items()),
        )
        for stage in facts.stages
    ]
    columns = ("stage", "state", "took", "its own summary")
    blocks = [table("Stages in the order they were begun", columns, rows, (2,))]
    where: dict[tuple[str, str], list[str]] = {}
    for stage in facts.stages:
        for key, value in flat({**stage.versions, **stage.machine}).items():
            if value != "":
                where.setdefault((key, visible(value)), []).append(stage.name)
    everywhere = max((len(names) for names in where.values()), default=0)
    places = [
        (key, value, "all" if len(names) == everywhere else ", ".join(names))
        for (key, value), names in where.items()
    ]
    if places:
        blocks.append(table("What it ran on", ("what", "is", "stages"), places))
    return Section("stages", heading, (), tuple(blocks))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted keys; lists as comma-separated text."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out.update(flat(value, f"{prefix}{key}."))
        elif isinstance(value, list | tuple):
            out[f"{prefix}{key}"] = ", ".join(visible(each) for each in value)
        else:
            out[f"{prefix}{key}"] = value
    return out
