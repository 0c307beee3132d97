"""Evaluation: how good is it, and how sure are we?

In: a model and held-out text or questions. Out: scores with their error bars.

`baseline` scores counted n-grams on exactly the targets that the neural model is scored on, in bits
per byte, which compares models across tokenizers (Brown et al. 1992, "An Estimate of an Upper Bound
for the Entropy of English"). `answers` asks a tuned model about held-out functions and counts the
answers that keep the taught form. `bleu` compares sentences with references (Papineni et al. 2002).
`significance` gives the intervals.
"""
