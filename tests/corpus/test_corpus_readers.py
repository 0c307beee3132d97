"""Readers and sources: every byte of a text arrives once, in an order that never changes."""

import ast
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.corpus.clean import clean_spans, clean_text
from hornbook.corpus.documents import SCHEMA, Document, batches, document_id
from hornbook.corpus.read import read_documents
from hornbook.corpus.readers import LIBRARIES, READERS, plain_text, python_library
from hornbook.corpus.readers.lines import Limits, bounded_lines
from hornbook.corpus.sources import Source, resolve

LINES = st.lists(st.text(alphabet="abé\r", max_size=12), max_size=12).map("\n".join)


@settings(deadline=None, max_examples=80)
@given(LINES, st.integers(1, 20))
def test_lines_tile_the_stream(text, limit):
    data = text.encode()
    lines = list(bounded_lines(io.BytesIO(data), limit))
    expected = [line for line in data.replace(b"\n", b"\n\0").split(b"\0") if line]
    assert [line.length for line in lines] == [len(line) for line in expected]
    offset = 0
    for line, bytes_ in zip(lines, expected, strict=True):
        assert line.offset == offset
        assert line.data == (bytes_ if len(bytes_.removesuffix(b"\n")) <= limit else None)
        offset += line.length


@settings(deadline=None, max_examples=80)
@given(LINES, st.integers(1, 60))
def test_a_long_text_is_cut_at_line_ends_and_nothing_is_lost(text, document_bytes):
    data = text.encode()
    found = list(plain_text.read(io.BytesIO(data), "a", Limits(1000, document_bytes)))
    assert "".join(document.text for document in found) == text
    for document in found:
        assert document.text == data[document.offset :].decode()[: len(document.text)]
        assert len(document.text.encode()) <= document_bytes or "\n" not in document.text[:-1]
    assert all(document.text.endswith("\n") for document in found[:-1])


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet="ab\r\n\0\ufeff", max_size=30))
def test_spans_say_what_cleaning_did(text):
    cleaned = clean_text(text)
    assert not set("\r\0") & set(cleaned)
    rebuilt = text
    for span in reversed(clean_spans("id", text)):
        start, end = int(span["start"]), int(span["end"])
        if span["rule"] == "line_ends":
            rebuilt = rebuilt.replace("\r\n", "\n").replace("\r", "\n")
        else:
            rebuilt = rebuilt[:start] + str(span["replacement"]) + rebuilt[end:]
    assert rebuilt == cleaned


def test_ids_are_the_same_for_ever():
    assert document_id("code", "os.py", 0) == "f574ebbde52e38213370645572c760b8"
    assert len({document_id(*key) for key in [("a", "b", 1), ("a", "b", 2), ("ab", "", 1)]}) == 3


def test_batches_close_by_size_and_keep_the_schema():
    documents = [Document("x" * 60, f"{n}", 0, "g") for n in range(10)]
    sizes = [batch.num_rows for batch in batches(documents, "s", 100)]
    assert sizes == [2] * 5


def test_json_lines_keep_their_other_fields(tmp_path):
    record = {"text": "你好 world", "licence": "CC0-1.0", "language": "zh", "title": "问候", "n": 1}
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(record).encode() + b"\n\n"))
    (batch,) = read_documents(path)
    assert batch.schema == SCHEMA
    (row,) = batch.to_pylist()
    assert (row["text"], row["licence"], row["language"]) == ("你好 world", "CC0-1.0", "zh")
    assert json.loads(row["metadata"]) == {"title": "问候", "n": 1}
    assert (row["source"], row["path"]) == ("a", "a.jsonl.gz")


