"""Every kind of bad input: one clear sentence, or one row in dropped.parquet."""

import errno
import gzip
import io
import os
import tracemalloc
from pathlib import Path

import pytest

from hornbook.corpus import build, write
from hornbook.corpus.documents import Document, Dropped
from hornbook.corpus.read import read_documents
from hornbook.corpus.readers import json_lines, plain_text
from hornbook.corpus.readers.lines import Limits
from hornbook.corpus.sources import Source
from hornbook.errors import InputError, Interrupted, StorageError

GOOD = "A good text that is kept, whatever stands beside it in the folder.\n" * 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "good.txt").write_text(GOOD, encoding="utf-8")
    return folder


def test_missing_path_is_one_sentence_with_the_path(make, tmp_path):
    with pytest.raises(InputError, match=r"The source .*/nowhere cannot be read: No such file"):
        make(tmp_path / "nowhere")


def test_misspelt_library_names_the_nearest(make):
    with pytest.raises(InputError, match='did you mean "python:code"'):
        make("python:cod")


def test_no_sources_at_all(make):
    with pytest.raises(InputError, match=r"corpus\.sources is empty"):
        make()


def test_empty_folder(make, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no text: .*\.txt, \.md, \.jsonl"):
        make(tmp_path / "empty")


def test_folder_of_binary_files_only(make, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "b.txt").write_bytes(b"MZ\0\0\1\2")
    with pytest.raises(InputError, match=r"Nothing is left of the source .*1 unknown_format"):
        make(tmp_path)


def test_file_of_unknown_format(make, tmp_path):
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a\.docx has a format that cannot be read; known are"):
        make(tmp_path / "a.docx")


def test_nothing_left_after_the_filters(make, tmp_path):
    (tmp_path / "a.txt").write_text("short", encoding="utf-8")
    with pytest.raises(InputError, match=r"1 too_short.*a\.txt, for one, only 5 bytes of text"):
        make(tmp_path)


def test_text_too_small_to_be_split(make, tmp_path):
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="too small to be split"):
        make(tmp_path, minimum_bytes=0)


@pytest.mark.parametrize(
    ("name", "data", "rule", "reason"),
    [
        ("a.txt", b"caf\xe9 au lait", "invalid_utf8", "byte 3 is not valid UTF-8"),
        ("a.txt", b"text\0\0\1", "binary", "holds NUL bytes"),
        ("a.txt", "text in UTF-16".encode("utf-16"), "binary", "if it is UTF-16, save it as"),
        ("a.pdf", b"%PDF", "unknown_format", 'no reader for files ending in ".pdf"'),
        ("a.jsonl", b'{"text": 3}', "no_text", 'no JSON object with a string in "text"'),
        ("a.jsonl", b'["text"]', "no_text", "no JSON object"),
        ("a.jsonl", b'{"text": "half', "broken_json", "the line at byte 0 is not JSON"),
        ("a.jsonl", b"[" * 100_000, "broken_json", "not JSON"),
        ("a.jsonl", b'{"text": "caf\xe9"}', "invalid_utf8", "byte 13 is not valid UTF-8"),
        ("a.jsonl", b'{"text": "\\ud800"}', "invalid_utf8", "surrogate"),
        ("a.txt.gz", b"not gzip at all", "unreadable", "cannot be read: Not a gzipped file"),
        (
            "a.txt.gz",
            gzip.compress(b"cut off " * 999, mtime=0)[:-20],
            "unreadable",
            "end-of-stream",
        ),
    ],
)
def test_a_bad_file_is_put_aside_and_the_good_one_kept(make, folder, name, data, rule, reason):
    (folder / name).write_bytes(data)
    built = make(folder)
    assert built.dropped() == [(name, rule)]
    assert reason in built.table("dropped")[0]["reason"]
    assert "".join(d["text"] for s in write.SPLITS for d in built.documents(s)) == GOOD
    entry = built.statistics["sources"]["texts"]
    assert (entry["read"], entry["kept"], entry["dropped"]) == (2, 1, {rule: 1})


def test_a_bad_line_of_json_leaves_the_others(make, tmp_path):
    lines = [
        f'{{"text": "Record number {n} of the file, good and long enough."}}' for n in range(5)
    ]
    lines[2] = lines[2][:-3]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    built = make(tmp_path / "a.jsonl")
    assert built.statistics["sources"]["a"]["kept"] == 4
    assert built.dropped() == [("a.jsonl", "broken_json")]
    assert built.table("dropped")[0]["reason"].startswith(
        f"the line at byte {2 * len(lines[0]) + 2}"
    )


