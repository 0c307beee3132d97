"""What attention buys as inputs grow: encoder-decoders of one size, trained alike, on one task.

    python examples/what_attention_buys.py                reversal of up to 12 letters
    python examples/what_attention_buys.py --task dates   "2nd of March 1998" -> "1998-03-02"
    python examples/what_attention_buys.py --families seq2seq luong transformer --equal flops

Every family gets the width at which it has as many parameters as the others (or as many FLOPs a
token), the same fresh pairs in the same order, and the same steps. Then every input length is asked
by itself, on pairs of another seed, also lengths that no training pair had. An answer counts only
where it is right to the last letter.

Everything lies in --directory: a training a family, `accuracy.json` beside it, and at the end
`table.md`, `accuracy.png` and a picture of where each attention looked. Stopped and called again it
goes on where it was.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

import hornbook
from hornbook.errors import InputError, SpecError
from hornbook.handle.model import Model
from hornbook.models.build import build_network
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import family, spec_for
from hornbook.models.spec import Spec
from hornbook.reporting.attention_map import attention_map
from hornbook.reporting.figures import LABEL_HEIGHT, apart
from hornbook.reporting.svg import Drawing, Palette, png
from hornbook.runs.events import read_events
from hornbook.training.options import ComputeOptions, TrainingOptions
from pair_tasks import Pair, dates, reversal

TOKENIZER = hornbook.train_tokenizer("byte", [], 260)
TRAINING, TEST, VALIDATION = range(3)
"""Seeds of the pairs that are learnt, asked at the end, and scored on the way."""

EQUAL = {
    "parameters": lambda spec: parameters(spec)["total"],
    "flops": lambda spec: flops_per_token(spec, 16),
}


@dataclass(frozen=True)
class Task:
    """What is learnt, and asked by input length; lengths above `seen` were not trained on."""

    training: Sequence[Pair]
    validation: Sequence[Pair]
    tests: Mapping[int, Sequence[Pair]]
    seen: int
    longest: int


def reversals(options: argparse.Namespace) -> Task:
    """Strings of 1 to --longest letters; tests go up to twice as long."""
    longest = options.longest
    lengths = dict.fromkeys(max(1, round(longest * part / 6)) for part in range(1, 13))
    return Task(
        [reversal(TRAINING, n, 1, longest) for n in range(options.steps * options.batch)],
        [reversal(VALIDATION, n, 1, longest) for n in range(256)],
        {
            length: [
                reversal(TEST, 1000 * length + n, length, length) for n in range(options.tests)
            ]
            for length in lengths
        },
        seen=longest,
        longest=2 * longest + 2,
    )


def spelled_dates(options: argparse.Namespace) -> Task:
    """Dates in all spellings; tests are put together by the spelling's length, in fives."""
    training = [dates(TRAINING, n) for n in range(options.steps * options.batch)]
    tests: dict[int, list[Pair]] = defaultdict(list)
    for pair in (dates(TEST, n) for n in range(10 * options.tests)):
        tests[-(-len(pair[0]) // 5) * 5].append(pair)
    longest = max(len(source) for source, _ in training)
    validation = [dates(VALIDATION, n) for n in range(256)]
    return Task(training, validation, dict(sorted(tests.items())), longest, longest + 5)


TASKS = {"reversal": reversals, "dates": spelled_dates}


def spec_of(name: str, width: int, longest: int, reverse: bool) -> Spec:
    """A family at this width, of one layer where it counts them, without dropout."""
    wanted: dict[str, Any] = {"vocab_size": TOKENIZER.vocab_size, "max_length": longest}
    wanted |= {"d_model": width, "d_hidden": width, "n_layers": 1, "dropout": 0.0}
    wanted |= {"reverse": reverse}
    known = signature(family(name).spec).parameters
    return spec_for(name, **{key: value for key, value in wanted.items() if key in known})


def sized(families: Sequence[str], options: argparse.Namespace, longest: int) -> dict[str, Spec]:
    """Specs as large as the first family is at --width, by the measure --equal."""
    measure = EQUAL[options.equal]
    budget = measure(spec_of(families[0], options.width, longest, options.reverse))
    specs: dict[str, list[Spec]] = {name: [] for name in families}
    for name in families:
        for width in range(16, 513, 4):
            try:
                specs[name].append(spec_of(name, width, longest, options.reverse))
            except SpecError:
                continue  # a width that its heads do not divide
    return {
        name: min(found, key=lambda spec: abs(measure(spec) - budget))
        for name, found in specs.items()
    }


def trained(spec: Spec, task: Task, options: argparse.Namespace) -> Model:
    """The family's model, trained or read from its directory."""
    model = Model(build_network(spec, options.seed), TOKENIZER)
    hornbook.train_pairs(
        model,
        task.training,
        options.directory / spec.family,
        validation=task.validation,
        options=TrainingOptions(
            steps=options.steps,
            batch_size=options.batch,
            sequence_length=task.longest,
            learning_rate=options.learning_rate,
            warmup_steps=options.steps // 20,
            weight_decay=0.0,
            log_interval_steps=50,
            checkpoint_interval_steps=250,
            evaluation_interval_steps=max(1, options.steps // 4),
            sample_interval_steps=max(1, options.steps // 4),
            evaluation_rows=256,
        ),
        compute=ComputeOptions(device="cpu", precision="float32", threads=options.threads),
        seed=options.seed,
    )
    return model


def measured(spec: Spec, model: Model, task: Task, directory: Path) -> dict[str, Any]:
    """Exact answers by input length, and what the training took; kept in a file."""
    path = directory / "accuracy.json"
    asked = {str(length): len(pairs) for length, pairs in task.tests.items()}
    if path.exists():
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if before.get("asked") == asked:
            return before
    found = {
        "width": spec.d_model,
        "parameters": parameters(spec)["total"],
        "flops": flops_per_token(spec, 16),
        "seconds": seconds(directory),
        "asked": asked,
        "exact": {str(length): exact(model, pairs) for length, pairs in task.tests.items()},
    }
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def exact(model: Model, pairs: Sequence[Pair]) -> float:
    """The share of pairs whose greedy answer is the target to the last letter."""
    sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
    answers = model.generate(sources, max_new_tokens=max(map(len, targets)) + 1)
    return sum(a == t for a, t in zip(answers, targets, strict=True)) / len(pairs)


def seconds(directory: Path) -> float:
    """What the updates took, however often they were stopped."""
    table = read_events(directory / "events.jsonl", kind="metric")
    tokens = [0, *table["tokens"].to_pylist()]
    steps = pairwise(tokens)
    rates = table["tokens_per_second"].to_pylist()
    return sum((new - old) / rate for (old, new), rate in zip(steps, rates, strict=True))


def table_of(results: Mapping[str, Mapping[str, Any]], seen: int) -> str:
    """Exact answers in per cent, a row a family, a column a length; bold where never seen."""
    lengths = list(next(iter(results.values()))["exact"])
    names = [f"**{length}**" if int(length) > seen else length for length in lengths]
    head = ["family", "width", "parameters", "MFLOP a token", "seconds", *names]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, found in results.items():
        numbers = [f"{found['width']}", f"{found['parameters']:,}", f"{found['flops'] / 1e6:.2f}"]
        shares = [f"{100 * found['exact'][length]:.0f}" for length in lengths]
        lines.append([name, *numbers, f"{found['seconds']:.0f}", *shares])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def accuracy(results: Mapping[str, Mapping[str, Any]], seen: int) -> Drawing:
    """A line a family: the share of exact answers over the input's length."""

    def draw(palette: Palette) -> Figure:
        figure = Figure(figsize=(8.4, 3.9), layout="constrained")
        axes: Any = figure.subplots()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(palette.grid)
        axes.tick_params(colors=palette.muted, labelcolor=palette.muted, length=3, labelsize=9)
        axes.grid(True, color=palette.grid, linewidth=0.7)
        ends = []
        for number, (name, found) in enumerate(results.items()):
            x, y = [int(n) for n in found["exact"]], list(found["exact"].values())
            colour = palette.line(number)
            axes.plot(x, y, color=colour, linewidth=2.2, marker="o", markersize=4)
            ends.append((y[-1], name, colour))
        axes.set(ylim=(-0.02, 1.02), xticks=x)
        if x[-1] > seen:
            axes.axvspan(seen, x[-1], color=palette.grid, alpha=0.4, linewidth=0)
            axes.text(seen, 1.03, " longer than trained on", color=palette.muted, fontsize=9)
        axes.set_xlabel("length of the input", color=palette.muted, fontsize=10)
        axes.set_ylabel("answers exactly right", color=palette.muted, fontsize=10)
        ends.sort()
        for place, (_, name, colour) in zip(
            apart([y for y, *_ in ends], LABEL_HEIGHT), ends, strict=True
        ):
            axes.annotate(
                name, xy=(1.0, place), xycoords="axes fraction", xytext=(6, 0),
                textcoords="offset points", va="center", color=colour, weight="bold", fontsize=9,
            )  # fmt: skip
        return figure

    return draw


def draw_attention(model: Model, source: str, path: Path) -> None:
    """Where the decoder looked while it wrote its answer, if the network can tell."""
    network: Any = model.network
    ids = TOKENIZER.encode(source).tolist()
    answer = model.generate(ids, max_new_tokens=network.spec.max_length - 1)
    written = [network.spec.reading.start_id, *answer[:-1]]
    try:
        weights = network.alignment(torch.tensor([ids]), torch.tensor([written]))[0]
    except (AttributeError, InputError):
        return  # it has no attention, or many heads of it
    target = [TOKENIZER.decode([one]) if one < 256 else "■" for one in answer]
    path.write_bytes(png(attention_map(weights.numpy(), list(source), target, model.spec.family)))


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", default=["seq2seq", "bahdanau", "luong"])
    parser.add_argument("--task", choices=TASKS, default="reversal")
    parser.add_argument("--equal", choices=EQUAL, default="parameters")
    parser.add_argument("--width", type=int, default=96, help="of the first family")
    parser.add_argument("--longest", type=int, default=12, help="letters of a reversal in training")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64, help="pairs a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--tests", type=int, default=100, help="pairs asked of every length")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--reverse",
        action="store_true",
        help="let seq2seq read its source from the end, as published; otherwise it reads from the "
        "front, so that the letter wanted first is the one read last",
    )
    parser.add_argument("--directory", type=Path, help="runs/what-attention-buys/TASK if not given")
    return parser


def main() -> None:
    """Train, ask, draw, print."""
    options = arguments().parse_args()
    options.directory = options.directory or Path("runs/what-attention-buys") / options.task
    task = TASKS[options.task](options)
    results = {}
    for name, spec in sized(options.families, options, task.longest).items():
        print(f"{name}: {parameters(spec)['total']:,} parameters at width {spec.d_model}")
        model = trained(spec, task, options)
        results[name] = measured(spec, model, task, options.directory / name)
        source = next(s for s, _ in task.tests[max(n for n in task.tests if n <= task.seen)])
        draw_attention(model, source, options.directory / f"attention-{name}.png")
    table = table_of(results, task.seen)
    (options.directory / "table.md").write_text(table, encoding="utf-8")
    (options.directory / "accuracy.png").write_bytes(png(accuracy(results, task.seen)))
    print(f"\nanswers exactly right, in per cent, by the input's length\n\n{table}")


if __name__ == "__main__":
    main()
