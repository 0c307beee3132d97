"""n-grams of a finished run, order by order or estimator by estimator, as its baseline is."""

from collections.abc import Iterator, Sequence

from hornbook.errors import InputError
from hornbook.evaluation.orders import OrderScore, score_orders
from hornbook.runs.directory import RunDirectory
from hornbook.runs.signals import StopSignal
from hornbook.stages.run import read_recipe
from hornbook.store import open_store
from hornbook.tokenizers import load_tokenizer


def ngrams_of_run(
    run: RunDirectory,
    stop: StopSignal,
    *,
    orders: Sequence[int] = (),
    estimators: Sequence[str] = (),
) -> Iterator[tuple[str, OrderScore]]:
    """Count and score each of `orders` with each of `estimators`; yields the estimator's name too.

    What is not given is the baseline's. The rows are those of the pre-training's evaluation. Raises
    InputError where the run has not finished its store, or has too little text.
    """
    found = {name: run.find(name) for name in ("tokenizer", "store")}
    for name, stage in found.items():
        if stage is None:
            raise InputError(f"{run.path} has not finished its {name}; run it first.")
    places = {name: stage.directory for name, stage in found.items() if stage is not None}
    tokenizer = load_tokenizer(places["tokenizer"])
    splits = open_store(places["store"], tokenizer.fingerprint).splits
    recipe = read_recipe(run.recipe_path)
    options = recipe["baseline"]
    for estimator in estimators or [options.estimator]:
        for score in score_orders(
            options.model_copy(update={"estimator": estimator}),
            splits,
            orders or [options.order],
            sequence_length=recipe["pretraining"].sequence_length,
            rows=recipe["pretraining"].evaluation_rows,
            byte_lengths=tokenizer.byte_lengths,
            stop=stop,
        ):
            yield estimator, score
