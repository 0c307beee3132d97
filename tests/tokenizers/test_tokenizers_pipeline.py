"""Anyone's tokenizer.json: the same ids, offsets and text as the library and transformers give."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import transformers
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.kinds.pipeline import Pipeline
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

NAMES = ["<unk>", "<s>", "</s>", "<mask>"]
TEXTS = [*HARD, PROSE, "".join(HARD), "a <s> b</s><mask> [SEP]", "▁a ▁▁ b▁", "<0x41> Ġx </w>"]
ANY = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.lists(st.sampled_from(["<s>", "</s>", " ", "▁", "##a", "the", "😀", "\n", "[UNK]"])).map(
        "".join
    ),
)


def trained(made: library.Tokenizer, trainer: trainers.Trainer, texts: list[str]):
    made.train_from_iterator(texts, trainer)
    return made


def bert(texts: list[str]) -> library.Tokenizer:
    made = library.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    trained(made, trainer, texts)
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(8)
    made.enable_padding(length=8)
    return made


def unigram(texts: list[str]) -> library.Tokenizer:
    """T5's: pieces by score, spaces as signs, special tokens among the pieces."""
    made = library.Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=NAMES, unk_token="<unk>", show_progress=False
    )
    return trained(made, trainer, texts)


def llama(texts: list[str]) -> library.Tokenizer:
    """LLaMA's first: a sign before the text, merges over all of it, bytes for what is unknown."""
    made = library.Tokenizer(models.BPE())
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[^▁]+|▁+"), "isolated")
    names = [*NAMES[:3], *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=names, show_progress=False)
    made = trained(made, trainer, texts)
    definition = json.loads(made.to_str())
    definition["added_tokens"] = definition["added_tokens"][:3]
    definition["model"] |= {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    definition["pre_tokenizer"] = None
    made = library.Tokenizer.from_str(json.dumps(definition))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return made


def metaspace_bpe(texts: list[str]) -> library.Tokenizer:
    made = library.Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=NAMES, show_progress=False)
    return trained(made, trainer, texts)


def byte_level(texts: list[str], **options: bool) -> library.Tokenizer:
    made = library.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=NAMES, initial_alphabet=alphabet, show_progress=False
    )
    return trained(made, trainer, texts)


def roberta(texts: list[str]) -> library.Tokenizer:
    made = byte_level(texts, add_prefix_space=True)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return made


def composed(texts: list[str]) -> library.Tokenizer:
    made = byte_level(texts)
    made.normalizer = normalizers.NFC()
    return made


def with_plain_tokens(texts: list[str]) -> library.Tokenizer:
    made = byte_level(texts)
    made.add_tokens([AddedToken("  ", normalized=False), "<tool>", "好"])
    return made


