"""What the stage writes must not change unnoticed: a new digest needs a new stage revision."""

from pathlib import Path
from typing import Any

import pytest
from hard_texts import HARD, POEM, PROSE

from hornbook.recipe.fingerprint import fingerprint
from hornbook.runs.checksums import digest, measure
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

TEXTS = [POEM, PROSE] * 3 + HARD


def test_the_saved_folders_are_the_same_bytes_as_ever(tmp_path: Path) -> None:
    ByteBPE.train(TEXTS, 320).save(tmp_path / "byte-bpe")
    ByteTokenizer().save(tmp_path / "byte")
    assert digest(measure(tmp_path)) == "d5cfb59a6c0367e475c42c36dac0f900"


def test_fingerprints_are_the_same_as_ever() -> None:
    assert ByteBPE.train(TEXTS, 320).fingerprint == "fa9c3113f369836bdf893499de32fec1"
    assert ByteTokenizer().fingerprint == "4c32093112d2ac2338feeec32609786c"


KINDS: list[tuple[str, int, dict[str, Any], str, str]] = [
    ("character", 340, {}, "c02e8468c0051f236f2ac5256a64db22", "dcac26b5f0e237c6faa37a92a5fb4e4d"),
    (
        "character",
        80,
        {"byte_fallback": False},
        "0a27d0d40cef9afd276a096e3bc79587",
        "af1dbd796ba219818c7d14b0a802690e",
    ),
    ("word", 60, {}, "95f321354ca43786397c7ce7395e6561", "420130109ce3d6c4379a16b62eca30fc"),
    (
        "word",
        60,
        {"lowercase": True},
        "c384831d3a9d563b1fed22881e068665",
        "3b22fb810690de11eb9e650c04bb51b8",
    ),
    ("bpe", 180, {}, "0db6ee61c7446afbe88531dda63a2d60", "36f527d0c29e8d70b2c16443a61744db"),
    (
        "bpe",
        180,
        {"lowercase": True},
        "387ca814235465c445348c29dd5c76ec",
        "e3d0cf9745f89477925dc23e1413a3b3",
    ),
    ("wordpiece", 180, {}, "c755cedd0b8323907ec00b5baaaed2a2", "de20ce97c22f67bc03d8942f156348ee"),
    (
        "wordpiece",
        180,
        {"lowercase": True, "special_tokens": "bert"},
        "010acdfb66882591bec0e3600efb18ef",
        "664cf9bc9789964b2ea373d5b8a61929",
    ),
]


@pytest.mark.parametrize(("kind", "size", "options", "printed", "definition"), KINDS)
def test_trained_kinds_are_the_same_as_ever(
    kind: str, size: int, options: dict[str, Any], printed: str, definition: str
) -> None:
    tokenizer = train_tokenizer(kind, TEXTS, size, **options)
    assert tokenizer.fingerprint == printed
    assert fingerprint(tokenizer.definition()) == definition


PIECES: list[tuple[str, str, str, str]] = [
    (
        "sentencepiece-bpe",
        "identity",
        "bf86f756aa248ab06cc23531b09bee15",
        "5bb7533a763b4ad28b7ed7a2e47bc3d4",
    ),
    (
        "sentencepiece-bpe",
        "nfkc",
        "6e2b49477dabb1dd683c73a439e37827",
        "d9052901755394e5b69d8e22d5e17776",
    ),
    (
        "sentencepiece-unigram",
        "identity",
        "cb7368bb8f4827f154c0782a36009edb",
        "8cac4f92e1abdd6123bc433402fa69b9",
    ),
    (
        "sentencepiece-unigram",
        "nfkc",
        "ce63460fb7c31132d59a1ff564bb6760",
        "989e3fd644a4a7844437fc5646b04ace",
    ),
]


@pytest.mark.parametrize(("kind", "normalization", "printed", "definition"), PIECES)
def test_pieces_are_the_same_as_ever(
    kind: str, normalization: str, printed: str, definition: str
) -> None:
    tokenizer = train_tokenizer(kind, TEXTS, 390, normalization=normalization)
    assert tokenizer.fingerprint == printed
    assert fingerprint(tokenizer.definition()) == definition
