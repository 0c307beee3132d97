"""Which docstrings become questions, and what their answers look like."""

import json

import pyarrow as pa
import pytest

from hornbook.adaptation.questions import (
    LONGEST_ANSWER,
    SHORTEST_ANSWER,
    Pair,
    first_sentence,
    pairs_from_documents,
)

FACTS = {"module": "m", "name": "m.f", "kind": "function", "signature": "()"}


def documents(*rows: tuple[str, dict]) -> list[pa.RecordBatch]:
    """One batch a row, so that what is remembered must pass from batch to batch."""
    return [
        pa.RecordBatch.from_pydict({"text": [text], "metadata": [json.dumps(facts)]})
        for text, facts in rows
    ]


def document(answer: str = "Return the sum of all.", **facts) -> tuple[str, dict]:
    merged = FACTS | facts
    return f"{merged['name']}()\n\n{answer}\n\nMore.\n", merged


def sentence_of(length: int) -> str:
    words = "Ab cd " + "e" * (length - 7) + "."
    assert len(words) == length
    return words


@pytest.mark.parametrize(
    ("docstring", "answer"),
    [
        ("Return the sum of all.", "Return the sum of all."),
        ("Return the sum of all", "Return the sum of all."),
        ("Return these things:", "Return these things."),
        ("return the sum of all.", "Return the sum of all."),
        ("Is it really a file?", "Is it really a file?"),
        ("Stop all of it now!", "Stop all of it now!"),
        ("  Return the sum\n  of all.\n\nMore of it.", "Return the sum of all."),
        ("Return\tthe  sum\nof all\n\n\nMore.", "Return the sum of all."),
        ("`None` is what it gives.", "`None` is what it gives."),
        ("'a' comes before the rest.", "'a' comes before the rest."),
        ("(Private) part of the loader.", "(Private) part of the loader."),
        ("Call f(x) -> y for each of them.", "Call f(x) -> y for each of them."),
        ("Compute a - b for all\nof the pairs.", "Compute a - b for all of the pairs."),
        ("Return x ** y of two numbers.", "Return x ** y of two numbers."),
    ],
)
def test_a_paragraph_becomes_one_closed_line(docstring, answer):
    assert first_sentence(docstring) == answer


@pytest.mark.parametrize(
    "docstring",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n\n ", id="blank"),
        pytest.param("Do it.", id="too short"),
        pytest.param("Internationalisation helpers.", id="two words"),
        pytest.param("join(a, *b)", id="signature"),
        pytest.param("join(a, *b) -> the path of all of them", id="signature with a result"),
        pytest.param("os.path.join(a, *b) -> the whole path.", id="dotted signature"),
        pytest.param("S.insert(i, v) -- insert v before i.", id="signature and dashes"),
        pytest.param("to_bytes(u'URL') --> 'URL' as bytes.", id="long arrow"),
        pytest.param(">>> total([1, 2, 3]) is all", id="doctest"),
        pytest.param("Return the sum of all.\n>>> total([1, 2])\n3", id="doctest below"),
        pytest.param("- one thing and another.", id="list"),
        pytest.param("* one thing and another.", id="starred list"),
        pytest.param("1. one thing and another.", id="numbered list"),
        pytest.param("Keys of the table:\n  - name: text\n  - size: int", id="list below"),
        pytest.param("Two steps are needed:\n1. read\n2. write", id="numbered list below"),
        pytest.param("=====\nThe whole package\n=====", id="heading with a line above"),
        pytest.param("The whole package\n=================", id="underlined heading"),
        pytest.param("The whole package\n-----------------\nMore.", id="heading and text"),
        pytest.param(":param x: what is to be summed.", id="field"),
        pytest.param("@param x what is to be summed.", id="javadoc"),
        pytest.param("| a | table of things |", id="table"),
        pytest.param("+---+---+ a table of things", id="drawing"),
        pytest.param("...and so on it goes.", id="dots"),
        pytest.param("# shebang and such things.", id="comment"),
        pytest.param("3 things are made here.", id="number"),
    ],
)
def test_what_is_no_sentence_is_no_answer(docstring):
    assert first_sentence(docstring) is None


@pytest.mark.parametrize(
    ("length", "kept"),
    [
        (SHORTEST_ANSWER - 1, False),
        (SHORTEST_ANSWER, True),
        (LONGEST_ANSWER, True),
        (LONGEST_ANSWER + 1, False),
    ],
)
def test_lengths_are_inclusive_and_count_the_added_full_stop(length, kept):
    assert (first_sentence(sentence_of(length)) is not None) is kept
    assert (first_sentence(sentence_of(length).removesuffix(".")) is not None) is kept


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        ("function", "What does `m.f` do?"),
        ("method", "What does `m.f` do?"),
        ("class", "What is `m.f`?"),
        ("module", "What is the module `m.f` for?"),
    ],
)
def test_each_kind_has_its_question(kind, question):
    (pair,) = pairs_from_documents(documents(document(kind=kind)))
    assert pair == Pair("m.f", kind, question, "Return the sum of all.")
    assert pair.messages() == [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "Return the sum of all."},
    ]


def test_a_name_asks_once_and_its_first_answer_is_kept():
    found = pairs_from_documents(
        documents(
            document("Too short."),  # no answer: the name is still free
            document("Return the sum on Linux."),
            document("Return the sum elsewhere."),
            document("Return another thing.", name="m.g"),
        )
    )
    assert [(pair.name, pair.answer) for pair in found] == [
        ("m.f", "Return the sum on Linux."),
        ("m.g", "Return another thing."),
    ]


def test_braces_in_a_name_are_text():
    (pair,) = pairs_from_documents(documents(document(name="m.{f}")))
    assert pair.question == "What does `m.{f}` do?"


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"kind": "function"},
        {"kind": "function", "signature": "()"},
        {"kind": "function", "name": "m.f"},
        {"name": "m.f", "signature": "()"},
        {"kind": ["a"], "name": "m.f", "signature": "()"},
        {"kind": {"a": 1}, "name": "m.f", "signature": "()"},
        {"kind": None, "name": "m.f", "signature": "()"},
        {"kind": "function", "name": 5, "signature": "()"},
        {"kind": "function", "name": ["m.f"], "signature": "()"},
        {"kind": "topic", "name": "if", "signature": ""},
        {"kind": "invoice", "name": "m.f", "signature": ""},
    ],
)
def test_other_metadata_makes_no_question_and_stops_nothing(facts):
    text, _ = document()
    found = pairs_from_documents(documents((text, facts), document(name="m.g")))
    assert [pair.name for pair in found] == ["m.g"]


def test_a_document_of_one_paragraph_has_no_answer():
    assert list(pairs_from_documents(documents(("m.f()", FACTS)))) == []
