"""n-grams by order and by estimator: tables, and the picture of too short and too long."""

from collections.abc import Mapping, Sequence

from hornbook.evaluation.baseline import ALL, Sums
from hornbook.evaluation.orders import OrderScore
from hornbook.reporting.figures import Line, by_order
from hornbook.reporting.svg import Drawing
from hornbook.reporting.terminal import Table


def orders_table(title: str, scores: Mapping[str, OrderScore], head: str) -> Table:
    """A row for each score under its name; the best on held-out text is marked.

    head: what the names are, "order" or "estimator".
    """
    sources = sources_of(next(iter(scores.values())))
    held = [f"held out: {source}" for source in sources] if len(sources) > 1 else ["held out"]
    rows = tuple(
        (
            name,
            f"{score.ngrams:,}",
            f"{score.seconds:.1f}",
            f"{bits(score.counted[ALL]):.3f}",
            *(f"{bits(score.held_out[source]):.3f}" for source in sources),
        )
        for name, score in scores.items()
    )
    heads = (head, "n-grams", "seconds", "counted text", *held)
    reached = [bits(score.held_out[ALL]) for score in scores.values()]
    return Table(title, heads, rows, tuple(range(1, len(heads))), reached.index(min(reached)))


def orders_figure(scores: Sequence[OrderScore]) -> Drawing:
    """Bits per byte over the order, on held-out text by source and on counted text."""
    orders = [float(score.order) for score in scores]

    def line(source: str) -> Line:
        name = "held out" if source == ALL else source
        return Line(name, orders, [bits(score.held_out[source]) for score in scores])

    counted = Line("counted text", orders, [bits(score.counted[ALL]) for score in scores])
    return by_order([line(source) for source in sources_of(scores[0])], counted)


def sources_of(score: OrderScore) -> list[str]:
    """Held-out sources, all together last; one source alone is the same as all."""
    sources = [source for source in score.held_out if source != ALL]
    return [*(sources if len(sources) > 1 else []), ALL]


def bits(sums: Sums) -> float:
    """Bits a byte."""
    found: float = sums.figures()["bits_per_byte"]
    return found