def test_torn_gzip_keeps_the_records_before_the_tear(tmp_path):
    noise = os.urandom(200_000).hex()
    lines = "".join(f'{{"text": "{noise[n * 50 :][:50]}"}}\n' for n in range(5000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0)[:-50_000])
    aside: list[Dropped] = []
    rows = sum(b.num_rows for b in read_documents(tmp_path / "a.jsonl.gz", dropped=aside.append))
    assert 0 < rows < 5000
    assert [row.rule for row in aside] == ["unreadable"]


@pytest.mark.parametrize("name", ["long.txt", "long.txt.gz", "long.jsonl"])
def test_a_line_past_the_limit_is_dropped_in_flat_memory(tmp_path, name):
    path = tmp_path / name
    good = f'{{"text": "{GOOD.strip().splitlines()[0]}"}}\n'.encode()
    with gzip.open(path, "wb", 1) if name.endswith("gz") else path.open("wb") as file:
        file.write(good)
        for _ in range(40):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + good)
    source, items = Source("s", str(path)), []
    tracemalloc.start()
    try:
        items += list(source.read(Limits(line_bytes=2_000_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (dropped,) = (item for item in items if isinstance(item, Dropped))
    assert (dropped.rule, dropped.offset) == ("line_too_long", len(good))
    assert dropped.value == "40000001"
    assert "longer than the limit of 2,000,000" in dropped.reason
    assert len([item for item in items if isinstance(item, Document)]) == 2
    assert peak < 10_000_000


def test_the_limit_of_a_line_is_exact():
    for extra, rules in ((0, []), (1, ["line_too_long"])):
        data = b"x" * (100 + extra) + b"\n"
        items = list(plain_text.read(io.BytesIO(data), "a", Limits(100, 1000)))
        assert [item.rule for item in items if isinstance(item, Dropped)] == rules


def test_a_file_deleted_before_it_is_opened_is_put_aside(make, folder, monkeypatch):
    (folder / "gone.txt").write_text(GOOD, encoding="utf-8")
    real = Path.open

    def vanishing(self, *arguments, **keywords):
        if self.name == "gone.txt":
            self.unlink(missing_ok=True)
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", vanishing)
    assert make(folder).dropped() == [("gone.txt", "unreadable")]


def test_a_file_that_fails_while_it_is_read_is_put_aside(make, folder, monkeypatch):
    (folder / "torn.jsonl").write_text(f'{{"text": "{GOOD.splitlines()[0]} 2"}}\n' * 2, "utf-8")
    real = json_lines.bounded_lines

    def failing(stream, limit):
        yield next(real(stream, limit))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(json_lines, "bounded_lines", failing)
    built = make(folder)
    assert built.dropped() == [("torn.jsonl", "unreadable")]
    assert built.statistics["sources"]["texts"]["kept"] == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_put_aside(make, folder):
    (folder / "secret").mkdir(mode=0)
    assert make(folder).dropped() == [("secret", "unreadable")]


def test_a_name_that_is_not_unicode(make, folder):
    try:
        (folder / os.fsdecode(b"caf\xe9.txt")).write_text(GOOD + "other\n", encoding="utf-8")
    except OSError:
        pytest.skip("this disk takes Unicode names only")
    built = make(folder)
    assert {row["path"] for row in built.table("measures")} == {"caf\ufffd.txt", "good.txt"}


def test_a_full_disk_is_a_storage_error(make, folder, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build, "write_table", full)
    with pytest.raises(StorageError, match="the disk is full"):
        make(folder)


def test_a_stop_is_heard(folder, tmp_path):
    from hornbook.corpus.options import CorpusOptions
    from hornbook.runs.events import EventLog
    from hornbook.runs.progress import Progress
    from hornbook.runs.signals import StopSignal

    stop = StopSignal()
    stop._ask(15, None)
    log = EventLog(tmp_path / "events.jsonl").bind("corpus", "0" * 12)
    with pytest.raises(Interrupted):
        build.build_corpus(
            CorpusOptions(sources=(str(folder),)),
            0,
            tmp_path / "corpus",
            events=log,
            progress=Progress(quiet=True),
            stop=stop,
        )


def test_reading_nothing_is_an_input_error(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(
        InputError, match=r"holds no text that can be read: a\.txt, for one, byte 0"
    ):
        list(read_documents(tmp_path))
