"""Length: a document must say something."""

from hornbook.corpus.filters.rule import Rule

RULES = (
    Rule(
        "too_short",
        "bytes",
        "minimum",
        "minimum_bytes",
        "only {value} bytes of text; at least {threshold} are asked for",
    ),
)
