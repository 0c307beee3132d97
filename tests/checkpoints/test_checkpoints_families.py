"""Hugging Face folders of every family: what is damaged, or not computed here, is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from oracles import ORACLES, pair
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

import hornbook
from hornbook.checkpoints.hf import _layout, read_hf, write_hf
from hornbook.checkpoints.hf_config import spec_from_config
from hornbook.errors import HornbookError, InputError, SpecError
from hornbook.handle.model import Model
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.models.paths import put

families = pytest.mark.parametrize("family", ORACLES)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")

    def of(family):
        if not (folder / family).exists():
            pair(family, torch.float32, folder)
        return folder / family

    return of


@pytest.fixture
def copy(originals, tmp_path):
    """A folder of a family, with its tensors and its config to be changed."""

    def of(family, change_tensors=None, **settings):
        source, folder = originals(family), tmp_path / family
        folder.mkdir()
        tensors = load_file(source / "model.safetensors")
        if change_tensors is not None:
            change_tensors(tensors)
        save_file(tensors, folder / "model.safetensors")
        config = json.loads((source / "config.json").read_text())
        for key, value in settings.items():
            config[key] = value
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return of


def a_matrix(tensors):
    """The name of some matrix of a late layer."""
    names = sorted(name for name, t in tensors.items() if t.ndim == 2 and ".2." in name)
    return names[0]


def drop(tensors):
    del tensors[a_matrix(tensors)]


def add(tensors):
    tensors["something.else"] = torch.ones(2)


def cut(tensors):
    name = a_matrix(tensors)
    tensors[name] = tensors[name][:-1].contiguous()


def spoil(tensors):
    tensors[a_matrix(tensors)][0, 0] = torch.nan


@families
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop, "lacks the tensor"),
        (add, "does not know: something.else"),
        (cut, "asks for"),
        (spoil, "holds NaN or infinity"),
    ],
    ids=["missing", "surplus", "shape", "nan"],
)
def test_damaged_weights_are_named(copy, family, change, said):
    folder = copy(family, change)
    with pytest.raises(InputError) as caught:
        hornbook.load(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "settings", "named"),
    [
        ("gpt1", {"afn": "quick"}, "afn is 'quick'"),
        ("gpt3", {"activation_function": "mish"}, "activation_function is 'mish'"),
        ("bert", {"is_decoder": True}, "is_decoder"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("roberta", {"pad_token_id": 0}, "pad_token_id"),
        ("xlnet", {"attn_type": "uni"}, "attn_type"),
        ("xlnet", {"clamp_len": 20}, "clamp_len"),
        ("xlnet", {"bi_data": True}, "bi_data"),
        ("bart", {"scale_embedding": True}, "scale_embedding"),
        ("transformer", {"scale_embedding": False}, "scale_embedding"),
        ("transformer", {"share_encoder_decoder_embeddings": False}, "share_encoder_decoder"),
        ("t5", {"feed_forward_proj": "gated-silu"}, "only 'relu' is computed"),
        (
            "t5_1_1",
            {"feed_forward_proj": "gated-silu", "tie_word_embeddings": False},
            "only 'gated-gelu' is computed",
        ),
        ("llama", {"attention_bias": True}, "attention_bias"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}},
            "rope_parameters.rope_type is 'llama3'",
        ),
        (
            "llama",
            {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
            "rope_parameters.rope_type is 'linear'",
        ),
        ("llama", {"rms_norm_eps": "1e-6"}, "rms_norm_eps is '1e-6'; it must be a number"),
        ("mixtral", {"sliding_window": 64}, "sliding_window"),
        ("mixtral", {"router_jitter_noise": 0.1}, "router_jitter_noise"),
        ("qwen3", {"use_sliding_window": True}, "use_sliding_window"),
        ("palm", {"use_qk_norm": True}, "use_qk_norm"),
    ],
)
def test_settings_that_change_numbers_and_are_not_computed_are_refused(
    copy, family, settings, named
):
    with pytest.raises(SpecError) as caught:
        read_hf(copy(family, **settings))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "tensor", "ours"),
    [("llama", "lm_head.weight", "head.weight"), ("qwen3", "lm_head.weight", "head.weight")],
)
def test_a_tied_folder_has_no_output_layer_of_its_own(copy, family, tensor, ours):
    def tie(tensors):
        tensors.pop(tensor)

    spec, weights = read_hf(copy(family, tie, tie_word_embeddings=True))
    assert type(spec.head).__name__ == "TiedHead"
    assert ours not in weights


def test_a_copy_of_a_tied_tensor_must_be_the_same(copy):
    def untie(tensors):
        tensors["lm_head.weight"] = tensors["model.shared.weight"] + 1.0

    with pytest.raises(SpecError, match=r"lm_head.weight differs from model.shared.weight"):
        read_hf(copy("bart", untie))


def test_a_bias_that_is_taken_for_zero_must_be_zero(copy):
    def fill(tensors):
        tensors["final_logits_bias"] = torch.ones(1, 101)

    with pytest.raises(SpecError, match="final_logits_bias is not zero"):
        read_hf(copy("transformer", fill))


def test_old_names_of_norms_are_understood(copy, originals):
    def old(tensors):
        for name in list(tensors):
            if "LayerNorm" in name:
                ends = {"weight": "gamma", "bias": "beta"}
                stem, _, end = name.rpartition(".")
                tensors[f"{stem}.{ends[end]}"] = tensors.pop(name)

    _, weights = read_hf(copy("bert", old))
    _, expected = read_hf(originals("bert"))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_bert_without_its_pooler_is_one_for_masks_alone(copy):
    def headless(tensors):
        for name in [n for n in tensors if "pooler" in n or "seq_relationship" in n]:
            del tensors[name]

    folder = copy("bert", headless)
    spec, weights = read_hf(folder)
    assert spec.pooler is None
    write_hf(folder / "again", spec, weights)
    config = json.loads((folder / "again" / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    assert read_hf(folder / "again")[0] == spec


@families
def test_shards_and_a_single_file_are_the_same(originals, tmp_path, family):
    spec, weights = read_hf(originals(family))
    whole = load_file(originals(family) / "model.safetensors")
    names = sorted(whole)
    index = {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"model-{number + 1:05d}-of-00002.safetensors"
        save_file({name: whole[name] for name in part}, tmp_path / file)
        index |= dict.fromkeys(part, file)
    (tmp_path / "config.json").write_bytes((originals(family) / "config.json").read_bytes())
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    same_spec, same_weights = read_hf(tmp_path)
    assert same_spec == spec
    assert all(torch.equal(same_weights[name], weights[name]) for name in weights)


def test_a_pickle_is_never_opened(originals, tmp_path):
    (tmp_path / "config.json").write_bytes((originals("llama") / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(InputError, match="is a pickle file, which may run code"):
        hornbook.load(tmp_path)


@pytest.mark.parametrize(
    ("family", "path", "value", "named"),
    [
        ("gpt3", None, None, "attention"),
        ("llama", "stack.blocks.*.attention.rotation.layout", "pairs", "rotation.layout"),
        ("llama", "stack.shared", True, "stack.shared"),
        ("bert", "stack.blocks.*.attention.d_head", 8, "attention.d_head"),
        ("gpt1", "stack.final_norm", spec_for("gpt2").stack.final_norm, "stack.final_norm"),
        ("t5", "stack.blocks.*.attention.scale", 0.5, "attention.scale"),
        ("palm", "stack.final_norm.bias", True, "final_norm.bias"),
        ("qwen3", "stack.blocks.*.attention.band", 4, "attention.band"),
        ("xlnet", "embedding.scale", 2.0, "embedding.scale"),
        ("bart", "stack.blocks.*.norm.eps", 1e-3, "norm.eps"),
    ],
)
def test_what_a_class_cannot_express_is_refused_before_anything_is_written(
    tmp_path, family, path, value, named
):
    spec = spec_for(family, vocab_size=50, d_model=32, n_layers=2, n_heads=2)
    if path is not None:
        spec = put(spec, path.split("."), value)
    network = build_network(spec)
    with pytest.raises(SpecError) as caught:
        write_hf(tmp_path / "out", spec, network.state_dict())
    assert named in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["glm", "chatglm"])
def test_a_family_without_a_class_says_so(tmp_path, family):
    spec = spec_for(family, vocab_size=50, d_model=32, n_layers=2, n_heads=2)
    with pytest.raises(SpecError, match="names no Hugging Face layout"):
        write_hf(tmp_path / "out", spec, build_network(spec).state_dict())


@pytest.mark.parametrize("family", ["llama2", "llama", "t5", "t5_1_1"])
def test_a_folder_tells_which_of_several_families_wrote_it(tmp_path, family):
    spec = spec_for(family, vocab_size=50, d_model=32, n_layers=2, n_heads=2)
    write_hf(tmp_path / "out", spec, build_network(spec).state_dict())
    assert read_hf(tmp_path / "out")[0] == replace(spec, family=family)


def swap_widths(tensors):
    """An expert's last map, transposed: as many numbers, another shape."""
    name = next(name for name in tensors if name.endswith("w2.weight"))
    tensors[name] = tensors[name].T.contiguous()


