"""The two sections of a page that are curves: training, and evaluation on held-out text."""

from hornbook.reporting import figures
from hornbook.reporting.blocks import Block, Section, Table, picture, table
from hornbook.reporting.facts import ALL_SOURCES, Record, RunFacts, number
from hornbook.reporting.figures import Level, Line

STAGE_TITLES = {"pretraining": "Pre-training", "finetuning": "Instruction tuning"}

STEP_PANELS = {
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "tokens_per_second": "tokens/s",
}


def metric_line(facts: RunFacts, stage: str, field: str, label: str) -> Line:
    """One field of a stage's metric events over tokens (over steps where tokens are absent)."""
    axis = x_label(facts, stage)
    field_of_axis = "tokens" if axis == "tokens" else "step"
    points = [
        (x, y)
        for record in facts.metrics.get(stage, ())
        if (x := number(record, field_of_axis)) is not None
        and (y := number(record, field)) is not None
    ]
    return Line(label, [x for x, _ in points], [y for _, y in points])


def x_label(facts: RunFacts, stage: str) -> str:
    """`tokens` where the stage's metrics count them, else `step`."""
    counted = any(number(record, "tokens") is not None for record in facts.metrics.get(stage, ()))
    return "tokens" if counted else "step"


def training(facts: RunFacts) -> Section:
    """Loss over tokens, then learning rate, gradient norm and speed."""
    blocks: list[Block] = []
    for stage in facts.metrics:
        if stage != "finetuning":
            blocks += [*loss_curve(facts, stage), *_step_curves(facts, stage)]
    words = () if blocks else ("No training step has been recorded yet.",)
    return Section("training", "Training", words, tuple(blocks))


def loss_curve(facts: RunFacts, stage: str) -> list[Block]:
    """The picture of a stage's training loss; nothing where none was recorded."""
    title, axis = STAGE_TITLES.get(stage, stage), x_label(facts, stage)
    line = metric_line(facts, stage, "loss", "loss")
    if not line.y:
        return []
    end = figures.smoothed(figures.finite(line)[1])[-1]
    caption = (
        f"{title}: loss in nats a token over {axis}; pale as measured, strong the mean of "
        f"neighbouring steps, from {line.y[0]:.2f} to {end:.2f}."
    )
    return [picture(f"{stage}-loss", f"{title}: loss", caption, figures.loss(line, axis))]


def _step_curves(facts: RunFacts, stage: str) -> list[Block]:
    title, axis = STAGE_TITLES.get(stage, stage), x_label(facts, stage)
    lines = [metric_line(facts, stage, field, label) for field, label in STEP_PANELS.items()]
    shown = [line for line in lines if line.y]
    if not shown:
        return []
    names = ", ".join(line.name for line in shown)
    caption = f"{title}: {names} over {axis}; the gradient norm is the one before clipping."
    drawing = figures.panels(shown, axis)
    return [picture(f"{stage}-steps", f"{title}: {names}", caption, drawing)]


def evaluation(facts: RunFacts) -> Section:
    """Held-out bits per byte of each source over training, with the baselines as levels."""
    words: list[str] = []
    blocks: list[Block] = []
    lines, axis = evaluation_lines(facts)
    if lines:
        names = {line.name for line in lines}
        levels = [
            Level(model, source, value)
            for model, values in facts.baselines.items()
            for source, value in values.items()
            if source in names
        ]
        ends = ", ".join(f"{name} {v:.3f}" for name, v in facts.final_bits_per_byte().items())
        caption = f"Bits per byte of held-out text over {axis}; at the end: {ends}."
        if levels:
            caption += " Broken lines: the baselines on the same text."
        drawing = figures.evaluation(lines, levels, axis)
        blocks.append(picture("evaluation", "Bits per byte on held-out text", caption, drawing))
    else:
        words.append("Nothing has been evaluated yet.")
    if facts.baselines:
        blocks.append(_baseline_table(facts))
    else:
        words.append("The run has no baseline to compare with.")
    return Section("evaluation", "Evaluation", tuple(words), tuple(blocks))


def evaluation_lines(facts: RunFacts, stage: str = "pretraining") -> tuple[list[Line], str]:
    """A line a source of bits per byte, and what its x axis counts."""
    records = facts.evaluations.get(stage, ())
    tokens = {
        record.get("step"): record["tokens"]
        for record in facts.metrics.get(stage, ())
        if number(record, "tokens") is not None
    }
    places = [_tokens_of(record, tokens) for record in records]
    counted = bool(records) and None not in places
    by_source: dict[str, list[tuple[float, float]]] = {}
    for record, place in zip(records, places, strict=True):
        x = place if counted else number(record, "step")
        y = number(record, "bits_per_byte")
        if x is not None and y is not None:
            by_source.setdefault(str(record.get("source") or ALL_SOURCES), []).append((x, y))
    lines = [
        Line(source, [x for x, _ in points], [y for _, y in points])
        for source, points in by_source.items()
    ]
    return lines, "tokens" if counted else "step"


def _tokens_of(record: Record, tokens: dict[object, float]) -> float | None:
    """How many tokens had been seen at an evaluation: its own count, its step's, 0 at step 0."""
    own = number(record, "tokens")
    if own is not None:
        return own
    step = record.get("step")
    return tokens.get(step, 0.0 if step == 0 and tokens else None)


def _baseline_table(facts: RunFacts) -> Table:
    final, baselines = facts.final_bits_per_byte(), facts.compared_baselines()
    sources = list(dict.fromkeys([*final, *(s for values in baselines.values() for s in values)]))
    rows = [
        (model, *(_bits(values.get(source)) for source in sources))
        for model, values in baselines.items()
    ]
    if final:
        rows.append(("this model", *(_bits(final.get(source)) for source in sources)))
    numeric = range(1, len(sources) + 1)
    return table("Bits per byte on held-out text", ("model", *sources), rows, numeric)


def _bits(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
