"""How single tensors are laid out in other people's files, and back: rows of (into, out).

`into` makes our tensor of theirs; `out` makes theirs of ours, and knows the width of a head.
"""

from collections.abc import Callable

from torch import Tensor

Form = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, int], Tensor]]

FORMS: dict[str, Form] = {
    # [out, in], as here
    "same": (lambda t: t, lambda t, d_head: t),
    # [in, out]: Conv1D of GPT-1 and GPT-2
    "transposed": (lambda t: t.T, lambda t, d_head: t.T),
    # [in, heads, d_head]: XLNet's maps to heads
    "to_heads": (
        lambda t: t.flatten(1).T,
        lambda t, d_head: t.T.reshape(t.shape[1], -1, d_head),
    ),
    # [out, heads, d_head]: XLNet's map from heads
    "from_heads": (
        lambda t: t.flatten(1),
        lambda t, d_head: t.reshape(len(t), -1, d_head),
    ),
    # [1, 1, d_model]: XLNet's first query
    "one_row": (lambda t: t[0], lambda t, d_head: t[None]),
    # [rows, d_model] of one expert; ours have all experts in front
    "expert": (lambda t: t[None], lambda t, d_head: t[0]),
}
