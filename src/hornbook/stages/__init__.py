"""The table of contents of the project: every stage of a run, and every section of a recipe.

A stage is a pure function of its recipe sections, what the stages above it made, what it reads from
outside, and its revision; change any of the four and it runs again. `sections` names what its
fingerprint depends on: a whole section, or one key of another stage's section; `grows` names what
may be raised later, so that the work goes on where the schedule allows it. Raise `revision`
with every change of code that changes what a stage writes (a golden digest in the tests reminds
you).
"""

from collections.abc import Mapping

from hornbook.adaptation.options import FinetuningOptions
from hornbook.corpus.options import CorpusOptions
from hornbook.evaluation.options import BaselineOptions
from hornbook.models.options import ModelOptions
from hornbook.recipe.options import Options
from hornbook.runs.stage import Stage
from hornbook.stages.options import RunOptions
from hornbook.store.options import StoreOptions
from hornbook.tokenizers.options import TokenizerOptions
from hornbook.training.options import ComputeOptions, PretrainingOptions

SECTIONS: Mapping[str, type[Options]] = {
    "run": RunOptions,
    "compute": ComputeOptions,
    "corpus": CorpusOptions,
    "tokenizer": TokenizerOptions,
    "store": StoreOptions,
    "baseline": BaselineOptions,
    "model": ModelOptions,
    "pretraining": PretrainingOptions,
    "finetuning": FinetuningOptions,
}

STAGES = (
    Stage(
        name="corpus",
        function="hornbook.stages.corpus:build",
        sections=("run", "corpus"),
        outside="hornbook.stages.corpus:outside",
    ),
    Stage(
        name="tokenizer",
        function="hornbook.stages.tokenizer:build",
        reads=("corpus",),
        sections=("tokenizer",),
    ),
    Stage(
        name="store",
        function="hornbook.stages.store:build",
        reads=("corpus", "tokenizer"),
        sections=("store",),
        revision=2,
    ),
    Stage(
        name="baseline",
        function="hornbook.stages.baseline:build",
        reads=("tokenizer", "store"),
        sections=("baseline", "pretraining.sequence_length", "pretraining.evaluation_rows"),
        revision=2,
    ),
    Stage(
        name="pretraining",
        function="hornbook.stages.pretraining:build",
        reads=("tokenizer", "store"),
        sections=("run", "compute", "model", "pretraining"),
        revision=2,
        grows=("pretraining.steps",),
    ),
    Stage(
        name="finetuning",
        function="hornbook.stages.finetuning:build",
        reads=("corpus", "tokenizer", "pretraining"),
        sections=("run", "compute", "finetuning"),
        skip="hornbook.stages.finetuning:why_skipped",
        revision=2,
        grows=("finetuning.steps",),
    ),
)
