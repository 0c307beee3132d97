"""Counted n-grams of any order: from tokens to counts, from counts to a model, in numpy alone.

In: pieces of text as ids, or stored tokens (`counts.count_ngrams`). Between: `Counts`, how often
each n-gram of each order occurred. Out: an `NGram` (model.py) made by one of the estimators below
(`estimate.estimate`), which scores, samples, saves and loads. windows.py sorts the text's n-grams,
tries.py finds one among them. Every estimator ends in the same form, the one of ARPA files: a
probability for each n-gram that was counted, a weight for each history; arpa.py writes such files,
arpa_reader.py reads them. spec.py is a model as plain data.

Papers: Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling";
each estimator names its own.
"""

ESTIMATORS: dict[str, str] = {
    "modified_kneser_ney": "hornbook.models.ngrams.kneser_ney:modified_kneser_ney",
    "kneser_ney": "hornbook.models.ngrams.kneser_ney:kneser_ney",
    "katz": "hornbook.models.ngrams.katz:katz",
    "add_k": "hornbook.models.ngrams.additive:additive",
    "maximum_likelihood": "hornbook.models.ngrams.relative:maximum_likelihood",
    "stupid_backoff": "hornbook.models.ngrams.relative:stupid_backoff",
}

NORMALISED = ("modified_kneser_ney", "kneser_ney", "katz", "add_k")
"""The estimators that give every token a probability after every context, seen or not."""

SETTINGS: dict[str, tuple[str, ...]] = {"add_k": ("add_k",)}
"""What an estimator can be told besides the counts: keywords of its function, keys of recipes."""
