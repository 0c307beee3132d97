"""Repetition: a text that says the same again and again teaches only that.

After Gopher (Rae et al. 2021, table A1), with thresholds mild enough for verse and source code.
"""

from hornbook.corpus.filters.rule import Rule

_LEAST_WORDS = 100

RULES = (
    Rule(
        "duplicate_lines",
        "duplicate_line_share",
        "maximum",
        "maximum_duplicate_line_share",
        "{value} of the text is lines that stood before; at most {threshold} is allowed",
        _LEAST_WORDS,
    ),
    Rule(
        "top_2gram",
        "top_2gram_share",
        "maximum",
        "maximum_top_2gram_share",
        "one pair of words covers {value} of the text; at most {threshold} is allowed",
        _LEAST_WORDS,
    ),
    Rule(
        "top_3gram",
        "top_3gram_share",
        "maximum",
        "maximum_top_3gram_share",
        "one run of 3 words covers {value} of the text; at most {threshold} is allowed",
        _LEAST_WORDS,
    ),
    Rule(
        "repeated_5grams",
        "repeated_5gram_share",
        "maximum",
        "maximum_repeated_5gram_share",
        "{value} of the text is runs of 5 words that came before; at most {threshold} is allowed",
        _LEAST_WORDS,
    ),
    Rule(
        "repeated_10grams",
        "repeated_10gram_share",
        "maximum",
        "maximum_repeated_10gram_share",
        "{value} of the text is runs of 10 words that came before; at most {threshold} is allowed",
        _LEAST_WORDS,
    ),
)
