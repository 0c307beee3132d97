"""Tiny models of transformers with every parameter redrawn, and ours read from their folders.

One row a family. Shapes are such that nothing hides: at least three layers, heads that do not add
up to the width where the class allows it, a feed-forward that is not four times as wide, fewer
key-value heads than heads, another number of layers in the encoder than in the decoder. What is no
dimension is as in the released configurations, without dropout.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from torch import Tensor

from hornbook.checkpoints.hf import read_hf
from hornbook.models.build import empty_network, fill
from hornbook.models.families import family as family_module
from hornbook.models.spec import Spec

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

VOCABULARY = 101
FIRST = 3
"""Ids below are special in some family: padding, whose lookup has no gradient in transformers."""

BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 40,
    "intermediate_size": 72,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
BART = {
    "vocab_size": VOCABULARY,
    "d_model": 40,
    "encoder_layers": 4,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 72,
    "decoder_ffn_dim": 72,
    "max_position_embeddings": 40,
    "dropout": 0.0,
}
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 40,
    "d_kv": 6,
    "d_ff": 72,
    "num_layers": 4,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "dropout_rate": 0.0,
}
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 100,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}


def _model(name: str, **config: Any) -> Callable[[], Any]:
    """How to build transformers' class of this name (without the end of its config's name)."""

    def make() -> Any:
        cls = getattr(transformers, name)
        return cls(cls.config_class(**config))

    return make


def _t5_with_its_own_head() -> Any:
    """A fresh T5 ties its head whatever the config says: give it one of its own."""
    config = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = _model("T5ForConditionalGeneration", **config)()
    model.lm_head.weight = torch.nn.Parameter(torch.empty(VOCABULARY, T5["d_model"]))
    return model


@dataclass(frozen=True)
class Oracle:
    """How to build one family's model of transformers.

    exact: the class really computes in float64 where asked to; others round norms, rotations or
    softmax to float32 on the way. queries: what names of query maps have in them where the class
    does not scale scores: they are drawn smaller, or softmax would choose one key and magnify
    rounding a hundredfold.
    """

    make: Callable[[], Any]
    exact: bool = False
    queries: str = ""


ORACLES = {
    "transformer": Oracle(
        _model(
            "MarianMTModel",
            **BART,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
            forced_eos_token_id=1,
            scale_embedding=True,
            activation_function="relu",
        ),
        exact=True,
    ),
    "gpt1": Oracle(
        _model(
            "OpenAIGPTLMHeadModel",
            vocab_size=VOCABULARY,
            n_positions=40,
            n_embd=40,
            n_layer=3,
            n_head=4,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
        ),
        exact=True,
    ),
    "gpt2": Oracle(
        _model(
            "GPT2LMHeadModel",
            vocab_size=VOCABULARY,
            n_positions=40,
            n_embd=40,
            n_layer=3,
            n_head=4,
            n_inner=72,
            bos_token_id=0,
            eos_token_id=0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
        ),
        exact=True,
    ),
    "gpt3": Oracle(
        _model(
            "GPTNeoForCausalLM",
            vocab_size=VOCABULARY,
            hidden_size=40,
            num_layers=4,
            num_heads=4,
            intermediate_size=72,
            attention_types=[[["global", "local"], 2]],
            window_size=7,
            max_position_embeddings=40,
            bos_token_id=0,
            eos_token_id=0,
        ),
        queries="q_proj",
    ),
    "bert": Oracle(_model("BertForPreTraining", **BERT, max_position_embeddings=40), exact=True),
    "roberta": Oracle(
        _model(
            "RobertaForMaskedLM",
            **BERT,
            max_position_embeddings=42,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        ),
        exact=True,
    ),
    "xlnet": Oracle(
        _model(
            "XLNetLMHeadModel",
            vocab_size=VOCABULARY,
            d_model=40,
            n_layer=3,
            n_head=4,
            d_inner=72,
            dropout=0.0,
        )
    ),
    "bart": Oracle(_model("BartForConditionalGeneration", **BART), exact=True),
    "t5": Oracle(_model("T5ForConditionalGeneration", **T5), queries="Attention.q."),
    "t5_1_1": Oracle(_t5_with_its_own_head, queries="Attention.q."),
    "llama": Oracle(_model("LlamaForCausalLM", **{**LLAMA, "num_key_value_heads": 6})),
    "llama2": Oracle(_model("LlamaForCausalLM", **LLAMA, rms_norm_eps=1e-5)),
    "mixtral": Oracle(_model("MixtralForCausalLM", **LLAMA, num_local_experts=4)),
    "qwen3": Oracle(
        _model(
            "Qwen3ForCausalLM",
            **LLAMA,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        )
    ),
    "chatglm2": Oracle(_model("GlmForCausalLM", **LLAMA, rms_norm_eps=1e-5)),
    "palm": Oracle(
        _model(
            "CohereForCausalLM",
            **{**LLAMA, "num_key_value_heads": 1},
            logit_scale=48**-0.5,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        )
    ),
}


@torch.no_grad()
def redraw(module: torch.nn.Module, queries: str = "") -> None:
    """Gains 1 + N(0, .3), all else N(0, .3): nothing is constant, so nothing can hide.

    queries: what is in the names of maps to be drawn a third as large.
    """
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            gain = ("norm" in name.lower() or "ln_" in name) and name.endswith("weight")
            std = 0.1 if queries and queries in name else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std + float(gain))
            assert parameter.max() > parameter.min(), f"{name} is constant"


@cache
def _original(family: str) -> Any:
    """Their model in float32, built once a process."""
    model = ORACLES[family].make().eval()
    redraw(model, ORACLES[family].queries)
    return model


class Pair(NamedTuple):
    """Our network, its spec, and their model of the same weights."""

    ours: Any
    spec: Spec
    theirs: Any


def pair(family: str, dtype: torch.dtype, folder: Path) -> Pair:
    """Ours, our spec, theirs, through a folder that their `save_pretrained` writes below `folder`.

    Both are in evaluation mode and the caller's own, free to be changed.
    """
    theirs = copy.deepcopy(_original(family)).to(dtype)
    place = folder / family
    if not place.exists():
        _original(family).save_pretrained(place)
    spec, weights = read_hf(place)
    # Where several families share a class, the folder names the first of them.
    assert family_module(spec.family).HUGGING_FACE == family_module(family).HUGGING_FACE
    spec = replace(spec, family=family)
    ours = empty_network(spec)
    fill(ours, weights)
    if dtype == torch.float64 and family == "transformer":
        _exact_sinusoids(theirs)
    return Pair(ours.to(dtype).eval(), spec, theirs)


@torch.no_grad()
def _exact_sinusoids(model: Any) -> None:
    """Marian makes its table of positions in float32: write the same formula in float64."""
    for side in (model.model.encoder, model.model.decoder):
        table = side.embed_positions.weight
        rows, width = table.shape
        exponents = 2 * np.arange(width // 2) / width
        angles = np.arange(rows)[:, None] / 10_000.0**exponents
        exact = torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
        assert (exact - table).abs().max() < 1e-5
        table.copy_(exact)


def tokens(batch: int = 2, length: int = 29, seed: int = 1) -> Tensor:
    """Ids that are special in no family."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(FIRST, VOCABULARY, (batch, length), generator=generator)


