"""Tables: rows of numbers with a label each; a small model that reads them writes nothing else."""

from hornbook.corpus.filters.rule import Rule

RULES = (
    Rule(
        "table",
        "table_share",
        "maximum",
        "maximum_table_share",
        "{value} of the text is lines like rows of a table; at most {threshold} is allowed",
        100,
    ),
)
