"""Rows of a new vocabulary from an old one: same token, same row; else the pieces' mean."""

import argparse
import inspect

import numpy as np
import pytest

from hornbook.tokenizers.comparison import nested, ordinary_ids
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.remap import remap
from hornbook.tokenizers.special import SPECIAL_SETS
from hornbook.tokenizers.train import train_tokenizer


def table_of(tokenizer, width=3):
    rows = np.random.default_rng(5).normal(size=(tokenizer.vocab_size, width))
    return rows.astype(np.float32)


def fresh_for(tokenizer, width=3):
    return np.full((tokenizer.vocab_size, width), np.nan, dtype=np.float32)


def test_the_same_vocabulary_is_the_same_table_to_the_bit(small):
    plan = remap(small, small)
    table = table_of(small)
    np.testing.assert_array_equal(plan.apply(table, fresh_for(small)), table)
    assert plan.share == 1.0
    assert (len(plan.matched), len(plan.special_matched)) == (496, 4)
    assert (plan.averaged, plan.fresh) == ((), ())


def test_a_smaller_vocabulary_takes_rows_and_moves_the_special_ones(small):
    inner = nested(small, 400)
    plan, table = remap(small, inner), table_of(small)
    made = plan.apply(table, fresh_for(inner))
    np.testing.assert_array_equal(made[:396], table[:396])
    np.testing.assert_array_equal(made[396:], table[496:])
    assert len(plan.matched) == 396
    assert plan.special_matched == (396, 397, 398, 399)


def test_a_larger_vocabulary_takes_means_of_the_pieces(small):
    inner = nested(small, 400)
    plan, table = remap(inner, small), table_of(inner)
    made = plan.apply(table, fresh_for(small))
    assert len(plan.matched) == 396
    assert len(plan.averaged) == 100  # each is made of tokens with smaller ids
    assert plan.fresh == ()
    assert plan.share == 400 / 500
    for number in plan.averaged:
        token = small.token_bytes(number)
        pieces = inner.encode(token.decode())
        assert len(pieces) > 1
        np.testing.assert_allclose(made[number], table[pieces].mean(axis=0), rtol=1e-5, atol=1e-7)


def test_tokens_are_matched_by_bytes_not_by_number(texts):
    bpe, plain = ByteBPE.train(texts, 300), ByteTokenizer()
    plan, table = remap(bpe, plain), table_of(bpe)
    made = plan.apply(table, fresh_for(plain))
    for byte in (0, 32, 65, 200, 255):
        np.testing.assert_array_equal(made[byte], table[bpe.tokens[bytes([byte])]])
    assert "256 of 260 tokens matched, 4 special ones matched" in str(plan)
    back = remap(plain, bpe)
    assert len(back.averaged) == 300 - 260


def test_special_tokens_are_matched_by_name_or_part_and_never_with_text():
    one = ByteTokenizer({name: 256 + i for i, name in enumerate(SPECIAL_SETS["chat"])})
    bert = ByteTokenizer({name: 256 + i for i, name in enumerate(SPECIAL_SETS["bert"])}, "[SEP]")
    plan = remap(one, bert)
    by_new = {number: plan.rows[plan.starts[number]] for number in plan.special_matched}
    sep, cls = bert.special_tokens["[SEP]"], bert.special_tokens["[CLS]"]
    assert by_new == {sep: one.special_tokens["<|endoftext|>"]}
    assert cls in plan.fresh
    assert len(plan.fresh) == 4
    made = plan.apply(table_of(one), fresh_for(bert))
    assert np.isnan(made[list(plan.fresh)]).all()
    assert not np.isnan(np.delete(made, list(plan.fresh), axis=0)).any()


def test_a_special_token_is_matched_by_its_own_name_first():
    old = ByteTokenizer({"<|endoftext|>": 256, "</s>": 257})
    plan = remap(old, ByteTokenizer({"</s>": 256}, "</s>"))
    assert plan.rows[plan.starts[256]] == 257


def test_text_that_spells_a_special_token_is_not_matched_with_it():
    name = "<|end|>"
    spelt = ByteBPE.train([name * 20], 266, pattern=r"<\|end\|>")
    ordinary = spelt.tokens[name.encode()]
    plan = remap(ByteTokenizer(), spelt)
    assert ordinary in plan.averaged
    rows = plan.rows[plan.starts[ordinary] : plan.starts[ordinary + 1]]
    assert bytes(rows.tolist()) == name.encode()


@pytest.mark.parametrize("kind", ["sentencepiece-bpe", "wordpiece", "bpe"])
def test_pieces_within_words_come_from_within_words(kind):
    """Kinds that mark words put a space at an edge, which a token amid a word does not have."""
    code = [inspect.getsource(argparse)]
    old = train_tokenizer(kind, code, vocab_size=600)
    new = train_tokenizer("byte-bpe", code, vocab_size=900)
    plan = remap(old, new)
    seen = 0
    for number in plan.averaged:
        rows = plan.rows[plan.starts[number] : plan.starts[number + 1]]
        shown = b"".join(old.token_bytes(int(row)) for row in rows)
        token = new.token_bytes(number)
        if token.isalpha() or (token[:1] == b" " and token[1:].isalpha()):
            assert shown.strip(b" ").replace(b" ", b"") == token.strip(), (token, shown)
            if token.isalpha():  # no space at the edge that the kind marks, where a piece allows
                edge = shown[:1] if old.edge_space == "before" else shown[-1:]
                seen += edge != b" "
            else:
                assert old.edge_space == "after" or shown.startswith(b" ")
                assert not shown.startswith(b"  ")
    assert seen > 100


def test_an_unknown_token_that_shows_text_is_no_ordinary_token():
    code = [inspect.getsource(argparse)]
    pieces = train_tokenizer("sentencepiece-unigram", code, vocab_size=600, byte_fallback=False)
    unknown = pieces.unknown
    assert unknown is not None
    assert unknown not in ordinary_ids(pieces)
    assert unknown in remap(pieces, pieces).special_matched
    assert len(remap(pieces, pieces).matched) == len(ordinary_ids(pieces))


def test_bytes_that_are_no_text_are_cut_into_single_bytes():
    poem = "床前明月光，疑是地上霜。" * 9
    chinese, plain = ByteBPE.train([poem], 290), ByteTokenizer()
    torn = [n for n in range(256, 286) if not chinese.token_bytes(n).decode(errors="ignore")]
    assert torn
    plan = remap(plain, chinese)
    for number in torn:
        rows = plan.rows[plan.starts[number] : plan.starts[number + 1]]
        assert bytes(rows.tolist()) == chinese.token_bytes(number)


@pytest.mark.parametrize("width", [(), (2, 4)])
def test_tables_of_any_width(small, width):
    inner = nested(small, 300)
    rows = np.random.default_rng(1).normal(size=(300, *width))
    made = remap(inner, small).apply(rows, np.zeros((500, *width)))
    assert made.shape == (500, *width)
    np.testing.assert_array_equal(made[:296], rows[:296])
