"""The handle: calls, texts, ids, chats, bits per byte."""

import math

import numpy as np
import pytest
import torch

import hornbook
from hornbook.errors import InputError, StorageError
from hornbook.handle.prompts import windows
from hornbook.tokenizers.chat import render

TEXTS = ["The cat sat on the mat. 猫坐在垫子上。🙂 Déjà vu, said the cat.\n" * 40]


@pytest.fixture(scope="module")
def tokenizer():
    return hornbook.train_tokenizer("byte-bpe", TEXTS, vocab_size=300)


@pytest.fixture(scope="module")
def model(tokenizer):
    model = hornbook.build(n_layers=3, d_model=48, n_heads=4, max_length=32, tokenizer=tokenizer)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(float("norm.weight" in name), 0.2)
    fresh = model.state_dict()
    model.load_state_dict({name: tensor.clone() for name, tensor in fresh.items()})
    return model


def test_a_call_gives_logits_and_the_states_asked_for(model):
    tokens = torch.randint(0, 300, (2, 9))
    out = model(tokens)
    assert out.logits.shape == (2, 9, model.spec.vocab_size)
    assert out.hidden_states == ()
    states = model(tokens, hidden_states=True).hidden_states
    assert len(states) == 1 + model.spec.n_layers
    assert torch.equal(model.network.logits(states[-1]), out.logits)


def test_weights_have_the_networks_names_and_no_padding(model):
    weights = model.state_dict()
    assert weights["embedding.tokens.weight"].shape == (model.spec.vocab_size, 48)
    assert set(weights) == {name for name, _ in model.named_parameters()}
    weights["final_norm.bias"].add_(1)
    assert torch.equal(model.network.final_norm.bias, weights["final_norm.bias"])
    weights["final_norm.bias"].sub_(1)
    with pytest.raises(StorageError, match=r"final_norm\.bias"):
        model.load_state_dict({name: t for name, t in weights.items() if name != "final_norm.bias"})


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (torch.zeros(5, dtype=torch.int64), "[batch, length]"),
        (torch.zeros(1, 5), "[batch, length]"),
        (torch.zeros(1, 0, dtype=torch.int64), "[batch, length]"),
        (torch.tensor([[0, 9999]]), "9999"),
        (torch.tensor([[0, -1]]), "-1"),
        (
            torch.zeros(1, 33, dtype=torch.int64),
            "33 tokens are more than this model's context of 32",
        ),
    ],
)
def test_tokens_that_cannot_be_read_are_refused(model, tokens, said):
    with pytest.raises(InputError) as caught:
        model(tokens)
    assert said in str(caught.value)


def test_a_cache_through_the_handle(model):
    tokens = torch.randint(0, 300, (2, 9))
    cache = model.network.new_cache(2, 9)
    with torch.no_grad():
        parts = [model(part, cache=cache).logits for part in tokens.split([4, 1, 4], dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), model(tokens).logits)


def test_ids_in_ids_out_of_the_same_kind(model):
    lists = model.generate([1, 2, 3], max_new_tokens=7, stop=())
    assert isinstance(lists, list)
    assert len(lists) == 7
    assert model.generate([[1, 2, 3]], max_new_tokens=7, stop=()) == [lists]
    array = model.generate(np.array([1, 2, 3]), max_new_tokens=7, stop=())
    assert isinstance(array, np.ndarray)
    assert array.tolist() == lists
    tensor = model.generate(torch.tensor([[1, 2, 3], [4, 5, 6]]), max_new_tokens=7, stop=())
    assert tensor.shape == (2, 7)
    assert tensor[0].tolist() == lists


def test_text_in_text_out_and_only_the_continuation(model, tokenizer):
    ids = tokenizer.encode("The cat").tolist()
    made = model.generate(ids, max_new_tokens=12, stop=())
    text = model.generate("The cat", max_new_tokens=12, stop=())
    assert text == tokenizer.decode(made)
    assert "".join(model.stream("The cat", max_new_tokens=12, stop=())) == text
    assert model.generate(["The cat", "on"], max_new_tokens=12, stop=())[0] == text


def test_stop_tokens_and_stop_texts_are_not_shown(model, tokenizer):
    ids = model.generate(tokenizer.encode("The cat").tolist(), max_new_tokens=20, stop=())
    text = model.generate("The cat", max_new_tokens=20, stop=())
    last = ids[10]
    expected = tokenizer.decode(ids[: ids.index(last)])
    assert model.generate("The cat", max_new_tokens=20, stop=last) == expected
    assert model.generate(["The cat"], max_new_tokens=20, stop=[last]) == [expected]
    wanted = text[3:5]
    assert model.generate("The cat", max_new_tokens=20, stop=wanted) == text[: text.index(wanted)]
    assert model.generate(["The cat"], max_new_tokens=20, stop=wanted) == [
        text[: text.index(wanted)]
    ]


