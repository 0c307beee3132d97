"""From tables to sentences: encoder-decoders on E2E restaurants, by slot coverage and BLEU.

    python benchmarks/table_to_text.py --data FOLDER           a few minutes a family on one core
    python benchmarks/table_to_text.py --data FOLDER --families transformer --steps 300

FOLDER holds train.jsonl and dev.jsonl, one table a line: {"mr": "name[Cotto], area[riverside]",
"refs": ["Cotto is by the river.", …]}, as made from Novikova et al. 2017, "The E2E Dataset". A
tokenizer is trained on the training tables and their sentences; every sentence is one pair with its
table. The dev tables, none of which is trained on, are written greedily and with beams.

Slot coverage is the share of a table's values that occur in the output, letter for letter but for
capitals. familyFriendly is left out: its "yes" and "no" are said with other words. What people
wrote does not reach 100 % either, and stands in the table to compare with: of each table's first
sentence, with BLEU against the others.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import hornbook
from hornbook.errors import InputError
from hornbook.evaluation.bleu import bleu
from hornbook.handle.model import Model
from hornbook.models.count import parameters
from hornbook.models.families import family
from hornbook.tokenizers.tokenizer import Tokenizer
from hornbook.training.options import ComputeOptions, TrainingOptions

SLOT = re.compile(r"\s*([^,\[\]]+)\[([^\]]*)\]\s*(?:,|$)")
UNSPOKEN = ("familyFriendly",)
HELD_OUT = 15
"""Every so many tables of the training file are scored on the way and not learnt."""


@dataclass(frozen=True)
class Table:
    """One restaurant: values by slot, and what people wrote about it."""

    slots: Mapping[str, str]
    sentences: Sequence[str]

    @property
    def line(self) -> str:
        """The table as one line of text, which the encoder reads."""
        return " | ".join(f"{slot} : {value}" for slot, value in self.slots.items())


def tables_in(path: Path) -> list[Table]:
    """Every line of a file; raises InputError for one that is no table."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            slots = {name.strip(): value for name, value in SLOT.findall(row["mr"])}
            found.append(Table(slots, tuple(row["refs"])))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{path}, line {number}: no "mr" with "refs" ({error!r}).') from error
        if not slots or not row["refs"]:
            raise InputError(
                f"{path}, line {number}: a table without a slot or without a sentence."
            )
    return found


def pairs_of(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """A pair for every sentence."""
    return [(table.line, sentence) for table in tables for sentence in table.sentences]


def coverage(tables: Sequence[Table], outputs: Sequence[str]) -> float:
    """The share of all spoken values that occur in their table's output."""
    said = [
        value.lower() in output.lower()
        for table, output in zip(tables, outputs, strict=True)
        for slot, value in table.slots.items()
        if slot not in UNSPOKEN
    ]
    return sum(said) / len(said)


def model_of(name: str, tokenizer: Tokenizer, longest: int, options: argparse.Namespace) -> Model:
    """A fresh model, of the dimensions that its family has."""
    width = options.width
    wanted = {
        "max_length": longest,
        "d_model": width,
        "d_hidden": width,
        "n_layers": options.layers,
    }
    wanted |= {"dropout": options.dropout}
    known = signature(family(name).spec).parameters
    dimensions = {key: value for key, value in wanted.items() if key in known}
    return hornbook.build(name, tokenizer=tokenizer, seed=options.seed, **dimensions)


def train(
    model: Model, train_tables: Sequence[Table], longest: int, options: argparse.Namespace
) -> float:
    """Train, or go on; returns nats a token on the tables held out."""
    held_out = train_tables[::HELD_OUT]
    learnt = [table for n, table in enumerate(train_tables) if n % HELD_OUT]
    summary = hornbook.train_pairs(
        model,
        pairs_of(learnt),
        options.directory / model.spec.family,
        validation=pairs_of(held_out),
        options=TrainingOptions(
            steps=options.steps,
            batch_size=32,
            sequence_length=longest,
            learning_rate=options.learning_rate,
            warmup_steps=options.steps // 10,
            weight_decay=0.01,
            evaluation_rows=200,
            evaluation_interval_steps=max(1, options.steps // 5),
            sample_interval_steps=max(1, options.steps // 5),
        ),
        compute=ComputeOptions(device="cpu", precision="float32", threads=options.threads),
        seed=options.seed,
    )
    bits: float = summary["bits_per_byte"]["validation"]
    return bits


def row_of(name: str, size: str, bits: str, cells: Sequence[tuple[float, float]]) -> str:
    """One line of the table: coverage and BLEU of each way of writing, in per cent."""
    numbers = [f"{100 * value:.1f}" for pair in cells for value in pair]
    return "| " + " | ".join([name, size, bits, *numbers]) + " |"


def people(tables: Sequence[Table]) -> tuple[float, float]:
    """Coverage and BLEU of each table's first sentence, against its others."""
    several = [table for table in tables if len(table.sentences) > 1]
    first = [table.sentences[0] for table in several]
    return coverage(several, first), bleu(first, [table.sentences[1:] for table in several])


def main() -> None:
    options = arguments().parse_args()
    train_tables, dev = (tables_in(options.data / f"{name}.jsonl") for name in ("train", "dev"))
    texts = [text for pair in pairs_of(train_tables) for text in pair]
    tokenizer = hornbook.train_tokenizer("byte-bpe", texts, options.vocabulary)
    longest = 1 + max(len(tokenizer.encode(text)) for text in [*texts, *(t.line for t in dev)])
    references = [table.sentences for table in dev]
    lines = [
        "| family | parameters | bits a byte | greedy: slots | BLEU "
        f"| {options.beams} beams: slots | BLEU |",
        "|---|---:|---:|---:|---:|---:|---:|",
        row_of("people", "", "", [people(dev)] * 2),
    ]
    for name in options.families:
        model = model_of(name, tokenizer, longest, options)
        bits = train(model, train_tables, longest, options)
        cells = []
        for beams in (1, options.beams):
            sources = [table.line for table in dev]
            outputs = model.generate(sources, max_new_tokens=longest - 1, beams=beams)
            cells.append((coverage(dev, outputs), bleu(outputs, references)))
            for table, output in list(zip(dev, outputs, strict=True))[: options.shown]:
                print(f"{name}, {beams} beams: {table.line}\n    {output}")
        size = f"{parameters(model.spec)['total']:,}"
        lines.append(row_of(name, size, f"{bits:.3f}", cells))
    text = "\n".join(lines) + "\n"
    (options.directory / "table.md").write_text(text, encoding="utf-8")
    print(f"\n{len(dev)} tables, {tokenizer.vocab_size} tokens\n\n{text}")


def arguments() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of train and dev.jsonl")
    parser.add_argument("--families", nargs="+", default=["seq2seq", "bahdanau", "luong"])
    parser.add_argument("--directory", type=Path, default=Path("runs/table-to-text"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=1, help="where the family has a number")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--shown", type=int, default=3, help="outputs printed a family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
