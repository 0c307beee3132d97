"""Filters: one file a rule set; numbers in, a verdict with its reason out.

A rule looks at one column of the measures and never at the text, so that a changed threshold reads
nothing again. None of them knows English: words, lines and repetition mean the same in any script,
and thresholds are mild. Adding a rule set is one file with `RULES` here and one row in FILTERS;
sources: Gopher (Rae et al. 2021), C4 (Raffel et al. 2020), see each file.
"""

FILTERS = {
    "length": "hornbook.corpus.filters.length:RULES",
    "characters": "hornbook.corpus.filters.characters:RULES",
    "repetition": "hornbook.corpus.filters.repetition:RULES",
    "tables": "hornbook.corpus.filters.tables:RULES",
}
"""A rule set's name -> its tuple of `Rule`."""
