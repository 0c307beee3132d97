"""The folder a tokenizer is saved as, in the layout that transformers opens.

tokenizer.json            the whole tokenizer (format of the `tokenizers` library)
tokenizer_config.json     which class opens it, which special token plays which part
special_tokens_map.json   the same parts, for older programs
chat_template.jinja       how a conversation is laid out (where the control tokens exist)
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hornbook.runs.atomic import write_text
from hornbook.tokenizers.special import part_name

ROLES = {"user": "<|user|>", "assistant": "<|assistant|>"}
"""Who speaks, and the control token that opens their turn."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
    {%- if message['role'] not in ['user', 'assistant'] -%}
        {{- raise_exception('A conversation has the roles user and assistant.') -}}
    {%- endif -%}
    {{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|assistant|>' -}}
{%- endif -%}
"""

TRANSFORMERS_PARTS = {
    "bos_token": "begin_of_text",
    "eos_token": "end_of_text",
    "unk_token": "unknown",
    "pad_token": "padding",
    "cls_token": "class",
    "sep_token": "separator",
    "mask_token": "mask",
}
"""transformers' words for parts of `special.PARTS`."""

OWN_CLASS = "hornbook_class"
"""The key of tokenizer_config.json that names a plug-in's class, "module:Class"."""
OWN_KIND = "hornbook_kind"
"""The key of tokenizer_config.json that names a kind of this package, a name of TOKENIZERS."""
OWN_SEPARATOR = "hornbook_separator"
"""The key of tokenizer_config.json that says where texts of the model beside it are separated."""


def write_folder(
    directory: Path,
    definition: dict[str, Any],
    special_tokens: Sequence[str],
    end_of_text_name: str,
    own: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the four files; the same tokenizer always gives the same bytes.

    own: what the definition does not tell: who opens the folder again (OWN_KIND or OWN_CLASS, with
    its name), and OWN_SEPARATOR.
    """
    parts = _parts(special_tokens, end_of_text_name)
    others = [name for name in special_tokens if name not in parts.values()]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **parts,
        "additional_special_tokens": others,
        **own,
    }
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(directory / "tokenizer.json", definition)
    _write_json(directory / "tokenizer_config.json", config)
    _write_json(
        directory / "special_tokens_map.json", {**parts, "additional_special_tokens": others}
    )
    if set(ROLES.values()) <= set(special_tokens):
        write_text(directory / "chat_template.jinja", CHAT_TEMPLATE)


def _parts(special_tokens: Sequence[str], end_of_text_name: str) -> dict[str, str]:
    """Who plays what, in the words of transformers; what ends a text begins one if nobody else."""
    found = {key: part_name(part, special_tokens) for key, part in TRANSFORMERS_PARTS.items()}
    end = end_of_text_name if end_of_text_name in special_tokens else ""
    found |= {"bos_token": found["bos_token"] or end, "eos_token": end}
    if not found["cls_token"]:
        found["sep_token"] = ""  # else the end of a text would stand for it
    return {key: name for key, name in found.items() if name}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")
