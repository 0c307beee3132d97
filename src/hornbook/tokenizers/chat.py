"""From a conversation to ids, with control tokens that text cannot forge.

The layout is one line: `<|user|>question<|end|><|assistant|>answer<|end|>`. It is built from ids:
each content is encoded as plain text and the control tokens are put between, so a user who types
`<|end|>` gets five ordinary tokens. `CHAT_TEMPLATE` is the same layout for programs that read
Hugging Face folders; those render to text first, so what is safe here rests on them there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.folder import ROLES
from hornbook.tokenizers.tokenizer import Tokenizer

END = "<|end|>"
ANSWERING_ROLE = "assistant"


def render(
    messages: Sequence[Mapping[str, str]],
    tokenizer: Tokenizer,
    add_generation_prompt: bool = False,
) -> tuple[Int64[ndarray, " tokens"], Bool[ndarray, " tokens"]]:
    """The ids of a conversation, and which of them are learned.

    messages: each with "role" ("user" or "assistant") and "content".
    add_generation_prompt: end with `<|assistant|>`, so that the model speaks next.
    Learned is what the assistant says and the `<|end|>` after it: never a question, nor the token
    that opens a turn.

    Raises TokenizerError for an unknown role, a message without content, or a tokenizer without
    these control tokens.
    """
    _require_controls(tokenizer)
    ids: list[Int64[ndarray, " tokens"]] = []
    learned: list[Bool[ndarray, " tokens"]] = []
    for number, message in enumerate(messages):
        role, content = _role_and_content(number, message)
        turn = [
            np.array([tokenizer.special_tokens[ROLES[role]]]),
            tokenizer.encode(content),
            np.array([tokenizer.special_tokens[END]]),
        ]
        ids += turn
        answer = np.full(sum(map(len, turn)), role == ANSWERING_ROLE)
        answer[0] = False
        learned.append(answer)
    if add_generation_prompt:
        ids.append(np.array([tokenizer.special_tokens[ROLES[ANSWERING_ROLE]]]))
        learned.append(np.array([False]))
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate([empty, *ids]), np.concatenate([empty.astype(bool), *learned])


def missing_controls(tokenizer: Tokenizer) -> list[str]:
    """The control tokens of a conversation that a tokenizer does not have."""
    return [name for name in (*ROLES.values(), END) if name not in tokenizer.special_tokens]


def _require_controls(tokenizer: Tokenizer) -> None:
    missing = missing_controls(tokenizer)
    if missing:
        raise TokenizerError(
            f"This tokenizer has no {', '.join(missing)}, so it cannot lay out a conversation: use "
            "one trained here, which reserves them."
        )


def _role_and_content(number: int, message: Mapping[str, str]) -> tuple[str, str]:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise TokenizerError(
            f"Message {number} has the role {role!r}; a conversation has the roles "
            f"{' and '.join(ROLES)}."
        )
    if not isinstance(content, str):
        raise TokenizerError(f"Message {number} ({role}) has no text as its content.")
    return role, content