def gpt1(texts: list[str]) -> library.Tokenizer:
    made = library.Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.BPEDecoder("</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    return trained(made, trainer, texts)


def words(texts: list[str]) -> library.Tokenizer:
    """Whole words, no decoder; a special token stands among them as a word."""
    made = library.Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(vocab_size=500, special_tokens=NAMES, show_progress=False)
    return trained(made, trainer, texts)


MAKERS = [bert, unigram, llama, metaspace_bpe, roberta, composed, with_plain_tokens, gpt1, words]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def both(request, texts, tmp_path_factory) -> tuple[Pipeline, library.Tokenizer, Path]:
    """The pipeline opened here, the same in the library, and the file."""
    maker: Callable[[list[str]], library.Tokenizer] = request.param
    other = maker([*texts[:1], POEM, PROSE])
    path = tmp_path_factory.mktemp(maker.__name__) / "tokenizer.json"
    other.save(str(path))
    other.no_truncation()
    other.no_padding()
    other.encode_special_tokens = True
    mine = load_tokenizer(path)
    assert isinstance(mine, Pipeline)
    return mine, other, path


def leaks(mine: Pipeline, ids: list[int]) -> bool:
    """Whether a special token other than the unknown one is there."""
    return bool(set(ids) & set(mine.special_tokens.values()) - {mine.unknown})


@pytest.mark.tokenizers("encode", "pipeline")
def test_ids_are_the_librarys_and_never_special(both) -> None:
    mine, other, _ = both
    for text, ids in zip(TEXTS, mine.encode_batch(TEXTS), strict=True):
        theirs = other.encode(text, add_special_tokens=False).ids
        assert mine.encode(text).tolist() == ids.tolist()
        assert not leaks(mine, ids.tolist())
        if not leaks(mine, theirs):  # the library itself finds some names among the pieces
            assert ids.tolist() == theirs
            count_cases()
    assert any(len(mine.encode(text)) > 8 for text in TEXTS)  # nothing is cut off


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(text=ANY)
@pytest.mark.tokenizers("adversarial", "pipeline")
def test_any_text_has_the_librarys_ids(both, text: str) -> None:
    mine, other, _ = both
    ids = mine.encode(text).tolist()
    theirs = other.encode(text, add_special_tokens=False).ids
    assert not leaks(mine, ids)
    assert ids == theirs or leaks(mine, theirs)
    assert mine.decode(ids) == other.decode(ids, skip_special_tokens=False)
    count_cases()


@pytest.mark.tokenizers("offsets", "pipeline")
def test_offsets_are_the_librarys(both) -> None:
    mine, other, _ = both
    for text in TEXTS[:-3]:
        ids, spans = mine.offsets(text)
        theirs = other.encode(text, add_special_tokens=False)
        assert ids.tolist() == theirs.ids
        assert [tuple(span) for span in spans.tolist()] == theirs.offsets
        count_cases()


@pytest.mark.tokenizers("decode", "pipeline")
def test_text_is_the_librarys(both) -> None:
    """Whole texts, their beginnings, every single id, and special tokens among them."""
    mine, other, _ = both
    ordinary = [mine.encode(text).tolist() for text in TEXTS]
    some = ordinary[-2][:5]
    special = [*some, *mine.special_tokens.values(), *some]
    for ids in [*ordinary, special, special[5:], []]:
        assert mine.decode(ids) == other.decode(ids, skip_special_tokens=False)
        count_cases()
    for number in range(mine.vocab_size):
        alone = mine.decode([number])
        assert "\ufffd" in alone or alone == other.decode([number], skip_special_tokens=False)


@pytest.mark.tokenizers("encode", "pipeline")
def test_transformers_gives_the_same(both, tmp_path: Path) -> None:
    mine, _, _ = both
    mine.save(tmp_path)
    other = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.kind == "pipeline"
    assert again.fingerprint == mine.fingerprint
    for text in TEXTS[:-3]:
        ids = other.encode(text, add_special_tokens=False, split_special_tokens=True)
        if not leaks(mine, ids):
            assert mine.encode(text).tolist() == again.encode(text).tolist() == ids
            assert mine.decode(ids) == other.decode(ids, clean_up_tokenization_spaces=False)
            count_cases()


def test_lossless_is_what_brings_every_text_back(both) -> None:
    mine, _, path = both
    assert mine.lossless == path.parent.name.startswith("with_plain_tokens")
    if mine.lossless:
        for text in TEXTS:
            ids = mine.encode(text)
            assert mine.decode(ids) == text
            assert mine.byte_count(ids) == len(text.encode())


@pytest.mark.parametrize(
    "plain", ["é", AddedToken("xy", lstrip=True), AddedToken("x", rstrip=True)]
)
def test_a_plain_token_that_loses_text_is_not_lossless(texts, tmp_path: Path, plain) -> None:
    """`é` is the letter for byte 233 in the library's decoder; a stripping token eats spaces."""
    made = byte_level(texts[1:3])
    made.add_tokens([plain])
    mine = opened(made, tmp_path)
    text = " é  xy x  "
    assert mine.decode(mine.encode(text)) == made.decode(made.encode(text).ids) != text
    assert not mine.lossless


def test_normalizing_again_changes_no_id(both) -> None:
    mine, _, _ = both
    for text in TEXTS[:-3]:
        assert np.array_equal(mine.encode(mine.normalize(text)), mine.encode(text)), text


def test_a_pipeline_crosses_processes(both) -> None:
    mine, _, _ = both
    mine.normalize("a")
    mine.encode("a")
    again = pickle.loads(pickle.dumps(mine))
    for text in TEXTS[:6]:
        assert again.encode(text).tolist() == mine.encode(text).tolist()
        assert again.decode(mine.encode(text)) == mine.decode(mine.encode(text))


def opened(made: library.Tokenizer, folder: Path, **parts: object) -> Pipeline:
    """The library's tokenizer, some parts of its definition changed, opened here."""
    definition = json.loads(made.to_str())
    for name, change in parts.items():
        definition[name] = change(definition[name]) if callable(change) else change
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(definition), encoding="utf-8")
    found = load_tokenizer(path)
    assert isinstance(found, Pipeline)
    return found


