"""Hugging Face folders, in and out, by each family's table of names (`models/exchange.py`).

    config.json             dimensions and settings        model.safetensors   weights
    generation_config.json  the tokens that end a text     tokenizer files, copied as they are

Reading is strict: every tensor must be known, present, of the right shape and finite, and a setting
that changes the numbers must have the value our parts compute. Pickle files are never opened.
"""

import fnmatch
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hornbook.errors import InputError, SpecError, StorageError
from hornbook.models import FAMILIES
from hornbook.models.build import empty_network, trim
from hornbook.models.exchange import HuggingFace
from hornbook.models.families import family, spec_for
from hornbook.models.spec import Spec
from hornbook.runs.atomic import require_free_space, write_text
from hornbook.tokenizers import load_tokenizer

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def read_hf(folder: str | Path) -> tuple[Spec, dict[str, Tensor]]:
    """The spec and the weights, under our names, of a Hugging Face folder.

    Weights keep the dtype they are stored in; the token table has `vocab_size` rows. Raises
    InputError where files are missing, torn or do not fit together, SpecError for a setting that
    our parts do not compute.
    """
    folder = Path(folder)
    config = _read_json(folder / CONFIG)
    layout = _layout(folder, config)
    spec = spec_from_config(layout, config)
    return spec, _named(folder, layout, spec, _read_tensors(folder))


def write_hf(
    folder: str | Path,
    spec: Spec,
    weights: Mapping[str, Tensor],
    tokenizer_directory: str | Path | None = None,
) -> None:
    """Write a folder that `transformers` opens; rows that pad the vocabulary are left out.

    weights: under our names, padded or not. The folder is made if need be; files of these names
    are replaced. Raises SpecError where the layout cannot express the spec, StorageError where the
    disk cannot hold it.
    """
    folder = Path(folder)
    layout = _layout_of(spec)
    config = config_from_spec(layout, spec)
    tensors = dict(_foreign(layout, spec, weights))
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    folder.mkdir(parents=True, exist_ok=True)
    require_free_space(folder, needed, "the model's weights")
    ends = _special_ids(tokenizer_directory)
    config |= {"dtype": _dtype_name(tensors), **ends}
    if tokenizer_directory is not None:
        for file in sorted(Path(tokenizer_directory).iterdir()):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    _write_tensors(folder / WEIGHTS, tensors)
    write_text(folder / CONFIG, _json(config))
    write_text(folder / "generation_config.json", _json(ends))


def spec_from_config(layout: HuggingFace, config: Mapping[str, Any]) -> Spec:
    """The spec that a config.json describes; absent keys have the family's published values."""
    for key, value in layout.required.items():
        if config.get(key, value) != value:
            raise SpecError(
                f"The config's {key} is {config[key]!r}; only {value!r} is computed here."
            )
    given = {key: config[key] for key in layout.config if config.get(key) is not None}
    for key in layout.activated:
        if key in given:
            if given[key] not in layout.activations:
                raise SpecError(
                    f"The config's {key} is {given[key]!r}; known are "
                    f"{', '.join(layout.activations)}."
                )
            given[key] = layout.activations[given[key]]
    dimensions = {ours: given[key] for key, ours in layout.dimensions.items() if key in given}
    spec = spec_for(_family_name(layout), **dimensions)
    for key, paths in layout.config.items():
        for path in paths if key in given else ():
            spec = _with(spec, path.split("."), given[key])
    return spec


def config_from_spec(layout: HuggingFace, spec: Spec) -> dict[str, Any]:
    """The config.json of a spec. Raises SpecError where reading it back would give another spec."""
    activations = {ours: key for key, ours in reversed([*layout.activations.items()])}
    config: dict[str, Any] = {
        "architectures": [layout.architecture],
        "model_type": layout.model_type,
        **{key: _at(spec, paths[0]) for key, paths in layout.config.items()},
        **layout.required,
        **layout.written,
    }
    for key in layout.activated:
        config[key] = activations[config[key]]
    different = _difference(spec, spec_from_config(layout, config))
    if different:
        raise SpecError(
            f"The Hugging Face layout of {layout.model_type} cannot express this model's "
            f'{different}; save it with layout="hornbook".'
        )
    return config


def _layout(folder: Path, config: Mapping[str, Any]) -> HuggingFace:
    """The layout whose model_type the config names."""
    named = config.get("model_type")
    layouts = {layout.model_type: layout for layout in _layouts()}
    if named not in layouts:
        raise SpecError(
            f"{folder / CONFIG} describes a model of type {named!r}; known are "
            f"{', '.join(layouts)}."
        )
    return layouts[named]


def _layouts() -> Iterator[HuggingFace]:
    for name in FAMILIES:
        yield family(name).HUGGING_FACE


def _layout_of(spec: Spec) -> HuggingFace:
    layout: HuggingFace | None = getattr(family(spec.family), "HUGGING_FACE", None)
    if layout is None:
        raise SpecError(
            f"The family {spec.family} names no Hugging Face layout (HUGGING_FACE); save it with "
            'layout="hornbook".'
        )
    return layout


