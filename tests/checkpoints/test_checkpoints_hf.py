"""Hugging Face folders: transformers opens ours, we open its, and what is wrong is named."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from hornbook.checkpoints.hf import read_hf, write_hf
from hornbook.errors import InputError, SpecError
from hornbook.models.build import build_network, empty_network, fill
from hornbook.models.families import spec_for
from hornbook.models.paths import put
from hornbook.tokenizers import train_tokenizer

SHAPE = {
    "vocab_size": 101,
    "max_length": 32,
    "d_model": 40,
    "n_layers": 3,
    "n_heads": 4,
    "d_ff": 72,
}
TOKENS = torch.randint(0, 101, (2, 29), generator=torch.Generator().manual_seed(1))


def redraw(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            gain = ("ln_" in name or "norm" in name) and name.endswith("weight")
            parameter.normal_(float(gain), 0.3)
    return module


@pytest.fixture
def network():
    network = redraw(build_network(spec_for("gpt2", **SHAPE)).eval())
    with torch.no_grad():
        network.embedding.tokens.weight[101:] = 0
    return network


@pytest.fixture
def theirs(tmp_path):
    """A folder that transformers wrote."""
    config = GPT2Config(
        vocab_size=101, n_positions=32, n_embd=40, n_layer=3, n_head=4, n_inner=72,
        resid_pdrop=0.2, attn_pdrop=0.3, embd_pdrop=0.4, layer_norm_epsilon=1e-3,
        activation_function="relu", bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = redraw(GPT2LMHeadModel(config).eval())
    model.save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs", model


def edit(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(config), encoding="utf-8")


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})


def logits(network, tokens=TOKENS):
    with torch.no_grad():
        return network.logits(network(tokens).last)


def opened(folder):
    spec, weights = read_hf(folder)
    network = empty_network(spec).eval()
    fill(network, weights)
    return network


def close(ours, others):
    return (ours - others).abs().max() < 1e-5 * others.abs().max()


def test_transformers_opens_what_we_write(network, tmp_path):
    write_hf(tmp_path / "ours", network.spec, network.state_dict())
    model, report = AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report.values())
    with torch.no_grad():
        assert close(logits(network), model.eval()(TOKENS).logits)
    with safe_open(tmp_path / "ours" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert file.get_tensor("transformer.wte.weight").shape == (101, 40)
        names = file.keys()
    assert "lm_head.weight" not in names


def test_we_open_what_transformers_writes(theirs):
    folder, model = theirs
    network = opened(folder)
    with torch.no_grad():
        assert close(logits(network), model(TOKENS).logits)
    block = network.spec.stack.blocks[0]
    assert (network.spec.embedding.dropout, block.attention.dropout, block.dropout) == (
        0.4,
        0.3,
        0.2,
    )
    assert (block.norm.eps, network.spec.stack.final_norm.eps) == (1e-3, 1e-3)
    assert (network.embedding.tokens.weight[101:] == 0).all()


def test_writing_and_reading_give_the_same_model(network, tmp_path):
    write_hf(tmp_path, network.spec, network.state_dict())
    again = opened(tmp_path)
    assert again.spec == network.spec
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name])


def test_the_tokenizer_comes_along(network, tmp_path):
    tokenizer = train_tokenizer("byte-bpe", ["a text about texts " * 50], vocab_size=270)
    tokenizer.save(tmp_path / "tokenizer")
    spec = spec_for("gpt2", **{**SHAPE, "vocab_size": 270})
    write_hf(tmp_path / "m", spec, build_network(spec).state_dict(), tmp_path / "tokenizer")
    other = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert other.encode("a text") == tokenizer.encode("a text").tolist()
    ends = [tokenizer.special_tokens[name] for name in ("<|endoftext|>", "<|end|>")]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert model.generation_config.eos_token_id == ends
    assert model.generation_config.bos_token_id == ends[0]


def test_old_files_bare_names_mask_buffers_and_a_stored_head(theirs):
    folder, model = theirs

    def age(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for layer in range(3):
            tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32).tril()
            tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["wte.weight"].clone()

    change_tensors(folder, age)
    with torch.no_grad():
        assert close(logits(opened(folder)), model(TOKENS).logits)


def test_shards_are_read_through_their_index(theirs):
    folder, model = theirs
    model.save_pretrained(folder.parent / "shards", max_shard_size="20KB")
    assert len(list((folder.parent / "shards").glob("model-*.safetensors"))) > 1
    with torch.no_grad():
        assert close(logits(opened(folder.parent / "shards")), model(TOKENS).logits)
    next((folder.parent / "shards").glob("model-00002*")).unlink()
    with pytest.raises(InputError, match="lacks model-00002"):
        read_hf(folder.parent / "shards")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"reorder_and_upcast_attn": True}, "reorder_and_upcast_attn"),
        ({"scale_attn_weights": False}, "scale_attn_weights"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"activation_function": "quick_gelu"}, "activation_function is 'quick_gelu'"),
        ({"model_type": "mamba"}, "'mamba'; known are marian, openai-gpt, gpt2"),
        ({"n_head": 7}, "n_heads = 7 does not divide d_model = 40"),
    ],
)
def test_settings_that_our_parts_do_not_compute_are_named(theirs, change, said):
    edit(theirs[0], **change)
    with pytest.raises(SpecError) as caught:
        read_hf(theirs[0])
    assert said in str(caught.value)


def _drop(tensors):
    del tensors["transformer.h.1.ln_2.bias"]


def _add(tensors):
    tensors["transformer.h.1.ln_3.bias"] = torch.ones(40)


def _nan(tensors):
    tensors["transformer.wpe.weight"][3, 4] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [(_drop, "lacks the tensor h.1.ln_2.bias"), (_add, "h.1.ln_3.bias"), (_nan, "wpe.weight")],
)
def test_tensors_that_lack_exceed_or_are_damaged_are_named(theirs, change, said):
    change_tensors(theirs[0], change)
    with pytest.raises(InputError) as caught:
        read_hf(theirs[0])
    assert said in str(caught.value)


def test_a_head_of_its_own_is_refused(theirs):
    def untie(tensors):
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"] + 1

    change_tensors(theirs[0], untie)
    with pytest.raises(SpecError, match=r"lm_head\.weight differs from wte\.weight"):
        read_hf(theirs[0])


def test_a_wrong_shape_is_refused(theirs):
    edit(theirs[0], n_positions=16)
    with pytest.raises(InputError, match=r"wpe\.weight.*\[32, 40\].*\[16, 40\]"):
        read_hf(theirs[0])


def test_pickle_files_are_not_opened(theirs):
    folder, model = theirs
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickle"):
        read_hf(folder)


def test_a_torn_file_is_named(theirs):
    path = theirs[0] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        read_hf(theirs[0])


def test_what_the_layout_cannot_express_is_refused(network, tmp_path):
    wide = spec_for("gpt2", **{**SHAPE, "d_head": 12})
    with pytest.raises(SpecError, match=r"blocks\.0\.attention\.d_head"):
        write_hf(tmp_path, wide, build_network(wide).state_dict())
    uneven = put(network.spec, ["stack", "final_norm", "eps"], 1e-3)
    with pytest.raises(SpecError, match=r"final_norm\.eps"):
        write_hf(tmp_path, uneven, network.state_dict())
    assert list(tmp_path.iterdir()) == []
