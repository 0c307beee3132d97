"""Text shown id by id is the text of the ids at once, whatever it goes on from."""

from typing import Any

import numpy as np
import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_table import trained, variants

from hornbook.tokenizers import TOKENIZERS
from hornbook.tokenizers.tokenizer import Tokenizer

each_variant = pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(kind, options, id="-".join([kind, *(f"{v}" for v in options.values())]))
        for kind in TOKENIZERS
        for options in variants(kind)
    ],
)


def ends_of_text(tokenizer: Tokenizer) -> list[int]:
    """Special tokens that begin a text, or end one."""
    return sorted(set(tokenizer.special_tokens.values()) - {tokenizer.unknown})


def goes_on(tokenizer: Tokenizer, ids: list[int], cut: int) -> None:
    """Ids shown after the first `cut` of them, and shown as a text after a special token."""
    before, rest = ids[:cut], ids[cut:]
    added = b"".join(tokenizer.stream_bytes(iter(rest), before))
    edge = ends_of_text(tokenizer)[0]
    begins = [cut + 1 for cut, token in enumerate(before) if token in ends_of_text(tokenizer)]
    text = ids[begins[-1] if begins else 0 :]
    shown = tokenizer.decode_bytes(text[: len(text) - len(rest)])
    assert shown + added == tokenizer.decode_bytes(text)
    for nothing in ([], [edge], [*ids, edge]):
        assert b"".join(tokenizer.stream_bytes(ids, nothing)) == tokenizer.decode_bytes(ids)


@each_variant
@pytest.mark.tokenizers("decode")
def test_a_text_in_two_parts_is_the_text(kind: str, options: dict[str, Any]) -> None:
    tokenizer = trained(kind, **options)
    draw = np.random.default_rng(0)
    texts = ["The quick brown fox ", " x", "  two", *HARD, POEM, PROSE]
    for text in texts:
        ids = tokenizer.encode(text).tolist()
        for cut in {0, 1, len(ids) // 2, len(ids), *draw.integers(0, len(ids) + 1, 2).tolist()}:
            goes_on(tokenizer, ids, min(cut, len(ids)))
    count_cases(len(texts))


@each_variant
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_ids_in_two_parts_are_their_text(kind: str, options: dict[str, Any], data) -> None:
    tokenizer = trained(kind, **options)
    number = st.integers(0, tokenizer.vocab_size - 1)
    space = [i for i in range(tokenizer.vocab_size) if tokenizer.token_bytes(i).strip() == b""]
    number = st.one_of(number, st.sampled_from(space)) if space else number
    ids = data.draw(st.lists(number, max_size=8))
    goes_on(tokenizer, ids, data.draw(st.integers(0, len(ids))))
