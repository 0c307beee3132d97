"""n-grams of a finished run, order by order or estimator by estimator, as its baseline is."""

from collections.abc import Iterator, Sequence

from hornbook.evaluation.orders import OrderScore, score_orders
from hornbook.runs.directory import RunDirectory
from hornbook.runs.signals import StopSignal
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import stored_tokens


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
    tokenizer, store = stored_tokens(run)
    recipe = read_recipe(run.recipe_path)
    options = recipe["baseline"]
    for estimator in estimators or [options.estimator]:
        for score in score_orders(
            options.model_copy(update={"estimator": estimator}),
            store.splits,
            orders or [options.order],
            sequence_length=recipe["pretraining"].sequence_length,
            rows=recipe["pretraining"].evaluation_rows,
            byte_lengths=tokenizer.byte_lengths,
            stop=stop,
        ):
            yield estimator, score
