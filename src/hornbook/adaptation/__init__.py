"""Adaptation: from a model that continues text to one that does what it is asked.

In: a pre-trained network, and examples (so far questions and answers made from docstrings).
Out: the same network after more steps of the one training loop, with the loss on answers alone.

What tells this from pre-training is data: a plan of packed conversations instead of a stream, and
the objective `instruction` instead of `causal`. Papers: Ouyang et al. 2022, section 3.5 (supervised
fine-tuning); Wei et al. 2022, "Finetuned Language Models Are Zero-Shot Learners".
"""
