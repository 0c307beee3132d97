"""How sublayers, norms and the residual stream are arranged in one block."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts import make
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.spec import Spec

Stream = Float[Tensor, "batch length d_model"]


class _Sublayers(nn.Module):
    """Attention, cross-attention if any, feed-forward; each with a norm of its own."""

    def __init__(self, choice: choices.PreNormBlock | choices.PostNormBlock, whole: Spec) -> None:
        super().__init__()
        self.attention_norm = make(choice.norm, whole.d_model)
        self.attention = make(choice.attention, whole)
        self.cross_norm: Any = make(choice.norm, whole.d_model) if choice.cross else None
        self.cross: Any = make(choice.cross, whole) if choice.cross else None
        self.feedforward_norm = make(choice.norm, whole.d_model)
        self.feedforward = make(choice.feedforward, whole)
        self.dropout = choice.dropout


class PreNormBlock(_Sublayers):
    """x <- x + dropout(sublayer(norm(x))), for attention, cross-attention if any, feed-forward.

    The stream x is never normalised itself. Source: Radford et al. 2019, section 2.3; Xiong et al.
    2020 for why it trains without warm-up.
    """

    def forward(self, x: Stream, context: Context, cache: LayerCache | None) -> Stream:
        """One step of the stream."""
        y = self.attention(self.attention_norm(x), context, cache)
        x = x + drop(y, self.dropout, self.training)
        if self.cross is not None:
            y = self.cross(self.cross_norm(x), context, cache)
            x = x + drop(y, self.dropout, self.training)
        y = self.feedforward(self.feedforward_norm(x), context)
        return x + drop(y, self.dropout, self.training)


class PostNormBlock(_Sublayers):
    """x <- norm(x + dropout(sublayer(x))), for attention, cross-attention if any, feed-forward.

    Source: Vaswani et al. 2017, section 3.1; kept by GPT-1, BERT, BART and XLNet.
    """

    def forward(self, x: Stream, context: Context, cache: LayerCache | None) -> Stream:
        """One step of the stream."""
        x = self.add(self.attention_norm, x, self.attention(x, context, cache))
        if self.cross is not None:
            x = self.add(self.cross_norm, x, self.cross(x, context, cache))
        return self.finish(x, context)

    def add(self, norm: nn.Module, x: Stream, y: Stream) -> Stream:
        """norm(x + dropout(y))."""
        normed: Tensor = norm(x + drop(y, self.dropout, self.training))
        return normed

    def finish(self, x: Stream, context: Context) -> Stream:
        """The feed-forward sublayer."""
        return self.add(self.feedforward_norm, x, self.feedforward(x, context))


class ParallelBlock(nn.Module):
    """n = norm(x); x <- x + dropout(attention(n)) + dropout(feedforward(n)).

    Source: Wang and Komatsuzaki 2021 (GPT-J); Chowdhery et al. 2022, "PaLM", section 2.
    """

    def __init__(self, choice: choices.ParallelBlock, whole: Spec) -> None:
        super().__init__()
        self.norm = make(choice.norm, whole.d_model)
        self.attention = make(choice.attention, whole)
        self.feedforward = make(choice.feedforward, whole)
        self.dropout = choice.dropout

    def forward(self, x: Stream, context: Context, cache: LayerCache | None) -> Stream:
        """One step of the stream."""
        n = self.norm(x)
        y = drop(self.attention(n, context, cache), self.dropout, self.training)
        z = drop(self.feedforward(n, context), self.dropout, self.training)
        return x + y + z


class NormedResidualBlock(nn.Module):
    """u = norm(x); x <- scale u + sublayer(u), for attention and feed-forward.

    DeepNorm's post-norm block (Wang et al. 2022, equation 1) with its norms moved to the start of
    the next sublayer: the residual is taken from the normed input. scale = sqrt(2 n_layers) in
    ChatGLM-6B's released code; DeepNorm itself has (2 n_layers)^(1/4).
    """

    def __init__(self, choice: choices.NormedResidualBlock, whole: Spec) -> None:
        super().__init__()
        self.attention_norm = make(choice.norm, whole.d_model)
        self.attention = make(choice.attention, whole)
        self.feedforward_norm = make(choice.norm, whole.d_model)
        self.feedforward = make(choice.feedforward, whole)
        self.scale = choice.scale

    def forward(self, x: Stream, context: Context, cache: LayerCache | None) -> Stream:
        """One step of the stream."""
        u = self.attention_norm(x)
        u = self.feedforward_norm(self.scale * u + self.attention(u, context, cache))
        y: Tensor = self.scale * u + self.feedforward(u, context)
        return y
