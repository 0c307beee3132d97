"""The stage: an even sample of the text, a saved folder, a summary; and a stop in the middle."""

import random
from pathlib import Path

import pytest
from hard_texts import PROSE

from hornbook.errors import Interrupted, TokenizerError
from hornbook.runs.events import EventLog, read_events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.build import build_tokenizer
from hornbook.tokenizers.options import TokenizerOptions
from hornbook.tokenizers.sample import PIECE_CHARACTERS, sample_pieces


def build(directory: Path, texts, stop: StopSignal | None = None, **options):
    return build_tokenizer(
        TokenizerOptions(**{"vocab_size": 300, **options}),
        texts,
        directory / "tokenizer",
        events=EventLog(directory / "events.jsonl").bind("tokenizer", "0" * 32),
        progress=Progress(quiet=True),
        stop=stop or StopSignal(),
        measure_texts=[PROSE],
    )


def test_the_stage_saves_and_counts(tmp_path: Path) -> None:
    summary = build(tmp_path, [PROSE] * 3)
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    assert summary == {
        "kind": "byte-bpe",
        "fingerprint": tokenizer.fingerprint,
        "vocab_size": 300,
        "training_bytes": 3 * len(PROSE.encode()),
        "bytes_per_token": round(len(PROSE.encode()) / len(tokenizer.encode(PROSE)), 4),
    }
    event = read_events(tmp_path / "events.jsonl", kind="tokenizer").to_pylist()[0]
    assert event["bytes_per_token"] == summary["bytes_per_token"]


def test_bytes_need_no_pattern(tmp_path: Path) -> None:
    assert build(tmp_path, [PROSE], kind="byte", vocab_size=260)["bytes_per_token"] == 1.0


def test_what_is_unknown_is_counted_and_said(tmp_path: Path) -> None:
    summary = build(tmp_path, ["a single man " * 9], kind="word", vocab_size=8)
    # PROSE has 26 words and signs, of which "a" (twice), "single" and "man" are known.
    assert summary["unknown_share"] == round(22 / 26, 6)
    (event,) = read_events(tmp_path / "events.jsonl", kind="decision").to_pylist()
    assert "84.62% of held-out tokens are unknown" in event["why"]


def test_no_text_is_the_users_error(tmp_path: Path) -> None:
    for texts in ([], ["", ""]):
        with pytest.raises(TokenizerError, match="no text to train a tokenizer on"):
            build(tmp_path, texts)


class AskedToStop(StopSignal):
    def check(self) -> None:
        raise Interrupted(15)


def test_a_request_to_stop_is_heard(tmp_path: Path) -> None:
    def texts():
        yield PROSE
        pytest.fail("went on reading after a request to stop")

    with pytest.raises(Interrupted):
        build(tmp_path, texts(), AskedToStop())
    assert not (tmp_path / "tokenizer").exists()


def test_a_sample_within_the_budget_is_everything() -> None:
    texts = ["one\n", "x" * 50_000, "two\nlines\n" * 4000, "好" * 20_000, ""]
    pieces = sample_pieces(texts, 10**9)
    assert sum(map(len, pieces)) == sum(map(len, texts))
    assert max(map(len, pieces)) <= PIECE_CHARACTERS
    assert sum(piece.endswith("\n") for piece in pieces) == 1 + 3


def test_a_sample_does_not_depend_on_order_and_fills_its_budget() -> None:
    texts = [f"{number} " * (1 + number % 50 + 700 * (number % 9 == 0)) for number in range(900)]
    for seed, budget in enumerate(range(5_000, 65_000, 3_000)):
        expected = sample_pieces(texts, budget)
        shuffled = random.Random(seed).sample(texts, len(texts))
        assert sample_pieces(shuffled, budget) == expected
        assert sample_pieces(texts[::-1], budget) == expected
        size = sum(len(piece.encode()) for piece in expected)
        assert budget - 4_000 < size <= budget


def test_a_sample_keeps_the_shares_of_its_sources() -> None:
    texts = [f"a{number} " * 100 for number in range(3000)]
    texts += [f"b{number} " * 100 for number in range(1000)]
    kept = sample_pieces(texts, 400_000)
    share = sum(piece.startswith("b") for piece in kept) / len(kept)
    assert 0.2 < share < 0.3