def move_rows(tensors):
    """Eight rows of the keys given to the values: as many rows in all."""
    keys, values = (f"model.layers.1.self_attn.{name}_proj.weight" for name in "kv")
    rows = torch.cat([tensors[keys], tensors[values]])
    cut = len(tensors[keys]) - 8
    tensors[keys], tensors[values] = rows[:cut].clone(), rows[cut:].clone()


@pytest.mark.parametrize(
    ("family", "change", "named"),
    [("mixtral", swap_widths, "w2.weight"), ("llama2", move_rows, "k_proj.weight")],
)
def test_parts_of_one_tensor_have_each_their_own_shape(copy, family, change, named):
    with pytest.raises(InputError, match=rf"{named}.*asks for"):
        read_hf(copy(family, change))


def test_whole_numbers_are_not_read_as_weights(copy):
    def quantize(tensors):
        tensors[a_matrix(tensors)] = tensors[a_matrix(tensors)].to(torch.int8)

    with pytest.raises(InputError, match=r"stored as torch.int8; only float32"):
        read_hf(copy("llama", quantize))


def test_an_index_without_its_map_is_named(originals, tmp_path):
    (tmp_path / "config.json").write_bytes((originals("llama") / "config.json").read_bytes())
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="has no weight_map"):
        read_hf(tmp_path)


