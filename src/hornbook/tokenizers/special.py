"""Special tokens: ids that steer a model and stand for no text, in the sets that papers use.

A set is the names that a tokenizer reserves when it is trained; a part is what a name does, so that
an objective can ask for "mask" and need not know how it is spelt. Names live in a table of their
own: no text ever encodes to one unless that is asked for.

Sources: Radford et al. 2018 (start, delimiter, extract), section 3.3; Devlin et al. 2019 (BERT);
Raffel et al. 2020 (T5; sentinels count down from the last id); Du et al. 2022 and Zeng et al. 2023
(GLM's three masks, <sop> and <eop>); Touvron et al. 2023 (LLaMA).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from hornbook.errors import TokenizerError

END_OF_TEXT = "<|endoftext|>"

Where = Literal["end", "start", "both"]
"""Where each document of a token store has a special token."""

CHAT = (END_OF_TEXT, "<|user|>", "<|assistant|>", "<|end|>")
SENTINELS = tuple(f"<extra_id_{number}>" for number in reversed(range(100)))
"""T5's names of what was cut out, in the order of their ids: <extra_id_0> has the last one."""

SPECIAL_SETS: Mapping[str, tuple[str, ...]] = {
    "chat": CHAT,
    "gpt2": (END_OF_TEXT,),
    "gpt1": (END_OF_TEXT, "_start_", "_delimiter_", "_classify_"),
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "llama": ("<unk>", "<s>", "</s>"),
    "t5": ("<pad>", "</s>", "<unk>", *SENTINELS),
    "glm": (END_OF_TEXT, "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", *CHAT[1:]),
}

PARTS: Mapping[str, tuple[str, ...]] = {
    "end_of_text": (END_OF_TEXT, "<eod>", "</s>", "[SEP]"),
    "begin_of_text": ("<s>", "<|begin_of_text|>", "[CLS]"),
    "unknown": ("<unk>", "[UNK]"),
    "padding": ("<pad>", "[PAD]"),
    "mask": ("[MASK]", "<mask>"),
    "class": ("[CLS]", "<cls>"),
    "separator": ("[SEP]", "<sep>", "</s>"),
    "start": ("_start_",),
    "delimiter": ("_delimiter_",),
    "extract": ("_classify_",),
    "generation_mask": ("[gMASK]",),
    "sentence_mask": ("[sMASK]",),
    "start_of_piece": ("<sop>",),
    "end_of_piece": ("<eop>",),
    "user": ("<|user|>",),
    "assistant": ("<|assistant|>",),
    "end_of_turn": ("<|end|>",),
}
"""What a special token does: the names that do it, first choice first."""


def part_name(part: str, names: Sequence[str] | Mapping[str, int]) -> str:
    """Which of `names` plays a part; empty where none does."""
    return next((name for name in PARTS[part] if name in names), "")


def with_unknown(names: Sequence[str], unknown: str = "<unk>") -> tuple[str, ...]:
    """The names, and one for unknown text where none of them means that."""
    return tuple(names) if part_name("unknown", names) else (*names, unknown)


def require_names(names: Iterable[str]) -> None:
    """Raise TokenizerError for a name that comes twice, or is no Unicode text."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TokenizerError(
                f"The special token {name!r} is named twice: give every special token its own name."
            )
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise TokenizerError(
                f"The special token {name!r} holds a lone surrogate, which is not Unicode text: "
                "give it another name."
            )
        seen.add(name)
