"""Names and settings of Hugging Face folders that several families share, as data.

GPT-1's stand for GPT-2 too, LLaMA's for all that came after it, BERT's for RoBERTa's, BART's for
Marian's, T5's for both versions.
"""

from hornbook.models.exchange import HuggingFace, Key, Setting, layer_keys, with_bias

BLOCK = "stack.blocks.*."
ATTENTION, CROSS = f"{BLOCK}attention", f"{BLOCK}cross"


GPT_BLOCK_KEYS = layer_keys(
    "blocks.{layer}.",
    "h.{layer}.",
    *with_bias("attention_norm", "ln_1"),
    *with_bias("attention.qkv", "attn.c_attn", "transposed"),
    *with_bias("attention.out", "attn.c_proj", "transposed"),
    *with_bias("feedforward_norm", "ln_2"),
    *with_bias("feedforward.up", "mlp.c_fc", "transposed"),
    *with_bias("feedforward.down", "mlp.c_proj", "transposed"),
)

GPT_SETTINGS = (
    Setting("vocab_size", ("vocab_size",), "vocab_size"),
    Setting("n_positions", ("max_length",), "max_length"),
    Setting("n_embd", ("d_model",), "d_model"),
    Setting("n_layer", ("stack.n_layers",), "n_layers"),
    Setting("n_head", (f"{ATTENTION}.n_heads", f"{ATTENTION}.n_kv_heads"), "n_heads"),
    Setting("embd_pdrop", ("embedding.dropout",)),
    Setting("attn_pdrop", (f"{ATTENTION}.dropout",)),
    Setting("resid_pdrop", (f"{BLOCK}dropout",)),
)

LLAMA_ATTENTION_KEYS = layer_keys(
    "blocks.{layer}.",
    "model.layers.{layer}.",
    Key("attention_norm.weight", "input_layernorm.weight"),
    Key("attention.qkv.weight", tuple(f"self_attn.{name}_proj.weight" for name in "qkv")),
    Key("attention.out.weight", "self_attn.o_proj.weight"),
    Key("feedforward_norm.weight", "post_attention_layernorm.weight"),
)

LLAMA_FEEDFORWARD_KEYS = layer_keys(
    "blocks.{layer}.feedforward.",
    "model.layers.{layer}.mlp.",
    Key("up.weight", ("gate_proj.weight", "up_proj.weight")),
    Key("down.weight", "down_proj.weight"),
)

LLAMA_OUTER_KEYS = (
    Key("embedding.tokens.weight", "model.embed_tokens.weight"),
    Key("final_norm.weight", "model.norm.weight"),
    Key("head.weight", "lm_head.weight"),
)

LLAMA_SETTINGS = (
    Setting("vocab_size", ("vocab_size",), "vocab_size"),
    Setting("max_position_embeddings", ("max_length",), "max_length"),
    Setting("hidden_size", ("d_model",), "d_model"),
    Setting("num_hidden_layers", ("stack.n_layers",), "n_layers"),
    Setting("num_attention_heads", (f"{BLOCK}attention.n_heads",), "n_heads"),
    Setting("num_key_value_heads", (f"{BLOCK}attention.n_kv_heads",), "n_kv_heads"),
    Setting("head_dim", (f"{BLOCK}attention.d_head",), "d_head"),
    Setting("intermediate_size", (f"{BLOCK}feedforward.d_ff",), "d_ff"),
    Setting("hidden_act", (f"{BLOCK}feedforward.activation",), codec="activation"),
    Setting("attention_dropout", (f"{BLOCK}attention.dropout",)),
    Setting("rope_parameters.rope_theta", (f"{BLOCK}attention.rotation.base",)),
)

LLAMA_ABSENT = {
    "num_attention_heads": 32,
    "num_key_value_heads": "=num_attention_heads",
    "rms_norm_eps": 1e-6,
    "rope_parameters.rope_theta": 10_000.0,
}
"""What the classes take where a key is absent that changes numbers and no shape."""

LLAMA_NORM = Setting("rms_norm_eps", (f"{BLOCK}norm.eps", "stack.final_norm.eps"))