def test_the_configuration_beside_says_what_ends_a_text(texts: list[str], tmp_path: Path) -> None:
    made = roberta(texts)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    mine = opened(made, tmp_path)
    assert mine.end_of_text == made.token_to_id("</s>")
    assert mine.special_id("mask") == made.token_to_id("<mask>")
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(TokenizerError, match="no token that ends a text"):
        _ = opened(made, tmp_path).end_of_text


def test_a_name_among_the_pieces_is_text(texts: list[str], tmp_path: Path) -> None:
    """The library takes `</s>` in text for T5's end; here it is text, or unknown."""
    made = words(texts)
    made.encode_special_tokens = True
    mine = opened(made, tmp_path)
    assert made.encode("a </s> b").ids[1] == mine.special_tokens["</s>"]
    assert mine.encode("a </s> b")[1] == mine.unknown


@pytest.mark.parametrize("maker", [words, unigram])
def test_the_models_own_unknown_token_is_special(texts, tmp_path: Path, maker) -> None:
    """Files need not list it among the added tokens."""
    mine = opened(maker(texts[1:3]), tmp_path, added_tokens=[])
    assert mine.special_tokens == {"<unk>": 0}
    assert mine.unknown == 0
    assert mine.byte_lengths[0] == 0
    assert 0 in mine.encode("\U0010fffd")


DAMAGE = {
    "no model": ({"model": None}, "tokenizers library reads"),
    "an unknown model": ({"model": {"type": "Magic", "vocab": {}}}, "tokenizers library reads"),
    "an unknown normaliser": ({"normalizer": {"type": "Magic"}}, "tokenizers library reads"),
    "an unknown cut": ({"pre_tokenizer": {"type": "Magic"}}, "tokenizers library reads"),
    "an unknown decoder": ({"decoder": {"type": "Magic"}}, "tokenizers library reads"),
    "a decoder not known here": (
        {"decoder": {"type": "CTC", "pad_token": "", "word_delimiter_token": "|", "cleanup": True}},
        "by a decoder 'CTC', which Hornbook does not",
    ),
    "steps not known here": (
        {"decoder": {"type": "Sequence", "decoders": [
            {"type": "Strip", "content": "x", "start": 1, "stop": 1}, {"type": "Fuse"}]}},
        "by the steps Strip, Fuse, which Hornbook does not",
    ),
    "chance": ({"model": lambda model: {**model, "dropout": 0.1}}, "at random .dropout 0.1"),
    "a merge of strangers": (
        {"model": lambda model: {**model, "merges": [["Ж", "q"], *model["merges"]]}},
        "tokenizers library reads .*out of vocabulary",
    ),
    "an id twice": (
        {"model": lambda model: {**model, "vocab": {**model["vocab"], "zqz": 9}}},
        "gives two of them one id",
    ),
    "an id beyond memory": (
        {"model": lambda model: {**model, "vocab": {**model["vocab"], "zqz": 4_000_000_000}}},
        "an id beyond 10 million",
    ),
    "no tokens": ({"model": lambda model: {**model, "vocab": {}, "merges": []},
                   "added_tokens": []}, "has no tokens"),
}  # fmt: skip


