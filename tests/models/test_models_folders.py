"""Folders that transformers writes are read, and ours opened by it, with nothing left over."""

import json

import pytest
import torch
import transformers
from oracles import LLAMA, ORACLES, error, inputs, redraw, theirs_of

from hornbook.checkpoints.hf import read_hf, write_hf
from hornbook.errors import SpecError
from hornbook.models.build import empty_network, fill
from hornbook.models.families import family as family_module

families = pytest.mark.parametrize("family", ORACLES)


@pytest.mark.column("round trip")
@families
def test_what_we_write_transformers_opens_and_we_read_back(pairs, tmp_path, family):
    ours, spec, theirs = pairs(family)
    write_hf(tmp_path, spec, ours.state_dict())
    again, told = type(theirs).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    with torch.no_grad():
        expected = theirs_of(theirs, *inputs(spec)).logits
        assert torch.equal(theirs_of(again, *inputs(spec)).logits, expected)
    read, weights = read_hf(tmp_path)
    assert read == spec
    copy = empty_network(read)
    fill(copy, weights)
    own = ours.state_dict()
    assert weights.keys() == own.keys()
    assert all(torch.equal(tensor, own[name]) for name, tensor in copy.state_dict().items())


VARIANTS = {
    "gpt3-all dense": lambda: transformers.GPTNeoForCausalLM(
        transformers.GPTNeoConfig(
            vocab_size=101, hidden_size=40, num_layers=3, num_heads=4, window_size=7,
            attention_types=[[["global"], 3]], max_position_embeddings=40,
        )
    ),
    "bert-without pairs": lambda: transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=101, hidden_size=40, intermediate_size=72, num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=40, hidden_act="gelu_new",
        )
    ),
    "llama-tied": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True, hidden_act="gelu")
    ),
    "qwen3-tied": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            **LLAMA, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    ),
    "mixtral-three of five": lambda: transformers.MixtralForCausalLM(
        transformers.MixtralConfig(**LLAMA, num_local_experts=5, num_experts_per_tok=3)
    ),
    "palm-other scale": lambda: transformers.CohereForCausalLM(
        transformers.CohereConfig(**LLAMA, logit_scale=0.3)
    ),
    "bart-relu, two inner widths": lambda: transformers.BartForConditionalGeneration(
        transformers.BartConfig(
            vocab_size=101, d_model=40, encoder_layers=3, decoder_layers=3, encoder_ffn_dim=72,
            encoder_attention_heads=4, decoder_attention_heads=4, decoder_ffn_dim=56,
            activation_function="relu",
        )
    ),
    "t5-few buckets": lambda: transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=101, d_model=40, d_kv=6, d_ff=72, num_layers=3, num_heads=4,
            relative_attention_num_buckets=12, relative_attention_max_distance=20,
        )
    ),
    "xlnet-relu": lambda: transformers.XLNetLMHeadModel(
        transformers.XLNetConfig(
            vocab_size=101, d_model=40, n_layer=3, n_head=5, d_inner=72, ff_activation="relu"
        )
    ),
}  # fmt: skip


@pytest.mark.column("round trip")
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_settings_of_a_class_are_read_and_written(tmp_path, variant):
    theirs = VARIANTS[variant]().eval()
    redraw(theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    spec, weights = read_hf(tmp_path / "theirs")
    ours = empty_network(spec).eval()
    fill(ours, weights)
    write_hf(tmp_path / "ours", spec, ours.state_dict())
    again, told = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(told.values())
    with torch.no_grad():
        given = inputs(spec)
        own = ours(*given)
        expected = theirs(given[0], **({"decoder_input_ids": given[1]} if spec.encoder else {}))
        copied = again(given[0], **({"decoder_input_ids": given[1]} if spec.encoder else {}))
        assert error(ours.logits(own.last), expected.logits) < 1e-5
        assert torch.equal(copied.logits, expected.logits)


def other_than(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return {str: "another", type(None): 5}.get(type(value)) or value + 1


@families
def test_a_setting_that_our_parts_do_not_compute_is_refused(pairs, folders, tmp_path, family):
    """Each in turn has another value: it may never be ignored."""
    pairs(family)
    config = json.loads((folders / family / "config.json").read_text())
    for key, value in family_module(family).HUGGING_FACE.required.items():
        changed = json.loads(json.dumps(config))
        *outer, last = key.split(".")
        inner = changed
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[last] = other_than(value)
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(SpecError, match="is computed here"):
            read_hf(tmp_path)
