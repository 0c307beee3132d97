"""What sections say must fit together: a tokenizer's options with its kind."""

import pytest

from hornbook.errors import RecipeError
from hornbook.stages.run import read_recipe


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "word", "pattern": "gpt2"}, "tokenizer.pattern is set, and a tokenizer of the"),
        ({"kind": "byte-bpe", "lowercase": True}, "tokenizer.lowercase is set"),
        ({"kind": "byte"}, "vocab_size = 4096: a tokenizer of bytes has 260 ids"),
        ({"kind": "byte", "special_tokens": "bert", "vocab_size": 260}, "of bytes has 261 ids"),
        ({"vocab_size": 259}, "vocab_size = 259: 260 ids are taken before anything is learnt"),
        ({"kind": "word", "special_tokens": "t5", "vocab_size": 50}, "103 ids are taken"),
    ],
)
def test_what_a_kind_of_tokenizer_cannot_do_is_said_at_check(given, said):
    with pytest.raises(RecipeError, match=said):
        read_recipe("demo", {f"tokenizer.{name}": value for name, value in given.items()})


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "byte", "vocab_size": 260},
        {"kind": "wordpiece", "lowercase": True, "special_tokens": "bert"},
        {"kind": "sentencepiece-unigram", "normalization": "nfkc", "byte_fallback": False},
    ],
)
def test_what_a_kind_of_tokenizer_takes_is_sound(given):
    recipe = read_recipe("demo", {f"tokenizer.{name}": value for name, value in given.items()})
    assert (
        recipe["tokenizer"].of_kind().items()
        >= {
            name: value for name, value in given.items() if name not in ("kind", "vocab_size")
        }.items()
    )