def test_an_end_of_text_stops_by_default(model, tokenizer):
    ids = model.generate([1], max_new_tokens=30, temperature=1.5, seed=1)
    ends = {tokenizer.end_of_text, tokenizer.special_tokens["<|end|>"]}
    assert model._stops(None)[0] == ends
    assert not ends & set(ids[:-1])


def test_an_empty_text_begins_like_a_document(model, tokenizer):
    made = model.generate([tokenizer.end_of_text], max_new_tokens=8, stop=())
    assert model.generate("", max_new_tokens=8, stop=()) == tokenizer.decode(made)


def test_sampling_is_seeded(model):
    settings = {"max_new_tokens": 20, "temperature": 1.0, "top_k": 50, "top_p": 0.9}
    assert model.generate("A", seed=1, **settings) == model.generate("A", seed=1, **settings)
    assert model.generate("A", seed=1, **settings) != model.generate("A", seed=2, **settings)


def test_chat_continues_the_rendered_conversation(model, tokenizer):
    messages = [{"role": "user", "content": "Where is the cat?"}]
    prompt, _ = render(messages, tokenizer, add_generation_prompt=True)
    ids = model.generate(prompt, max_new_tokens=15)
    ends = {tokenizer.end_of_text, tokenizer.special_tokens["<|end|>"]}
    stopped = int(ids[-1]) in ends
    expected = tokenizer.decode(ids[:-1] if stopped else ids)
    reply = model.reply(messages, max_new_tokens=15)
    assert (reply.text, reply.stopped) == (expected, stopped)
    assert "".join(model.chat(messages, max_new_tokens=15)) == expected


def test_a_reply_that_ends_itself_says_so(tokenizer):
    model = hornbook.build(n_layers=1, d_model=16, max_length=64, tokenizer=tokenizer)
    end = tokenizer.special_tokens["<|end|>"]
    with torch.no_grad():
        model.network.final_norm.weight.zero_()
        model.network.embedding.tokens.weight[end] *= 100
        model.network.final_norm.bias.copy_(model.network.embedding.tokens.weight[end])
    reply = model.reply([{"role": "user", "content": "Hm?"}])
    assert (reply.text, reply.stopped) == ("", True)


@pytest.mark.parametrize(("tokens", "length"), [(1, 8), (8, 8), (9, 8), (50, 8), (7, 1), (33, 32)])
def test_windows_score_every_token_once(tokens, length):
    scored = []
    for start, end, first in windows(tokens, length):
        assert 0 <= start <= first < end <= tokens
        assert end - start <= length
        assert first == 0 or first - start >= length // 2
        scored += range(first, end)
    assert scored == list(range(tokens))


@pytest.mark.parametrize("text", ["The cat.", "The cat sat on the mat. 猫坐在垫子上。🙂" * 5])
def test_bits_per_byte_by_hand(model, tokenizer, text):
    whole = [tokenizer.end_of_text, *tokenizer.encode(text).tolist()]
    nats = 0.0
    for start, end, first in windows(len(whole) - 1, 32):
        with torch.no_grad():
            logits = model(torch.tensor([whole[start:end]])).logits[0].log_softmax(-1)
        nats -= sum(float(logits[i - start, whole[i + 1]]) for i in range(first, end))
    expected = nats / math.log(2) / len(text.encode())
    assert model.bits_per_byte(text) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_needs_log2_v_bits_a_token(tokenizer):
    model = hornbook.build(n_layers=1, d_model=16, max_length=16, tokenizer=tokenizer)
    with torch.no_grad():
        model.network.final_norm.weight.zero_()
    text = TEXTS[0]
    bits = len(tokenizer.encode(text)) * math.log2(tokenizer.vocab_size)
    assert model.bits_per_byte(text) == pytest.approx(bits / len(text.encode()), rel=1e-5)


def test_what_needs_a_tokenizer_says_so():
    model = hornbook.build(n_layers=1, d_model=16, vocab_size=50, max_length=16)
    assert model.tokenizer is None
    assert len(model.generate([1], max_new_tokens=3)) == 3
    for door in (model.generate, model.bits_per_byte):
        with pytest.raises(InputError, match="no tokenizer"):
            door("text")
    with pytest.raises(InputError, match="no tokenizer"):
        model.reply([{"role": "user", "content": "Hm?"}])


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer):
    with pytest.raises(InputError, match="do not belong together"):
        hornbook.build(n_layers=1, d_model=16, vocab_size=50, max_length=16, tokenizer=tokenizer)


def test_an_empty_text_has_no_bits(model):
    with pytest.raises(InputError, match="empty"):
        model.bits_per_byte("")
