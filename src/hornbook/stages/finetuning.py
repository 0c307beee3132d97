"""Stage `finetuning`: the pre-trained network learns to answer questions, and is asked some."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.adaptation.questions import Pair, pairs_from_documents
from hornbook.batches.batch import assemble
from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.batches.plans import PackedPlan, evaluation_rows, pack
from hornbook.checkpoints.read import newest
from hornbook.corpus.read import open_documents
from hornbook.errors import RecipeError
from hornbook.evaluation.answers import as_rows, ask, summarise
from hornbook.handle.model import Model
from hornbook.models.build import empty_network, fill
from hornbook.models.spec import spec_from_dict
from hornbook.models.stacks import Network
from hornbook.objectives.instruction import Instruction
from hornbook.recipe.fingerprint import derive_seed
from hornbook.runs.atomic import write_text
from hornbook.runs.stage import StageContext
from hornbook.stages.networks import CHECKPOINTS, earlier_checkpoints, model_tokenizer, write_model
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.chat import missing_controls, render
from hornbook.tokenizers.tokenizer import Tokenizer
from hornbook.training.compute import resolve_compute
from hornbook.training.loop import train
from hornbook.training.state import TrainingPlan, Watcher
from hornbook.training.watchers import evaluation, sampling

FEWEST_PAIRS = 50
SHOWN_QUESTIONS = 3
SOURCE = "questions"
ROWS = "rows.npz"


def why_skipped(context: StageContext) -> str | None:
    """Return why there is nothing to tune on, or no way to lay out a conversation."""
    found = len(pairs(context.inputs, "train"))
    if found < FEWEST_PAIRS:
        return (
            f"the corpus has {found} docstrings to make questions of, and tuning needs "
            f"{FEWEST_PAIRS}; add the source python:docs to have it"
        )
    missing = missing_controls(load_tokenizer(context.inputs["tokenizer"]))
    if missing:
        return (
            f"the tokenizer has no {', '.join(missing)}, by which a question is told from its "
            'answer; set tokenizer.special_tokens = "chat" to have them'
        )
    return None


def build(context: StageContext) -> dict[str, Any]:
    """Tune on the training split's pairs; ask about functions of the validation split."""
    recipe = context.recipe
    options, seed = recipe["finetuning"], recipe["run"].seed
    tokenizer = model_tokenizer(context)
    network = pretrained(context)
    if options.sequence_length > network.spec.max_length:
        raise RecipeError(
            f"finetuning.sequence_length = {options.sequence_length} is longer than the "
            f"pre-trained model's context of {network.spec.max_length}; lower it."
        )
    held_out = pairs(context.inputs, "validation")
    questions = chosen(held_out, seed, options.held_out_questions)
    rows = stored_rows(context, tokenizer)
    plan = TrainingPlan(
        network=network,
        objective=Instruction(options.z_loss),
        batches=batches_of(recipe, context.inputs, tokenizer, rows),
        options=options,
        compute=resolve_compute(recipe["compute"]),
        seed=derive_seed(seed, "finetuning"),
        checkpoints=context.directory / CHECKPOINTS,
        lineage=context.lineage,
        earlier=earlier_checkpoints(context),
        watchers=watchers(context, held_out, questions, tokenizer),
    )
    summary = train(plan, events=context.events, progress=context.progress, stop=context.stop)
    write_model(context, network, tokenizer)
    answers = ask(Model(network, tokenizer), questions, options.answer_tokens)
    scores = summarise(answers)
    context.events.write("answers", step=options.steps, **scores)
    write_text(
        context.directory / "answers.json",
        json.dumps(scores | {"answers": as_rows(answers)}, indent=2, ensure_ascii=False) + "\n",
    )
    packing = {"rows": len(rows), "padding": rows.padding_share, "cut": rows.cut}
    return summary | scores | packing


def stored_rows(context: StageContext, tokenizer: Tokenizer) -> PackedPlan:
    """Open the packed training rows that an earlier attempt stored, or pack and store them."""
    path = context.directory / ROWS
    if not path.exists():
        length = context.recipe["finetuning"].sequence_length
        packed(pairs(context.inputs, "train"), tokenizer, length).save(path)
    return PackedPlan.load(path)


def batches_of(
    recipe: Any, inputs: Mapping[str, Path], tokenizer: Tokenizer, rows: PackedPlan | None = None
) -> Batches:
    """Order the rows into which the training split's conversations are packed whole.

    rows: these, if they are at hand; otherwise they are packed again, and come out the same.
    """
    options = recipe["finetuning"]
    plan = rows or packed(pairs(inputs, "train"), tokenizer, options.sequence_length)
    order = Order({SOURCE: len(plan)}, seed=derive_seed(recipe["run"].seed, "questions"))
    objective = Instruction(options.z_loss)
    return Batches(
        order,
        {SOURCE: plan},
        objective.prepare,
        tokenizer.byte_lengths,
        objective.name,
        objective.mask,
    )


def pairs(inputs: Mapping[str, Path], split: str) -> list[Pair]:
    """Return the questions and answers that a split's docstrings give."""
    return list(pairs_from_documents(open_documents(inputs["corpus"], split)))


def chosen(held_out: list[Pair], seed: int, count: int) -> list[Pair]:
    """Choose `count` held-out functions to ask about, evenly at random and always the same."""
    functions = [pair for pair in held_out if pair.kind in ("function", "method")]
    ranked = sorted(functions, key=lambda pair: derive_seed(seed, "held out", pair.name))
    return ranked[:count]


def pretrained(context: StageContext) -> Network:
    """Open the pre-trained network in float32."""
    found = newest(context.inputs["pretraining"] / CHECKPOINTS, context.progress.say)
    assert found is not None  # the stage above is finished and verified
    network = empty_network(spec_from_dict(found.counters["spec"]))
    fill(network, found.weights())
    return network


def packed(examples: list[Pair], tokenizer: Tokenizer, length: int) -> PackedPlan:
    """Pack conversations whole into rows of `length` inputs."""
    return pack((render(pair.messages(), tokenizer) for pair in examples), length)


def watchers(
    context: StageContext,
    held_out: list[Pair],
    questions: list[Pair],
    tokenizer: Tokenizer,
) -> tuple[Watcher, ...]:
    """Loss on held-out answers, and the answers to a few held-out questions along the way."""
    options = context.recipe["finetuning"]
    objective = Instruction(options.z_loss)
    found: list[Watcher] = []
    if held_out:
        plan = packed(held_out, tokenizer, options.sequence_length)
        numbers = evaluation_rows(plan, options.evaluation_rows)
        arrays = objective.prepare(plan.rows(numbers), numbers)
        batch = assemble(arrays, objective.name, tokenizer.byte_lengths, objective.mask)
        found.append(evaluation({"answers": [batch]}, objective, options.evaluation_interval_steps))

    def answer(network: Network, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        return Model(network, tokenizer).reply(messages, options.answer_tokens).text

    shown = [pair.question for pair in questions[:SHOWN_QUESTIONS]]
    return (*found, sampling(shown, answer, options.sample_interval_steps))
