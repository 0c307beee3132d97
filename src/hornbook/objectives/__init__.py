"""Objectives: what a model is asked to learn, as a pair of functions.

In: rows of tokens (numpy) with their sample numbers, and later a `Batch` of tensors with a network.
Out: `prepare` makes the arrays of a batch (tokens, targets, which positions have a target), a pure
function of the rows and the sample numbers; `loss` runs the network and returns a sum over targets
with their count, to be divided once by the global number of targets of the update.
The head belongs to the loss: `cross_entropy` forms logits chunk by chunk, never a whole batch.

Papers: Radford et al. 2019 (causal language modelling); Wei et al. 2022 (instruction tuning);
Sutskever et al. 2014 (pairs); Peters et al. 2018 (both ways); Chowdhery et al. 2022, section 5
(z-loss).
"""

STREAMED = ("causal", "both_ways")
"""The objectives that learn from streams; the others need examples of their own kind."""

OBJECTIVES = {
    "causal": "hornbook.objectives.causal:Causal",
    "stateful": "hornbook.objectives.stateful:Stateful",
    "masked": "hornbook.objectives.masked:Masked",
    "both_ways": "hornbook.objectives.both_ways:BothWays",
    "split": "hornbook.objectives.split:Split",
    "pairs": "hornbook.objectives.pairs:Pairs",
    "instruction": "hornbook.objectives.instruction:Instruction",
}
