"""The corpus stage: read -> measure -> decide -> deduplicate -> write.

Reading streams: documents go to a scratch file as they are read, cleaned and measured, so that
memory holds one batch and the table of measures. Deciding, removing duplicates and splitting look
at that table alone; writing streams the scratch file once more. The stage is short, so after a kill
it starts over: whatever an earlier attempt left in the directory is removed first.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hornbook.corpus.clean import SPANS, clean
from hornbook.corpus.decide import KEPT, decide, dropped_by_rules, rules_of
from hornbook.corpus.dedup.exact import exact_duplicates
from hornbook.corpus.documents import (
    DROPPED,
    GROUPED,
    Document,
    Dropped,
    batches,
    dropped_row,
    strings,
)
from hornbook.corpus.measure import MEASURES, measure
from hornbook.corpus.options import CorpusOptions
from hornbook.corpus.readers import READERS
from hornbook.corpus.readers.lines import Limits
from hornbook.corpus.sources import Source, resolve
from hornbook.corpus.split import split
from hornbook.corpus.statistics import Tally, summary_lines, totals
from hornbook.corpus.write import SPLITS, ShardWriter, write_documents, write_table
from hornbook.errors import InputError
from hornbook.runs.atomic import reporting_full_disk
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal


@dataclass
class Reading:
    """What reading one source gave: documents in a scratch file, and tables about them."""

    source: Source
    scratch: Path
    measures: pa.Table
    dropped: list[dict[str, str]]
    spans: list[dict[str, str | int]]


def build_corpus(
    options: CorpusOptions,
    seed: int,
    directory: Path,
    *,
    events: Events,
    progress: Progress,
    stop: StopSignal,
) -> dict[str, Any]:
    """Build the corpus in `directory`, say what was kept and dropped and why, and return the sums.

    The counts of each source are in statistics.json. The result depends on the options, the seed
    and the content of the sources only: the same files byte for byte for any `batch_bytes` and at
    any repetition.

    Raises:
        InputError: a source that does not exist, cannot be read, or of which nothing is left.
        StorageError: the disk is full.
        Interrupted: a signal asked to stop.
    """
    sources = resolve(options.sources)
    rules = rules_of(options)
    _clear(directory)
    with reporting_full_disk(directory):
        readings = [_read(source, options, directory, progress, stop) for source in sources]
        measures = pa.concat_tables([reading.measures for reading in readings])
        verdicts = decide(measures, rules, options)
        kept = verdicts == KEPT
        dropped = [dropped_by_rules(measures, verdicts, rules, options)]
        dropped.append(exact_duplicates(measures.filter(pa.array(kept))))
        kept &= ~np.isin(measures.column("id"), dropped[-1].column("id"))
        dropped.insert(0, pa.Table.from_pylist([r for x in readings for r in x.dropped], DROPPED))
        tallies = _tallies(readings, pa.concat_tables(dropped))
        _check_left(readings, tallies)
        sides = _sides(measures, kept, options, seed)
        _write(readings, sides, tallies, options, directory, progress, stop)
        statistics = {"sources": {name: tally.summary() for name, tally in tallies.items()}}
        _write_tables(directory, measures, readings, tallies, statistics)
    for name, entry in statistics["sources"].items():
        events.write("corpus", source=name, **{k: v for k, v in entry.items() if k != "examples"})
    for line in summary_lines(statistics):
        progress.say(line)
    return totals(statistics)


def outside(options: CorpusOptions) -> dict[str, str]:
    """Return a digest for all that the corpus reads from outside: its sources.

    Raises:
        InputError: a source that does not exist or whose format is unknown.
    """
    return {source.name: source.digest() for source in resolve(options.sources)}


def limits_of(options: CorpusOptions) -> Limits:
    """Return the readers' limits that the options ask for."""
    return Limits(options.maximum_line_bytes, options.maximum_document_bytes)


