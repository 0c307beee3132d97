"""For every family that transformers has: its class, built from a configuration, and a task.

All are of one size: 6 layers of 384 with 6 heads, dropout 0; 6 and 6 layers where there are two
stacks. Losses are asked of transformers as its users ask for them: `labels=`, `use_cache=False`,
sdpa where the class has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

VOCABULARY, MASKED_VOCABULARY = 8192, 30522
ROWS, LENGTH, TARGET_LENGTH = 16, 256, 64
MASKED_SHARE, PREDICTED_SHARE = 0.15, 1 / 6
IGNORED = -100


@dataclass(frozen=True)
class Peer:
    """A class of transformers and its configuration; `task` makes the inputs of both sides."""

    model: str
    config: str
    task: Callable[[int], "Task"]
    settings: dict[str, Any]
    own_head: bool = False


@dataclass(frozen=True)
class Task:
    """One batch: what their forward takes, and what ours does.

    targets [targets] stand at `places` of the flattened output.
    """

    theirs: dict[str, Tensor]
    tokens: Tensor
    targets: Tensor
    places: Tensor
    source: Tensor | None = None
    order: Tensor | None = None
    predicted: Tensor | None = None


def tokens(vocab_size: int, rows: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    return torch.randint(4, vocab_size, (rows, length), generator=generator)


def causal(vocab_size: int) -> Task:
    """Every token predicts the next; transformers shifts the labels itself."""
    x = tokens(vocab_size, ROWS, LENGTH)
    places = torch.arange(x.numel()).view_as(x)[:, :-1].flatten()
    return Task({"input_ids": x, "labels": x, "use_cache": False}, x, x[:, 1:].flatten(), places)


def masked(vocab_size: int) -> Task:
    """Token 3 stands in place of 15 % of the tokens, which are to be found."""
    x = tokens(vocab_size, ROWS, LENGTH)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.rand(x.shape, generator=generator) < MASKED_SHARE
    read, labels = x.masked_fill(hidden, 3), x.masked_fill(~hidden, IGNORED)
    places = hidden.flatten().nonzero().flatten()
    return Task({"input_ids": read, "labels": labels}, read, x[hidden], places)


def from_source(vocab_size: int) -> Task:
    """A source of 256 tokens, a target of 64."""
    source, target = (tokens(vocab_size, ROWS, n) for n in (LENGTH, TARGET_LENGTH + 1))
    x, y = target[:, :-1].contiguous(), target[:, 1:].contiguous()
    theirs = {"input_ids": source, "decoder_input_ids": x, "labels": y, "use_cache": False}
    return Task(theirs, x, y.flatten(), torch.arange(y.numel()), source)


def permuted(vocab_size: int) -> Task:
    """The last sixth of a random order is predicted by the query stream."""
    x = tokens(vocab_size, ROWS, LENGTH)
    generator = torch.Generator().manual_seed(1)
    order = torch.rand(x.shape, generator=generator).argsort(1)
    rank, count = order.argsort(1), int(LENGTH * PREDICTED_SHARE)
    predicted = order[:, -count:].sort(1).values
    hidden = (rank[:, None, :] >= rank[:, :, None]).float()
    mapping = torch.nn.functional.one_hot(predicted, LENGTH).float()
    y = x.gather(1, predicted)
    theirs = {"input_ids": x, "perm_mask": hidden, "target_mapping": mapping, "labels": y}
    theirs |= {"use_mems": False}
    return Task(theirs, x, y.flatten(), torch.arange(y.numel()), order=order, predicted=predicted)


GPT = {"n_layer": 6, "n_head": 6, "n_embd": 384, "n_positions": LENGTH}
GPT |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
BERT = {"num_hidden_layers": 6, "num_attention_heads": 6, "hidden_size": 384}
BERT |= {"intermediate_size": 1536, "hidden_dropout_prob": 0.0}
BERT |= {"attention_probs_dropout_prob": 0.0}
TWO = {"encoder_layers": 6, "decoder_layers": 6, "d_model": 384, "encoder_attention_heads": 6}
TWO |= {"decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536}
TWO |= {"max_position_embeddings": LENGTH, "dropout": 0.0, "attention_dropout": 0.0}
TWO |= {"activation_dropout": 0.0}
MARIAN = {"scale_embedding": True, "activation_function": "relu", "pad_token_id": 0}
MARIAN |= {"eos_token_id": 1, "decoder_start_token_id": 0}
T5 = {"num_layers": 6, "num_heads": 6, "d_model": 384, "d_kv": 64, "dropout_rate": 0.0}
LLAMA = {"num_hidden_layers": 6, "num_attention_heads": 6, "hidden_size": 384, "head_dim": 64}
LLAMA |= {"max_position_embeddings": LENGTH, "attention_dropout": 0.0}
LLAMA |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def llama(d_ff: int, n_kv_heads: int, **others: Any) -> dict[str, Any]:
    return LLAMA | {"intermediate_size": d_ff, "num_key_value_heads": n_kv_heads} | others


PEERS = {
    "gpt1": Peer("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", causal, GPT),
    "gpt2": Peer("GPT2LMHeadModel", "GPT2Config", causal, GPT),
    "gpt3": Peer(
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        causal,
        {
            "num_layers": 6,
            "num_heads": 6,
            "hidden_size": 384,
            "max_position_embeddings": LENGTH,
            "attention_types": [[["global", "local"], 3]],
            "window_size": 128,
            "resid_dropout": 0.0,
            "embed_dropout": 0.0,
            "attention_dropout": 0.0,
        },
    ),
    "bert": Peer("BertForMaskedLM", "BertConfig", masked, BERT),
    "roberta": Peer(
        "RobertaForMaskedLM",
        "RobertaConfig",
        masked,
        BERT
        | {"max_position_embeddings": LENGTH + 2, "type_vocab_size": 1}
        | {"layer_norm_eps": 1e-5},
    ),
    "xlnet": Peer(
        "XLNetLMHeadModel",
        "XLNetConfig",
        permuted,
        {"n_layer": 6, "n_head": 6, "d_model": 384, "d_inner": 1536, "dropout": 0.0},
    ),
    "transformer": Peer("MarianMTModel", "MarianConfig", from_source, TWO | MARIAN),
    "bart": Peer("BartForConditionalGeneration", "BartConfig", from_source, TWO),
    "t5": Peer("T5ForConditionalGeneration", "T5Config", from_source, T5 | {"d_ff": 1536}),
    "t5_1_1": Peer(
        "T5ForConditionalGeneration",
        "T5Config",
        from_source,
        T5 | {"d_ff": 1024, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        own_head=True,
    ),
    "chatglm2": Peer("GlmForCausalLM", "GlmConfig", causal, llama(1284, 2)),
    "palm": Peer(
        "CohereForCausalLM", "CohereConfig", causal, llama(1536, 1, logit_scale=384**-0.5)
    ),
    "llama": Peer("LlamaForCausalLM", "LlamaConfig", causal, llama(1024, 6)),
    "llama2": Peer("LlamaForCausalLM", "LlamaConfig", causal, llama(1024, 2)),
    "mixtral": Peer(
        "MixtralForCausalLM", "MixtralConfig", causal, llama(1344, 2, num_local_experts=4)
    ),
    "qwen3": Peer("Qwen3ForCausalLM", "Qwen3Config", causal, llama(1152, 2)),
}


def build(peer: Peer, attention: str) -> Any:
    """Their model with fresh weights; `attention` where the class has it, else its own."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    kind = getattr(transformers, peer.model)
    attention = attention if kind._supports_sdpa else "eager"
    vocab_size = MASKED_VOCABULARY if peer.task is masked else VOCABULARY
    config = getattr(transformers, peer.config)(vocab_size=vocab_size, **peer.settings)
    torch.manual_seed(0)
    model = kind._from_config(config, attn_implementation=attention)
    if peer.own_head:  # T5's configuration ties what its version 1.1 does not
        size = (vocab_size, model.config.d_model)
        model.lm_head.weight = torch.nn.Parameter(torch.randn(size) * 0.02)
    return model.float().train()
