"""Llama 2 (Touvron et al. 2023, "Llama 2: Open Foundation and Fine-Tuned Chat Models").

LLaMA with a context of 4096 and eps 1e-5; the 34B and 70B models share keys and values among
groups of eight query heads, and the 70B model alone has a wider feed-forward.
"""

from dataclasses import replace

from hornbook.models.exchange import Size
from hornbook.models.families import llama
from hornbook.models.spec import Spec

ANCESTOR = "llama"


def spec(
    *,
    vocab_size: int = 32000,
    max_length: int = 4096,
    d_model: int = 4096,
    n_layers: int = 32,
    n_heads: int = 0,
    n_kv_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    eps: float = 1e-5,
) -> Spec:
    """Llama 2 of these dimensions; 0 takes the family's rule, n_kv_heads 0 shares none."""
    same = llama.spec(
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        d_ff=d_ff,
        eps=eps,
    )
    return replace(same, family="llama2")


PAPER = "Touvron et al. 2023, table 1; the released params.json"

SIZES = {
    "7b": Size({"n_layers": 32, "d_model": 4096}, 6_738_415_616, "7B", source=PAPER),
    "13b": Size({"n_layers": 40, "d_model": 5120}, 13_015_864_320, "13B", source=PAPER),
    "34b": Size(
        {"n_layers": 48, "d_model": 8192, "n_kv_heads": 8}, 33_743_970_304, "34B", source=PAPER
    ),
    "70b": Size(
        {
            "n_layers": 80,
            "d_model": 8192,
            "n_kv_heads": 8,
            "d_ff": llama.inner_width(8192, multiplier=1.3, multiple_of=4096),
        },
        68_976_648_192,
        "70B",
        source=PAPER,
    ),
}

DIFFERENCES = (
    "Ancestor: LLaMA (Touvron et al. 2023).",
    "The context grows from 2048 to 4096; eps is 1e-5 at every size.",
    "34B and 70B: groups of 8 query heads share one key-value head.",
    "70B alone: the feed-forward is 1.3 times as wide, rounded up to a multiple of 4096.",
)

HUGGING_FACE = llama.HUGGING_FACE