BERT_LAYER_KEYS = (
    Key(
        "attention.qkv.weight",
        tuple(f"attention.self.{n}.weight" for n in ("query", "key", "value")),
    ),
    Key("attention.qkv.bias", tuple(f"attention.self.{n}.bias" for n in ("query", "key", "value"))),
    *with_bias("attention.out", "attention.output.dense"),
    *with_bias("attention_norm", "attention.output.LayerNorm"),
    *with_bias("feedforward.up", "intermediate.dense"),
    *with_bias("feedforward.down", "output.dense"),
    *with_bias("feedforward_norm", "output.LayerNorm"),
)

BERT_EMBEDDING_KEYS = (
    Key("embedding.tokens.weight", "word_embeddings.weight"),
    Key("embedding.positions.weight", "position_embeddings.weight"),
    Key("embedding.segments.weight", "token_type_embeddings.weight"),
    *with_bias("embedding.norm", "LayerNorm"),
)


BERT_SETTINGS = (
    Setting("vocab_size", ("vocab_size",), "vocab_size"),
    Setting("hidden_size", ("d_model",), "d_model"),
    Setting("num_hidden_layers", ("stack.n_layers",), "n_layers"),
    Setting("num_attention_heads", (f"{ATTENTION}.n_heads", f"{ATTENTION}.n_kv_heads"), "n_heads"),
    Setting("intermediate_size", ("stack.blocks.*.feedforward.d_ff",), "d_ff"),
    Setting("type_vocab_size", ("embedding.segments",), "segments"),
    Setting("layer_norm_eps", ("embedding.norm.eps", "stack.blocks.*.norm.eps", "head.norm.eps")),
    Setting("hidden_dropout_prob", ("embedding.dropout", "stack.blocks.*.dropout")),
    Setting("attention_probs_dropout_prob", (f"{ATTENTION}.dropout",)),
)


def _one_side(ours: str, theirs: str, norm: str) -> tuple[Key, ...]:
    """Self-attention and feed-forward of one side's block."""
    projections = tuple(f"self_attn.{name}_proj" for name in "qkv")
    return layer_keys(
        f"{ours}.blocks.{{layer}}.",
        f"model.{theirs}.layers.{{layer}}.",
        *with_bias("attention.qkv", projections),
        *with_bias("attention.out", "self_attn.out_proj"),
        *with_bias("attention_norm", norm),
        *with_bias("feedforward.up", "fc1"),
        *with_bias("feedforward.down", "fc2"),
        *with_bias("feedforward_norm", "final_layer_norm"),
    )


def bart_keys(norm: str) -> tuple[Key, ...]:
    """The names of an encoder and a decoder over one table, as BART and Marian have them."""
    cross = tuple(f"encoder_attn.{name}_proj" for name in "kv")
    return (
        Key("embedding.tokens.weight", "model.shared.weight"),
        *_one_side("encoder", "encoder", norm),
        *_one_side("decoder", "decoder", norm),
        *layer_keys(
            "decoder.blocks.{layer}.",
            "model.decoder.layers.{layer}.",
            *with_bias("cross.query", "encoder_attn.q_proj"),
            *with_bias("cross.kv", cross),
            *with_bias("cross.out", "encoder_attn.out_proj"),
            *with_bias("cross_norm", "encoder_attn_layer_norm"),
        ),
    )


def _both(ends: str) -> tuple[str, ...]:
    return tuple(f"{stack}.blocks.*.{ends}" for stack in ("stack", "encoder"))


BART_SETTINGS = (
    Setting("vocab_size", ("vocab_size",), "vocab_size"),
    Setting("max_position_embeddings", ("max_length",), "max_length"),
    Setting("d_model", ("d_model",), "d_model"),
    Setting("decoder_layers", ("stack.n_layers",), "n_layers"),
    Setting("encoder_layers", ("encoder.n_layers",), "n_encoder_layers"),
    Setting(
        "decoder_attention_heads",
        (
            f"{ATTENTION}.n_heads",
            f"{ATTENTION}.n_kv_heads",
            f"{CROSS}.n_heads",
            f"{CROSS}.n_kv_heads",
        ),
        "n_heads",
    ),
    Setting(
        "encoder_attention_heads",
        ("encoder.blocks.*.attention.n_heads", "encoder.blocks.*.attention.n_kv_heads"),
    ),
    Setting("decoder_ffn_dim", ("stack.blocks.*.feedforward.d_ff",), "d_ff"),
    Setting("encoder_ffn_dim", ("encoder.blocks.*.feedforward.d_ff",)),
    Setting("activation_function", _both("feedforward.activation"), codec="activation"),
    Setting("dropout", ("embedding.dropout", *_both("dropout"))),
    Setting("attention_dropout", (*_both("attention.dropout"), f"{CROSS}.dropout")),
    Setting("activation_dropout", _both("feedforward.dropout")),
    Setting("decoder_start_token_id", ("reading.start_id",), "start_id"),
)


