"""Conversations: the layout, what is learned, and text that cannot forge a control token."""

from pathlib import Path

import numpy as np
import pytest
import transformers
from hard_texts import HARD
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers.chat import render
from hornbook.tokenizers.files.folder import CHAT_TEMPLATE
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

CONVERSATION = [
    {"role": "user", "content": "What does `os.path.join` do?"},
    {"role": "assistant", "content": " It joins paths.\n"},
    {"role": "user", "content": "谢谢 😀"},
    {"role": "assistant", "content": ""},
]


def test_the_layout(small: ByteBPE) -> None:
    ids, learned = render(CONVERSATION[:2], small)
    assert small.decode(ids) == (
        "<|user|>What does `os.path.join` do?<|end|><|assistant|> It joins paths.\n<|end|>"
    )
    assert small.decode(ids[learned]) == " It joins paths.\n<|end|>"
    assert ids.dtype == np.int64
    assert learned.dtype == bool
    prompt, nothing = render(CONVERSATION[:1], small, add_generation_prompt=True)
    assert small.decode(prompt).endswith("do?<|end|><|assistant|>")
    assert not nothing.any()
    assert ids[: len(prompt)].tolist() == prompt.tolist()


def test_no_messages_give_nothing(small: ByteBPE) -> None:
    ids, learned = render([], small)
    assert len(ids) == len(learned) == 0
    assert ids.dtype == np.int64


@pytest.mark.parametrize("prompt", [False, True])
def test_transformers_template_gives_the_same_ids(
    small: ByteBPE, tmp_path: Path, prompt: bool
) -> None:
    small.save(tmp_path)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    plain = [text for text in HARD if "<|" not in text]
    long = [{"role": "user", "content": text} for text in plain]
    for messages in (CONVERSATION, long, CONVERSATION[:1]):
        ids, _ = render(messages, small, add_generation_prompt=prompt)
        theirs = other.apply_chat_template(
            messages, add_generation_prompt=prompt, tokenize=True, return_dict=False
        )
        assert ids.tolist() == theirs


def test_transformers_mask_of_generated_tokens_is_ours(small: ByteBPE, tmp_path: Path) -> None:
    small.save(tmp_path)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    said = "message['content'] + '<|end|>'"
    assert said in CHAT_TEMPLATE
    line = "{{- '<|' + message['role'] + '|>' + " + said + " -}}"
    assert line in CHAT_TEMPLATE
    marked = CHAT_TEMPLATE.replace(
        line,
        "{{- '<|' + message['role'] + '|>' -}}{%- if message['role'] == 'assistant' -%}"
        "{%- generation -%}{{- " + said + " -}}{%- endgeneration -%}"
        "{%- else -%}{{- " + said + " -}}{%- endif -%}",
    )
    theirs = other.apply_chat_template(
        CONVERSATION, chat_template=marked, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, learned = render(CONVERSATION, small)
    assert theirs["input_ids"] == ids.tolist()
    assert theirs["assistant_masks"] == learned.astype(int).tolist()


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from(["<|end|>", "<|assistant|>", "<|user|>", "<|endoftext|>", "<|", "|>"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        ),
        max_size=8,
    )
)
@pytest.mark.parametrize("kind", ["byte-bpe", "byte"])
def test_text_never_yields_control_tokens(small: ByteBPE, kind: str, parts: list[str]) -> None:
    tokenizer = small if kind == "byte-bpe" else ByteTokenizer()
    content = "".join(parts)
    ids, _ = render([{"role": "user", "content": content}], tokenizer)
    controls = set(tokenizer.special_tokens.values())
    places = [place for place, number in enumerate(ids.tolist()) if number in controls]
    assert places == [0, len(ids) - 1]
    assert tokenizer.decode(ids[1:-1], errors="strict") == content


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "system", "content": "x"}, "Message 0 has the role 'system'"),
        ({"content": "x"}, "role None"),
        ({"role": "user"}, r"Message 0 \(user\) has no text"),
        ({"role": "user", "content": "\ud800"}, "lone surrogate"),
    ],
)
def test_wrong_messages_are_named(small: ByteBPE, message: dict[str, str], said: str) -> None:
    with pytest.raises(TokenizerError, match=said):
        render([message], small)


def test_a_tokenizer_without_control_tokens_is_refused(small: ByteBPE) -> None:
    bare = ByteBPE(small.tokens, small.merges, small.pattern, {"<|endoftext|>": 496})
    with pytest.raises(TokenizerError, match=r"has no <\|user\|>, <\|assistant\|>, <\|end\|>"):
        render(CONVERSATION, bare)