@pytest.mark.tokenizers("bad input", "pipeline")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_what_the_library_refuses_is_named(texts: list[str], tmp_path: Path, damage: str) -> None:
    parts, said = DAMAGE[damage]
    with pytest.raises(TokenizerError, match=said) as error:
        opened(metaspace_bpe(texts[1:3]), tmp_path, **parts)
    assert "tokenizer.json" in str(error.value)


@pytest.mark.tokenizers("bad input", "pipeline")
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_a_torn_file_is_named(both, tmp_path: Path, share: float) -> None:
    data = both[2].read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is not whole JSON"):
        load_tokenizer(tmp_path)


def test_a_lone_surrogate_is_a_clear_error(both) -> None:
    for use in (both[0].encode, both[0].offsets, lambda text: both[0].encode_batch([text])):
        with pytest.raises(TokenizerError, match="lone surrogate"):
            use("a\ud83d")


def word_level(unknown: str) -> library.Tokenizer:
    made = library.Tokenizer(models.WordLevel({"a": 0, "b": 1, unknown: 2}, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def test_the_models_unknown_token_may_have_any_name(tmp_path: Path) -> None:
    mine = opened(word_level("<|what|>"), tmp_path)
    assert mine.special_tokens == {"<|what|>": 2}
    assert mine.unknown == mine.special_id("unknown") == 2
    assert mine.encode("a zzz <|what|>").tolist() == [0, 2, 2]


def signed_unigram(*pieces: tuple[str, float]) -> library.Tokenizer:
    made = library.Tokenizer(models.Unigram([("<unk>", 0.0), *pieces], unk_id=0))
    made.normalizer = normalizers.Sequence(
        [normalizers.Replace(" ", "▁"), normalizers.Prepend("▁")]
    )
    made.decoder = decoders.Metaspace()
    return made


def test_the_name_of_unknown_text_is_text(tmp_path: Path) -> None:
    letters = [(letter, -3.0) for letter in "▁a<>unk"]
    mine = opened(signed_unigram(*letters), tmp_path)
    ids = mine.encode("a<unk>a")
    assert mine.unknown not in ids
    assert mine.decode(ids) == "a<unk>a"
    assert mine.encode("a☃").tolist() == [1, 2, mine.unknown]


def test_the_name_of_unknown_text_is_cut_into_pieces(tmp_path: Path) -> None:
    """WordPiece too finds a word that is its name whole."""
    vocabulary = {"[UNK]": 0, "[": 1, "##UNK": 2, "##]": 3}
    made = library.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.WordPiece(cleanup=False)
    mine = opened(made, tmp_path)
    assert mine.encode("[UNK] z").tolist() == [1, 2, 3, 0]


def test_bytes_are_counted_as_decoded(both, tmp_path: Path) -> None:
    """However many signs the first piece has."""
    signs = signed_unigram(("▁", -2.0), ("▁▁", -1.0), ("▁▁▁", -0.5), ("a", -3.0))
    for mine in (both[0], opened(signs, tmp_path)):
        for text in [*TEXTS, "a", "  a", "   a  a", " "]:
            ids = mine.encode(text)
            shown = mine.decode_bytes(ids)
            specials = [name for name in map(int, ids) if not mine.byte_lengths[name]]
            if not specials:
                assert mine.byte_count(ids) == len(shown), text
        count_cases(len(TEXTS))


def test_the_fingerprint_is_of_what_decides_ids(tmp_path: Path) -> None:
    made = word_level("<unk>")
    plain = opened(made, tmp_path).fingerprint
    made.enable_truncation(8)
    made.enable_padding(length=8)
    made.decoder = decoders.WordPiece(cleanup=False)
    assert opened(made, tmp_path).fingerprint == plain
    made.normalizer = normalizers.Lowercase()
    assert opened(made, tmp_path).fingerprint != plain


def test_a_text_shown_id_by_id_is_the_text(both) -> None:
    mine, *_ = both
    for text in TEXTS:
        ids = mine.encode(text).tolist()
        for cut in {0, min(1, len(ids)), len(ids) // 2}:
            added = b"".join(mine.stream_bytes(ids[cut:], ids[:cut]))
            assert mine.decode_bytes(ids[:cut]) + added == mine.decode_bytes(ids), text
    count_cases(len(TEXTS))