def inputs(spec: Spec, seed: int = 1) -> tuple[Tensor, ...]:
    """(tokens,), or (source, target) of another length."""
    if spec.encoder is None:
        return (tokens(seed=seed),)
    return tokens(seed=seed), tokens(length=17, seed=seed + 100)


def error(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, in parts of the largest value."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


class Seen(NamedTuple):
    """Hidden states, the encoder's before the decoder's, and logits."""

    states: tuple[Tensor, ...]
    logits: Tensor


def ours_of(network: Any, *given: Any, **rules: Any) -> Seen:
    """What our network makes of tokens, or of a source and a target."""
    hidden = network(*given, hidden_states=True, **rules)
    return Seen((*hidden.source_states, *hidden.states), network.logits(hidden.last))


def theirs_of(model: Any, *given: Tensor, **rules: Any) -> Seen:
    """What their model makes of the same."""
    if model.config.is_encoder_decoder:
        rules = {"decoder_input_ids": given[1], "use_cache": False, **rules}
        out = model(input_ids=given[0], output_hidden_states=True, **rules)
        states = (*out.encoder_hidden_states, *out.decoder_hidden_states)
    else:
        out = model(input_ids=given[0], output_hidden_states=True, **rules)
        states = out.hidden_states
    logits = out.prediction_logits if "prediction_logits" in out else out.logits
    return Seen(tuple(states), logits)
