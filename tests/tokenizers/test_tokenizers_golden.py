"""What the stage writes must not change unnoticed: a new digest needs a new stage revision."""

from pathlib import Path

from hard_texts import HARD, POEM, PROSE

from hornbook.runs.checksums import digest, measure
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.byte_bpe import ByteBPE

TEXTS = [POEM, PROSE] * 3 + HARD


def test_the_saved_folders_are_the_same_bytes_as_ever(tmp_path: Path) -> None:
    ByteBPE.train(TEXTS, 320).save(tmp_path / "byte-bpe")
    ByteTokenizer().save(tmp_path / "byte")
    assert digest(measure(tmp_path)) == "d5cfb59a6c0367e475c42c36dac0f900"


def test_fingerprints_are_the_same_as_ever() -> None:
    assert ByteBPE.train(TEXTS, 320).fingerprint == "fa9c3113f369836bdf893499de32fec1"
    assert ByteTokenizer().fingerprint == "4c32093112d2ac2338feeec32609786c"