def test_other_positions_than_sinusoids_are_refused(copy):
    def learn(tensors):
        tensors["model.encoder.embed_positions.weight"] = torch.randn(40, 40)

    with pytest.raises(SpecError, match="not the sines and cosines"):
        read_hf(copy("transformer", learn))


def test_gpt_neo_reads_its_list_of_layers_as_transformers_does(copy):
    other = ["local", "global", "local", "global"]
    spec, _ = read_hf(copy("gpt3", attention_layers=other))
    bands = [spec.stack.layer(number).attention.band for number in range(4)]
    assert bands == [7, 0, 7, 0]


def test_a_head_width_that_the_class_does_not_have_is_refused(tmp_path):
    spec = spec_for("xlnet", vocab_size=50, d_model=32, n_layers=2, n_heads=2, d_head=8)
    with pytest.raises(SpecError, match=r"attention\.d_head"):
        write_hf(tmp_path / "out", spec, build_network(spec).state_dict())


@pytest.mark.parametrize(
    ("family", "key"),
    [
        ("gpt1", "n_head"),
        ("gpt3", "num_heads"),
        ("xlnet", "n_head"),
        ("bert", "num_attention_heads"),
        ("bart", "decoder_attention_heads"),
        ("t5", "num_heads"),
        ("llama", "num_attention_heads"),
        ("qwen3", "rope_parameters"),
        ("chatglm2", "rms_norm_eps"),
        ("transformer", "activation_function"),
    ],
)
def test_an_absent_key_is_what_their_class_takes_it_for(copy, originals, tmp_path, family, key):
    """As if the class's own default stood there: heads, eps, base, activation."""
    config = json.loads((originals(family) / "config.json").read_text())
    model_type, given = config.pop("model_type"), config.pop(key)
    default = getattr(AutoConfig.for_model(model_type), key)
    assert default != given or family in ("gpt1",), "the folder's own value proves nothing"
    absent, explicit = (
        {**config, "model_type": model_type, **more} for more in ({}, {key: default})
    )
    assert outcome(absent) == outcome(explicit)


def outcome(config):
    """The spec of a config, or what is said of it."""
    try:
        name, layout = _layout(Path("folder"), config)
        return spec_from_config(layout, config, name)
    except SpecError as error:
        return str(error)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("bart", "BartForConditionalGeneration"),
        ("t5", "T5ForConditionalGeneration"),
        ("transformer", "MarianMTModel"),
    ],
)
def test_transformers_begins_where_we_do(tmp_path, family, name):
    """An exported encoder-decoder starts with the spec's own token, without being told."""
    spec = spec_for(family, vocab_size=60, d_model=32, n_layers=2, n_heads=2, start_id=9)
    if family == "transformer":
        spec = put(spec, ["embedding", "positions", "layout"], "halves")
    model = Model(build_network(spec, seed=1))
    model.save(tmp_path / "out")
    theirs = getattr(transformers, name).from_pretrained(tmp_path / "out").eval()
    source = torch.tensor([[5, 6, 7, 8]])
    made = theirs.generate(source, max_new_tokens=6, do_sample=False, attention_mask=source > 0)
    assert made[0, 0] == 9
    assert made[0, 1:].tolist() == model.generate(source, max_new_tokens=6)[0].tolist()


def test_all_of_these_are_users_mistakes():
    assert InputError.exit_code == SpecError.exit_code == 2
    assert issubclass(InputError, HornbookError)