def _t5_keys(up: tuple[str, ...]) -> tuple[Key, ...]:
    """All tensors; `up` are their names of the maps into the inner width."""
    rows = [Key("embedding.tokens.weight", "shared.weight"), Key("head.weight", "lm_head.weight")]
    for stack, last in (("encoder", 1), ("decoder", 2)):
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        rows += layer_keys(
            f"{stack}.blocks.{{layer}}.",
            f"{stack}.block.{{layer}}.layer.",
            Key("attention.qkv.weight", tuple(f"0.SelfAttention.{n}.weight" for n in "qkv")),
            Key("attention.out.weight", "0.SelfAttention.o.weight"),
            Key("attention_norm.weight", "0.layer_norm.weight"),
            Key("cross.query.weight", "1.EncDecAttention.q.weight"),
            Key("cross.kv.weight", tuple(f"1.EncDecAttention.{n}.weight" for n in "kv")),
            Key("cross.out.weight", "1.EncDecAttention.o.weight"),
            Key("cross_norm.weight", "1.layer_norm.weight"),
            Key("feedforward.up.weight", tuple(f"{last}.DenseReluDense.{n}.weight" for n in up)),
            Key("feedforward.down.weight", f"{last}.DenseReluDense.wo.weight"),
            Key("feedforward_norm.weight", f"{last}.layer_norm.weight"),
        )
        rows += [
            Key(f"{stack}.bias.weight", bias),
            Key(f"{stack}.final_norm.weight", f"{stack}.final_layer_norm.weight"),
        ]
    return tuple(rows)


def _everywhere(*ends: str) -> tuple[str, ...]:
    return tuple(f"{stack}.{end}" for stack in ("stack", "encoder") for end in ends)


T5_NORMS = _everywhere("blocks.*.norm.eps", "final_norm.eps")
T5_DROPOUTS = _everywhere(
    "dropout", "blocks.*.dropout", "blocks.*.attention.dropout", "blocks.*.feedforward.dropout"
)

T5_SETTINGS = (
    Setting("vocab_size", ("vocab_size",), "vocab_size"),
    Setting("n_positions", ("max_length",), "max_length"),
    Setting("d_model", ("d_model",), "d_model"),
    Setting("num_layers", ("encoder.n_layers",), "n_encoder_layers"),
    Setting("num_decoder_layers", ("stack.n_layers",), "n_layers"),
    Setting("num_heads", _everywhere("blocks.*.attention.n_heads"), "n_heads"),
    Setting("d_kv", _everywhere("blocks.*.attention.d_head"), "d_head"),
    Setting("d_ff", _everywhere("blocks.*.feedforward.d_ff"), "d_ff"),
    Setting("layer_norm_epsilon", T5_NORMS),
    Setting("relative_attention_num_buckets", _everywhere("bias.n_buckets")),
    Setting("relative_attention_max_distance", _everywhere("bias.max_distance")),
    Setting("dropout_rate", (*T5_DROPOUTS, "embedding.dropout", f"{CROSS}.dropout")),
    Setting("decoder_start_token_id", ("reading.start_id",), "start_id"),
)


def t5_layout(kind: str, up: tuple[str, ...], scaled: bool) -> HuggingFace:
    """The layout of one version: its kind of feed-forward, and whether logits are scaled."""
    return HuggingFace(
        model_type="t5",
        architecture="T5ForConditionalGeneration",
        keys=_t5_keys(up),
        tied={
            "lm_head.weight": "shared.weight",
            "encoder.embed_tokens.weight": "shared.weight",
            "decoder.embed_tokens.weight": "shared.weight",
        },
        settings=T5_SETTINGS,
        absent={
            "feed_forward_proj": "relu",
            "num_heads": 8,
            "num_decoder_layers": "=num_layers",
            "tie_word_embeddings": True,
            "scale_decoder_outputs": "=tie_word_embeddings",
        },
        required={"feed_forward_proj": kind, "scale_decoder_outputs": scaled},
        written={"tie_word_embeddings": scaled},
    )
