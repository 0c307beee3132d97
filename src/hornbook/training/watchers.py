"""What happens besides training: evaluation on fixed text, samples of what the model writes."""

from collections.abc import Callable, Mapping, Sequence

from hornbook.batches.batch import Batch
from hornbook.models.stacks import Network
from hornbook.objectives.likelihood import Scored, likelihood
from hornbook.training.state import Training, Watcher

SHOWN_CHARACTERS = 150

Write = Callable[[Network, str], str]


def evaluation(
    sets: Mapping[str, Sequence[Batch]], objective: Scored, interval_steps: int
) -> Watcher:
    """Bits per byte and loss of each source's fixed batches: one event a source."""

    def evaluate(training: Training) -> None:
        for source, batches in sets.items():
            result = likelihood(training.network, objective, batches)
            training.bits_per_byte[source] = result.bits_per_byte
            training.events.write(
                "evaluation",
                step=training.step,
                source=source,
                bits_per_byte=result.bits_per_byte,
                loss=result.loss,
                bytes=result.bytes,
            )
        values = "  ".join(f"{s} {training.bits_per_byte[s]:.3f}" for s in sets)
        training.progress.say(f"step {training.step}: bits per byte  {values}")

    return Watcher("evaluate", interval_steps, evaluate)


def contributions(sources: Sequence[str], rows: Sequence[int]) -> Watcher:
    """What each source gave to the training, as the loop counted it: one event each, at the end.

    sources: names by source number; rows: how many rows an epoch of each has. The events hold
    samples, tokens (all places of those samples), targets, bytes of their text, epochs, and the
    share of all samples.
    """

    def contribute(training: Training) -> None:
        total = sum(counts[0] for counts in training.by_source.values())
        for number, (source, epoch) in enumerate(zip(sources, rows, strict=True)):
            samples, tokens, targets, text = training.by_source.get(number, (0, 0, 0, 0))
            training.events.write(
                "contribution",
                step=training.step,
                source=source,
                samples=samples,
                tokens=tokens,
                targets=targets,
                bytes=text,
                epochs=samples / epoch,
                share=samples / total,
            )

    return Watcher("contribute", 0, contribute)


def sampling(
    prompts: Sequence[str], write: Write, interval_steps: int, between: str = ""
) -> Watcher:
    """What the network writes after each prompt, by `write(network, prompt)`: one event each.

    between: what stands between the two where they are shown on one line.
    """

    def sample(training: Training) -> None:
        network = training.network
        network.eval()
        for prompt in prompts:
            text = write(network, prompt)
            training.events.write("sample", step=training.step, prompt=prompt, text=text)
            shown = " ".join(f"{prompt}{between}{text}".split())[:SHOWN_CHARACTERS]
            training.progress.say(f"step {training.step}: {shown}")
        network.train()

    return Watcher("sample", interval_steps, sample)
