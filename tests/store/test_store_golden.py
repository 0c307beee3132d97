"""What the stage writes must not change unnoticed: a new digest needs a new stage revision."""

from pathlib import Path

from stored_texts import write_two_sources

from hornbook.runs.checksums import digest, measure


def test_the_store_is_the_same_bytes_as_ever(tmp_path: Path) -> None:
    write_two_sources(tmp_path)
    written = measure(tmp_path)
    assert digest(written) == "6f3e49569a9aa7659c423d415aad645a"
    # The ids and where documents start, as they were in the first format too.
    arrays = {name: record for name, record in written.items() if name.endswith(".bin")}
    assert digest(arrays) == "793b9809bdfc27c4926e5a759c21cd71"
