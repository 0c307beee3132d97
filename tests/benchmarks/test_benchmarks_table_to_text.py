"""Tables are read slot by slot, values are counted as they stand, and the whole script runs."""

import json
import sys

import pytest

import table_to_text
from hornbook.errors import InputError
from table_to_text import Table, coverage, people, tables_in

ROWS = [
    {
        "mr": "name[The Golden Palace], priceRange[£20-25], customer rating[5 out of 5], "
        "familyFriendly[no], near[Café Sicilia]",
        "refs": [
            "The Golden Palace near Café Sicilia costs £20-25, is rated 5 out of 5 and is not for "
            "children.",
            "Near Café Sicilia is The Golden Palace, rated 5 out of 5.",
        ],
    },
    {
        "mr": "name[Cotto], area[riverside]",
        "refs": ["Cotto is in the riverside area.", "By the river there is Cotto."],
    },
]


@pytest.fixture
def folder(tmp_path):
    for name, rows in (("train", ROWS * 10), ("dev", ROWS)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def test_slots_are_read_whatever_stands_in_them(folder):
    first, second = tables_in(folder / "dev.jsonl")
    assert first.slots == {
        "name": "The Golden Palace",
        "priceRange": "£20-25",
        "customer rating": "5 out of 5",
        "familyFriendly": "no",
        "near": "Café Sicilia",
    }
    assert second.line == "name : Cotto | area : riverside"
    assert second.sentences == tuple(ROWS[1]["refs"])
    assert table_to_text.pairs_of([second])[1] == (second.line, "By the river there is Cotto.")


def test_values_count_where_they_are_said():
    """By hand: name, price, rating and near of the first, name and area of the second."""
    tables = [
        Table(
            {"name": "The Golden Palace", "priceRange": "£20-25", "familyFriendly": "no",
             "customer rating": "5 out of 5", "near": "Café Sicilia"}, ("x",),
        ),
        Table({"name": "Cotto", "area": "riverside"}, ("x",)),
    ]  # fmt: skip
    outputs = ["the golden palace, no £20-25, near Cafe Sicilia.", "Cotto is by the river."]
    assert coverage(tables, outputs) == pytest.approx(3 / 6)
    assert coverage(tables, ["", ""]) == 0.0


def test_people_are_scored_by_the_same_rules(folder):
    said, overlap = people(tables_in(folder / "dev.jsonl"))
    assert said == 1.0
    assert 0.0 < overlap < 1.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no"),
        ('{"refs": ["a"]}', "line 2: no"),
        ('{"mr": "name", "refs": ["a"]}', "line 2: a table without a slot"),
        ('{"mr": "name[a]", "refs": []}', "line 2: a table without a slot or without a sentence"),
    ],
)
def test_what_is_no_table_is_said_with_its_line(folder, line, message):
    path = folder / "dev.jsonl"
    path.write_text(json.dumps(ROWS[0]) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        tables_in(path)


def test_the_whole_script_runs(folder, monkeypatch, capsys):
    monkeypatch.setattr("hornbook.training.memory.keep_memory", lambda: False)
    words = ["--data", folder, "--directory", folder / "run", "--families", "transformer"]
    words += ["--steps", 2, "--width", 16, "--vocabulary", 300, "--beams", 2]
    monkeypatch.setattr(sys, "argv", ["table_to_text.py", *map(str, words)])
    table_to_text.main()
    printed = capsys.readouterr().out
    table = (folder / "run" / "table.md").read_text(encoding="utf-8")
    assert printed.endswith(table + "\n")
    header, _, human, machine = table.splitlines()
    assert header.count("|") == human.count("|") == machine.count("|")
    assert machine.startswith("| transformer | ")