def _clear(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (directory / "scratch").mkdir()
    (directory / "documents").mkdir()


def _read(
    source: Source, options: CorpusOptions, directory: Path, progress: Progress, stop: StopSignal
) -> Reading:
    scratch = directory / "scratch" / f"{source.name}.arrow"
    reading = Reading(source, scratch, MEASURES.empty_table(), [], [])

    def documents() -> Iterator[Document]:
        for item in source.read(limits_of(options)):
            if isinstance(item, Dropped):
                reading.dropped.append(dropped_row(source.name, item))
            else:
                yield item

    measured = []
    with (
        progress.task(f"reading {source.name}", unit="documents") as task,
        pa.OSFile(str(scratch), "wb") as file,
        pa.ipc.new_file(file, GROUPED) as writer,
    ):
        for found in batches(documents(), source.name, options.batch_bytes):
            stop.check()
            batch, spans = clean(found)
            reading.spans += spans
            writer.write_batch(batch)
            measured.append(measure(batch))
            task.advance(batch.num_rows)
    reading.measures = pa.Table.from_batches(measured, MEASURES)
    return reading


def _tallies(readings: list[Reading], dropped: pa.Table) -> dict[str, Tally]:
    tallies = {}
    for reading in readings:
        own = dropped.filter(pc.field("source") == reading.source.name)
        changes = {(row["id"], str(row["rule"])) for row in reading.spans}
        changed = Counter(rule for _, rule in changes)
        tallies[reading.source.name] = Tally(reading.measures, own, changed)
    return tallies


def _check_left(readings: list[Reading], tallies: Mapping[str, Tally]) -> None:
    for reading in readings:
        dropped = tallies[reading.source.name].dropped
        ids = set(strings(dropped, "id"))
        if any(key not in ids for key in strings(reading.measures, "id")):
            continue
        raise InputError(nothing_left(reading.source, dropped))


def nothing_left(source: Source, dropped: pa.Table) -> str:
    """Return the sentence for a source that gives no document: what, why, what to do."""
    known = ", ".join(READERS)
    if dropped.num_rows == 0:
        return (
            f"The source {source.given} holds no text: no file with a suffix among {known}, also "
            "with .gz, has anything in it; put text there or correct corpus.sources."
        )
    rules = Counter(strings(dropped, "rule"))
    why = ", ".join(f"{number} {rule}" for rule, number in rules.most_common())
    first = dropped.slice(0, 1).to_pylist()[0]
    return (
        f"Nothing is left of the source {source.given} ({why}): {first['path']}, for one, "
        f"{first['reason']}; mend the text, change the option, or take it out of corpus.sources."
    )


def _sides(
    measures: pa.Table, kept: NDArray[np.bool_], options: CorpusOptions, seed: int
) -> NDArray[np.int64]:
    """Return for each row of the measures its Side, or -1 where the document is not kept."""
    chosen = measures.filter(pa.array(kept))
    sizes = chosen.column("bytes").to_numpy().tolist()
    groups = list(zip(strings(chosen, "source"), strings(chosen, "group"), sizes, strict=True))
    sides = np.full(measures.num_rows, -1)
    sides[kept] = split(groups, options.validation_fraction, seed)
    return sides


def _write(
    readings: list[Reading],
    sides: NDArray[np.int64],
    tallies: Mapping[str, Tally],
    options: CorpusOptions,
    directory: Path,
    progress: Progress,
    stop: StopSignal,
) -> None:
    folder = directory / "documents"
    writers = {name: ShardWriter(folder, name, options.shard_bytes) for name in SPLITS}
    first = 0
    for reading in readings:
        rows = reading.measures.num_rows
        own, first = sides[first : first + rows], first + rows
        tally = tallies[reading.source.name]
        with (
            progress.task(f"writing {reading.source.name}", total=rows, unit="documents") as task,
            pa.memory_map(str(reading.scratch)) as file,
        ):
            scratch = pa.ipc.open_file(file)

            def found(scratch: Any = scratch, task: Any = task) -> Iterator[pa.RecordBatch]:
                for number in range(scratch.num_record_batches):
                    stop.check()
                    batch = scratch.get_batch(number)
                    yield batch
                    task.advance(batch.num_rows)

            write_documents(found(), own, writers, options.validation_fraction, tally.count)
        for name in SPLITS:
            if tally.documents[name] == 0:
                raise InputError(
                    f"The source {reading.source.given} is too small to be split: nothing would "
                    f"be left for {name}; give it more text or take it out of corpus.sources."
                )


def _write_tables(
    directory: Path,
    measures: pa.Table,
    readings: list[Reading],
    tallies: Mapping[str, Tally],
    statistics: Mapping[str, Any],
) -> None:
    spans = [row for reading in readings for row in reading.spans]
    dropped = pa.concat_tables([tally.dropped for tally in tallies.values()])
    write_table(measures.combine_chunks(), directory / "measures.parquet")
    write_table(dropped.combine_chunks(), directory / "dropped.parquet")
    write_table(pa.Table.from_pylist(spans, SPANS), directory / "spans.parquet")
    text = json.dumps(statistics, indent=2, ensure_ascii=False) + "\n"
    (directory / "statistics.json").write_text(text, encoding="utf-8")
    shutil.rmtree(directory / "scratch")
