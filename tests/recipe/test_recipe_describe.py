from sample_sections import SECTIONS

from hornbook.recipe.recipe import describe


def test_each_option_is_one_row_in_order() -> None:
    rows = describe(SECTIONS)
    assert [(row.section, row.key) for row in rows] == [
        (section, key) for section, options in SECTIONS.items() for key in options.model_fields
    ]


def test_rows_say_type_default_bounds_and_choices() -> None:
    rows = {f"{row.section}.{row.key}": row for row in describe(SECTIONS)}
    found = {key: (row.type, row.default, row.allowed) for key, row in rows.items()}
    expected = {
        "corpus.sources": ("array", '["python:code"]', "a list, each entry text in quotes"),
        "corpus.validation_fraction": ("float", "0.05", "a number, at least 0, below 1"),
        "corpus.deduplicate": ("boolean", "true", "true or false"),
        "corpus.filters": (
            "array",
            '["length"]',
            'a list, each entry one of "length", "symbols", "stop-words" or "module:Thing"',
        ),
        "pretraining.optimizer": ("string", '"adamw"', 'one of "adamw", "sgd"'),
        "pretraining.weights": (
            "table",
            '{"code": 1.0, "docs": 2.0}',
            "a table, each entry a number",
        ),
        "pretraining.threads": ("integer | string", '"auto"', 'a whole number or "auto"'),
    }
    assert {key: found[key] for key in expected} == expected
    assert rows["pretraining.steps"].description == "Updates of the weights."
    assert rows["pretraining.steps"].hashed
    assert not rows["pretraining.device"].hashed
