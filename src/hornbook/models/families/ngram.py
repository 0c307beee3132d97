"""n-grams (Shannon 1948, §3; smoothed as in Chen & Goodman 1998): counting instead of learning.

How often did this token follow these n - 1? What never followed still has to have a probability,
and how much of it is what estimators differ in: each takes a little from what was counted, and
gives it to what the next shorter history expects.

    p(w | h) = what was counted of h w, less a discount, of all that followed h
               + what the discounts freed, times p(w | h')            h' = h without its first token

A short history knows too little of what stands before; a long one has hardly ever been seen. How
bits per byte change with n, on held-out text and on the text that was counted: `hornbook ngrams
RUN`. No gradient, no hidden states; one pass over the text.
"""

from hornbook.models.ngrams.spec import NGramSpec

ANCESTOR = ""


def spec(
    *, vocab_size: int = 4096, order: int = 5, estimator: str = "modified_kneser_ney"
) -> NGramSpec:
    """n-grams of up to `order` tokens."""
    return NGramSpec("ngram", vocab_size, order, estimator)


DIFFERENCES = (
    "A table in place of a network: two contexts that mean the same share nothing unless they end "
    "in the same tokens.",
    "The context is order - 1 tokens; what stands before them is not seen, by definition.",
    "There is no padding before a text; a history is what there is of it, as a transformer has it.",
    "Documents follow each other in one stream with an end-of-text token between them, and n-grams "
    "are counted across it.",
)
