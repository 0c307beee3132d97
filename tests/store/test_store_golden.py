"""What the stage writes must not change unnoticed: a new digest needs a new stage revision."""

from pathlib import Path

from stored_texts import write_two_sources

from hornbook.runs.checksums import digest, measure


def test_the_store_is_the_same_bytes_as_ever(tmp_path: Path) -> None:
    write_two_sources(tmp_path)
    assert digest(measure(tmp_path)) == "cf69f032c575fbcab958d1aede625ec1"