def test_folders_are_walked_in_sorted_order_without_hidden_files(tmp_path):
    for name in ("b.txt", "a/z.md", "a/b/c.TXT", ".hidden/x.txt", ".y.txt", "c.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"text": "words"}', encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    rows = [row for batch in read_documents(tmp_path) for row in batch.to_pylist()]
    assert [row["path"] for row in rows] == ["a/b/c.TXT", "a/z.md", "b.txt", "c.jsonl"]


def test_names_of_sources_are_slugs_and_unique(tmp_path):
    paths = ["My Texts/", "x/My_texts.txt.gz", "y/my-texts.jsonl", "三国.txt", "!.md"]
    for path in paths:
        place = tmp_path / path
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.write_text("words", encoding="utf-8")
    given = ["python:code", *(str(tmp_path / path) for path in paths), "python:docs"]
    names = [source.name for source in resolve(given)]
    assert names == ["code", "my-texts", "my-texts-2", "my-texts-3", "三国", "text", "docs"]


def test_the_digest_follows_content_and_names_not_place(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("words", encoding="utf-8")
        (tmp_path / folder / "a.png").write_text(folder, encoding="utf-8")
    one, two = (Source("s", str(tmp_path / folder)) for folder in ("one", "two"))
    same = one.digest()
    assert same == two.digest() == one.digest()
    (tmp_path / "two" / "a.txt").write_text("wordz", encoding="utf-8")
    assert two.digest() != same
    (tmp_path / "one" / "a.txt").rename(tmp_path / "one" / "b.txt")
    assert one.digest() != same


@pytest.mark.parametrize("table", [READERS, LIBRARIES])
def test_every_row_of_the_tables_can_be_imported(table):
    from importlib import import_module

    for entry in table.values():
        module, _, name = entry.partition(":")
        assert callable(getattr(import_module(module), name))


X = "x" * 300
LIBRARY = {
    "plain.py": "'Module text.'\n\ndef f(a, *b: int, c=1) -> str:\n"
    "    '''Do f.\n\n    List:\n      More.\n    '''\n",
    "pack/__init__.py": "class A(Base):\n    '''Be A.'''\n    async def m(self): 'Do m.'\n",
    "pack/deep/inner.py": "if 1:\n    def g():\n        def h(): 'Do h.'\n",
    "posixpath.py": "def join(a, *p):\n    'Join.'\n",
    "latin.py": "# coding: latin-1\n'''caf\xe9'''\n",
    "broken.py": "def f(:\n",
    "half.py": "def f():\n    '\\ud800'\n",
    "test/test_x.py": "'no'",
    "idlelib/x.py": "'no'",
    "pack/tests/x.py": "'no'",
    "encodings/cp1.py": "table = 1\n",
    "pydoc_data/topics.py": f"topics = {{'if': 'If. {X}', 'compound': 'All. {X}', 'with': 'W'}}\n",
    "os.py": "",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in LIBRARY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    monkeypatch.setattr(python_library.sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def test_library_code_is_all_but_tests_and_topics(library):
    found = {item.path: item for item in python_library.read_code(Limits())}
    left = {"test/test_x.py", "idlelib/x.py", "pack/tests/x.py", "pydoc_data/topics.py"}
    assert set(found) == LIBRARY.keys() - left
    assert found["latin.py"].text == LIBRARY["latin.py"]
    assert found["pack/deep/inner.py"].metadata == {"module": "pack.deep.inner"}
    assert found["pack/deep/inner.py"].group == "pack.deep"
    assert found["pack/__init__.py"].group == "pack"


def test_library_docs_read_like_documentation(library):
    items = list(python_library.read_docs(Limits()))
    texts = {item.metadata["name"]: item for item in items if isinstance(item, Document)}
    assert texts["plain"].text == "module plain\n\nModule text.\n"
    assert texts["plain.f"].text == "plain.f(a, *b: int, c=1) -> str\n\nDo f.\n\nList:\n  More.\n"
    assert texts["plain.f"].metadata["signature"] == "(a, *b: int, c=1) -> str"
    assert texts["pack.A"].text == "class pack.A\n\nBe A.\n"
    assert texts["pack.A.m"].metadata["kind"] == "method"
    assert texts["pack.deep.inner.g.h"].metadata["kind"] == "function"
    assert texts["os.path.join"].metadata["module"] == "posixpath"
    assert texts["os.path.join"].group == "posixpath"
    assert texts["latin"].text == "module latin\n\ncafé\n"
    assert {(item.path, item.rule) for item in items if not isinstance(item, Document)} == {
        ("broken.py", "syntax"),
        ("half.py", "invalid_utf8"),
    }


def test_topics_that_share_a_text_share_a_group(library):
    groups = {
        item.metadata["name"]: item.group
        for item in python_library.read_docs(Limits())
        if isinstance(item, Document) and item.metadata["kind"] == "topic"
    }
    assert groups["if"] == groups["compound"] != groups["with"]


def test_the_library_is_read_without_importing_it():
    script = (
        "import sys\n"
        "from hornbook.corpus.readers import python_library\n"
        "from hornbook.corpus.readers.lines import Limits\n"
        "files = ['antigravity.py', 'pydoc_data/topics.py', 'tkinter/__init__.py']\n"
        "python_library.library_files = lambda root: files\n"
        "names = {d.metadata['name'] for d in python_library.read_docs(Limits())}\n"
        "assert {'tkinter.Entry.delete', 'assert'} <= names\n"
        "print({'tkinter', 'antigravity', 'torch', 'pydoc_data.topics'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_all_docstrings_of_a_real_module_are_found(monkeypatch):
    monkeypatch.setattr(python_library, "library_files", lambda root: ["argparse.py"])
    tree = ast.parse((python_library.library() / "argparse.py").read_text(encoding="utf-8"))
    carriers = (ast.Module, ast.ClassDef, ast.FunctionDef)
    expected = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, carriers)]
    found = list(python_library.read_docs(Limits()))
    assert len(found) == len([text for text in expected if text])