def _family_name(layout: HuggingFace) -> str:
    return next(name for name in FAMILIES if family(name).HUGGING_FACE is layout)


def _names(layout: HuggingFace, spec: Spec) -> Iterator[tuple[str, str, bool]]:
    """Every tensor: our name, theirs without prefix, whether theirs is transposed."""
    for key in layout.keys:
        layers = range(spec.n_layers) if "{layer}" in key.ours else (0,)
        for layer in layers:
            yield key.ours.format(layer=layer), key.theirs.format(layer=layer), key.transposed


def _named(
    folder: Path, layout: HuggingFace, spec: Spec, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors under our names: all of them, nothing besides, of the right shape, finite."""
    bare = {name.removeprefix(layout.prefix): tensor for name, tensor in tensors.items()}
    for pattern in layout.ignored:
        for name in fnmatch.filter(bare, pattern):
            del bare[name]
    for copy, original in layout.tied.items():
        if copy in bare and not torch.equal(bare.pop(copy), bare.get(original, torch.empty(0))):
            raise SpecError(
                f"{folder}: {copy} differs from {original}, but this family ties the two."
            )
    network = empty_network(spec, "meta")
    shapes = {name: tensor.shape for name, tensor in trim(network, network.state_dict()).items()}
    weights = {}
    for ours, theirs, transposed in _names(layout, spec):
        if theirs not in bare:
            raise InputError(f"{folder} lacks the tensor {theirs}; its download may be incomplete.")
        tensor = bare.pop(theirs)
        if not tensor.isfinite().all():
            raise InputError(f"{folder}: the tensor {theirs} holds NaN or infinity; it is damaged.")
        weights[ours] = tensor.T.contiguous() if transposed else tensor
        if weights[ours].shape != shapes[ours]:
            raise InputError(
                f"{folder}: the tensor {theirs}, as [out, in], has shape "
                f"{list(weights[ours].shape)}; its {CONFIG} asks for {list(shapes[ours])}."
            )
    if bare:
        raise InputError(
            f"{folder} has tensors that this family does not know: {', '.join(sorted(bare)[:5])}."
        )
    return weights


def _foreign(
    layout: HuggingFace, spec: Spec, weights: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Their names and tensors, padding trimmed."""
    for ours, theirs, transposed in _names(layout, spec):
        tensor = weights[ours].detach().cpu()
        if ours in layout.vocabulary:
            tensor = tensor[: spec.vocab_size]
        yield layout.prefix + theirs, (tensor.T if transposed else tensor).contiguous()


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of one safetensors file, or of the shards that an index names."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / INDEX).exists():
        files = sorted(set(_read_json(folder / INDEX)["weight_map"].values()))
    tensors: dict[str, Tensor] = {}
    for name in files:
        if not (folder / name).exists():
            raise InputError(f"{folder} lacks {name}.{_pickle_hint(folder)}")
        try:
            with safe_open(folder / name, framework="pt") as file:
                keys = file.keys()  # the file itself cannot be iterated over
                tensors |= {key: file.get_tensor(key) for key in keys}
        except SafetensorError as error:
            raise InputError(f"{folder / name} cannot be read: {error}.") from error
    return tensors


def _pickle_hint(folder: Path) -> str:
    found = sorted(file.name for file in folder.glob("*.bin"))
    if not found:
        return ""
    return (
        f" {found[0]} is a pickle file, which may run code when opened, and is not read: convert "
        "it to safetensors first."
    )


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write beside and rename, so that a half-written file never has the name."""
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"format": "pt"})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {error}.") from error


def _special_ids(tokenizer_directory: str | Path | None) -> dict[str, Any]:
    """Which ids begin and end a text: of the tokenizer, or none."""
    if tokenizer_directory is None:
        return {"bos_token_id": None, "eos_token_id": None}
    special = load_tokenizer(tokenizer_directory).special_tokens
    ends = [special[name] for name in ("<|endoftext|>", "<|end|>") if name in special]
    return {"bos_token_id": ends[0] if ends else None, "eos_token_id": ends or None}


def _dtype_name(tensors: Mapping[str, Tensor]) -> str:
    return str(next(iter(tensors.values())).dtype).removeprefix("torch.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} has no {path.name}.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object.")
    return content


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _at(part: Any, path: str) -> Any:
    for name in path.split("."):
        part = getattr(part, name)
    return part


def _with(part: Any, path: list[str], value: Any) -> Any:
    """The part with the value at this path replaced."""
    first, rest = path[0], path[1:]
    return replace(part, **{first: _with(getattr(part, first), rest, value) if rest else value})


def _difference(first: Any, second: Any, path: str = "") -> str:
    """The path of the first field in which two specs differ, or ""."""
    if type(first) is not type(second) or not is_dataclass(first):
        return "" if first == second else path
    for field in fields(first):
        here = f"{path}.{field.name}".lstrip(".")
        found = _difference(getattr(first, field.name), getattr(second, field.name), here)
        if found:
            return found
    return ""
