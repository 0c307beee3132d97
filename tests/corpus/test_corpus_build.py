"""The corpus stage as a whole: the same bytes however the work is cut, and nothing unaccounted."""

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from hornbook.corpus.build import outside
from hornbook.corpus.documents import SCHEMA
from hornbook.corpus.measure import find_words
from hornbook.corpus.options import CorpusOptions
from hornbook.corpus.read import open_documents, read_documents, sources_of
from hornbook.corpus.readers.python_library import group_of
from hornbook.corpus.statistics import summary_lines
from hornbook.errors import StorageError
from hornbook.recipe.fingerprint import fingerprint
from hornbook.runs.events import read_events

NOUNS = "river stone lamp garden winter bread letter window horse silver road song"
WORDS = NOUNS.split()


def story(number: int, lines: int = 30) -> str:
    """A text that no filter minds, different for each number."""
    state, text = number + 1, []
    for _ in range(lines):
        chosen = []
        for _ in range(8):
            state = (state * 1103515245 + 12345) % 2**31
            chosen.append(WORDS[state // 65536 % len(WORDS)] + str("s" * (state // 1024 % 2)))
        text.append(" ".join(chosen).capitalize() + ".")
    return "\n".join(text) + "\n"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-six files in folders: good ones, copies, bad ones, one with old line ends."""
    folder = tmp_path_factory.mktemp("texts") / "library"
    for number in range(20):
        path = folder / f"shelf{number % 3}" / f"story{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(story(number), encoding="utf-8")
    (folder / "copy.txt").write_text(story(3) + "\n\n", encoding="utf-8")
    (folder / "old.txt").write_bytes(b"\xef\xbb\xbf" + story(50).replace("\n", "\r\n").encode())
    (folder / "bad.txt").write_bytes(b"\xff" * 100)
    (folder / "tiny.md").write_text("tiny", encoding="utf-8")
    records = [{"text": story(number, 12), "number": number} for number in range(100, 130)]
    lines = [json.dumps(record) for record in records]
    (folder / "records.jsonl").write_text("\n".join([*lines, "{"]), encoding="utf-8")
    return folder


def test_nothing_is_unaccounted_for(make, texts):
    built = make(texts)
    (entry,) = built.statistics["sources"].values()
    assert entry["read"] == 20 + 2 + 2 + 31
    assert entry["read"] == entry["kept"] + sum(entry["dropped"].values())
    assert entry["dropped"] == {
        "broken_json": 1, "exact_duplicate": 1, "invalid_utf8": 1, "too_short": 1,
    }  # fmt: skip
    documents = [*built.documents("train"), *built.documents("validation")]
    assert len(documents) == entry["kept"] == entry["train"] + entry["validation"]
    assert sum(len(row["text"].encode()) for row in documents) == entry["bytes"]
    ids = Counter(row["id"] for row in [*documents, *built.table("dropped")])
    assert set(ids.values()) == {1}
    assert {row["id"] for row in built.table("measures")} <= ids.keys()
    assert entry["examples"]["too_short"][0]["opening"] == "tiny"


def test_rows_are_those_of_revision_one(make, texts):
    """Where this digest moves, results move: raise the stage's revision with it."""
    built = make(texts)
    rows = {split: built.documents(split) for split in ("train", "validation")}
    rows |= {name: built.table(name) for name in ("dropped", "spans", "measures")}
    assert fingerprint(rows) == "723bef580ca66d7d2817567ef0795b91"


def test_the_longest_copy_is_kept_and_changes_are_written_down(make, texts):
    built = make(texts)
    kept = {row["path"] for split in ("train", "validation") for row in built.documents(split)}
    assert "copy.txt" in kept
    assert ("shelf0/story3.txt", "exact_duplicate") in built.dropped()
    spans = [(row["rule"], row["start"]) for row in built.table("spans")]
    assert spans == [("line_ends", 0), ("byte_order_mark", 0)]
    assert built.statistics["sources"]["library"]["changed"] == {
        "byte_order_mark": 1, "line_ends": 1,
    }  # fmt: skip


@pytest.mark.parametrize("batch_bytes", [1, 700, 20_000])
def test_the_same_bytes_for_any_batch_size_and_again(make, texts, batch_bytes):
    first = make(texts).bytes_of_files()
    assert make(texts, batch_bytes=batch_bytes).bytes_of_files() == first
    assert len(first) == 6


def test_the_same_bytes_from_another_place(make, texts, tmp_path):
    import shutil

    shutil.copytree(texts, tmp_path / "library")
    assert make(tmp_path / "library").bytes_of_files() == make(texts).bytes_of_files()


def test_another_seed_holds_back_other_documents(make, texts):
    first, second = (
        {row["path"] + row["metadata"] for row in make(texts, seed=seed).documents("validation")}
        for seed in (0, 1)
    )
    assert first != second


def test_what_an_earlier_attempt_left_does_not_matter(make, texts, tmp_path):
    directory = tmp_path / "partial"
    make(texts, directory=directory, validation_fraction=0.4, shard_bytes=500)
    (directory / "scratch").mkdir()
    (directory / "scratch" / "library.arrow").write_bytes(b"torn")
    (directory / "documents" / "train-00099.parquet").write_bytes(b"torn")
    assert make(texts, directory=directory).bytes_of_files() == make(texts).bytes_of_files()


def test_shards_are_sorted_within_and_hold_one_source(make, texts):
    built = make(
        texts, texts / "records.jsonl", shard_bytes=3000, minimum_bytes=30, filters=["length"]
    )
    shards = sorted(built.directory.glob("documents/train-*.parquet"))
    assert len(shards) > 5
    import pyarrow.parquet as pq

    for shard in shards:
        table = pq.read_table(shard)
        assert table.schema.equals(SCHEMA)
        ids = table.column("id").to_pylist()
        assert ids == sorted(ids)
        assert len(set(table.column("source").to_pylist())) == 1


def test_open_documents_gives_the_stored_order_and_one_source(make, texts, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(story(900, 300), encoding="utf-8")
    built = make(texts, other)
    assert sources_of(built.directory) == ("library", "other")
    rows = [row for b in open_documents(built.directory, "train") for row in b.to_pylist()]
    assert rows == built.documents("train")
    (row,) = [r for b in open_documents(built.directory, "train", "other") for r in b.to_pylist()]
    assert row["path"] == "other.txt"


def test_a_single_text_gives_its_end_to_validation(make, tmp_path):
    path = tmp_path / "novel.txt"
    path.write_text(story(1, 400), encoding="utf-8")
    built = make(path)
    (head,), (tail,) = built.documents("train"), built.documents("validation")
    assert head["text"] + tail["text"] == story(1, 400)
    assert head["text"].endswith("\n")
    assert len(tail["text"]) == pytest.approx(0.05 * len(story(1, 400)), rel=0.1)
    assert head["id"] != tail["id"]
    entry = built.statistics["sources"]["novel"]
    assert (entry["kept"], entry["train"], entry["validation"]) == (1, 1, 1)


def test_a_torn_corpus_is_a_storage_error(make, texts):
    directory = make(texts).directory
    (directory / "documents" / "train-00000.parquet").write_bytes(b"torn")
    with pytest.raises(StorageError, match=r"train-00000\.parquet cannot be read"):
        list(open_documents(directory, "train"))
    (directory / "statistics.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match=r"statistics\.json cannot be read"):
        sources_of(directory)
    with pytest.raises(StorageError, match="There are no test documents"):
        list(open_documents(directory, "test"))


def test_outside_follows_the_content(texts, tmp_path):
    options = CorpusOptions(sources=(str(texts), "python:docs"))
    first = outside(options)
    assert list(first) == ["library", "docs"]
    os.utime(texts / "tiny.md")
    assert outside(options) == first
    other = tmp_path / "library"
    shutil.copytree(texts, other)
    (other / "tiny.md").write_text("Other text.\n", encoding="utf-8")
    options = CorpusOptions(sources=(str(other), "python:docs"))
    second = outside(options)
    assert [name for name in first if first[name] != second[name]] == ["library"]


def test_the_library_is_digested_in_time():
    started = time.process_time()
    outside(CorpusOptions())
    assert time.process_time() - started < 1.5


def test_events_carry_the_counts(make, texts):
    built = make(texts)
    rows = read_events(built.directory.parent / "events.jsonl", kind="corpus").to_pylist()
    assert [(row["source"], row["kept"]) for row in rows] == [("library", 51)]


def test_summary_lines_say_what_and_why(make, texts):
    lines = list(summary_lines(make(texts).statistics))
    assert " ".join(lines[0].split()) == "source read kept MB train validation dropped"
    assert lines[1].startswith("library  55    51")
    assert "    tiny.md (tiny): only 4 bytes of text; at least 20 are asked for" in lines


def test_chinese_and_shakespeare(make, shared):
    paths = ["chinese/sanguo_yanyi.txt.gz", "chinese/luxun_modern.jsonl.gz"]
    built = make(*(shared / path for path in [*paths, "tinyshakespeare/tinyshakespeare.txt.gz"]))
    assert built.dropped() == []
    assert {name: entry["kept"] for name, entry in built.statistics["sources"].items()} == {
        "sanguo-yanyi": 1, "luxun-modern": 114, "tinyshakespeare": 1,
    }  # fmt: skip
    validation = built.documents("validation")
    assert {row["source"] for row in validation} == set(sources_of(built.directory))


def test_the_library_loses_its_tables_and_little_else(python_corpus):
    sources = python_corpus.statistics["sources"]
    assert 7e6 < sources["code"]["bytes"] < 14e6
    assert 1.7e6 < sources["docs"]["bytes"] < 4e6
    tables = [path for path, rule in python_corpus.dropped() if rule == "table"]
    assert len(tables) > 60
    assert {path.split("/")[0] for path in tables} <= {"encodings", "html", "stringprep.py"}
    kept = {row["path"]: row for s in ("train", "validation") for row in python_corpus.documents(s)}
    assert {"os.py", "argparse.py", "html/parser.py", "encodings/idna.py"} <= kept.keys()
    left = [p for p, row in kept.items() if p.startswith("encodings/") and len(row["text"]) > 1e4]
    assert left == []


def test_a_docstring_falls_where_its_source_falls(python_corpus):
    sides: dict[str, set[str]] = {}
    for split in ("train", "validation"):
        for row in python_corpus.documents(split):
            module = json.loads(row["metadata"])["module"]
            if module != "pydoc_data.topics":
                sides.setdefault(group_of(module), set()).add(split)
    assert len(sides) > 200
    assert [group for group, found in sides.items() if len(found) > 1] == []
    assert {"train", "validation"} == set.union(*sides.values())


def test_library_documents_carry_licence_and_names(python_corpus):
    rows = [row for row in python_corpus.documents("train") if row["source"] == "docs"]
    assert {row["licence"] for row in rows} == {"PSF-2.0"}
    named = {(entry := json.loads(row["metadata"]))["name"]: (entry, row) for row in rows}
    metadata, row = named["textwrap.dedent"] if "textwrap.dedent" in named else named["os.fspath"]
    assert metadata["kind"] == "function"
    assert row["text"].startswith(metadata["name"] + metadata["signature"] + "\n\n")


def test_reading_is_a_door_of_its_own(texts):
    rows = [row for batch in read_documents(str(texts)) for row in batch.to_pylist()]
    assert len(rows) == 23 + 30
    assert all(find_words(row["text"]) for row in rows)
