"""Hugging Face folders, in and out, by each family's table of names (`models/exchange.py`).

    config.json             dimensions and settings        model.safetensors   weights
    generation_config.json  the tokens that end a text     tokenizer files, copied as they are

Reading is strict: every tensor must be known, present, of the right shape and finite, and a setting
that changes the numbers must have the value our parts compute. Pickle files are never opened.
"""

import fnmatch
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hornbook.checkpoints.hf_config import config_from_spec, flat, spec_from_config
from hornbook.checkpoints.tensor_forms import FORMS, Form
from hornbook.errors import InputError, SpecError, StorageError
from hornbook.models import FAMILIES
from hornbook.models.build import empty_network, rows_of, trim
from hornbook.models.exchange import HuggingFace
from hornbook.models.families import family
from hornbook.models.parts.positions import sinusoids
from hornbook.models.paths import put
from hornbook.models.spec import Spec
from hornbook.models.stacks import Network
from hornbook.runs.atomic import require_free_space, write_text
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.special import part_name

OWN = "hornbook"
"""The key of config.json that says which family wrote it, where several have the same type."""

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def read_hf(folder: str | Path) -> tuple[Spec, dict[str, Tensor]]:
    """The spec and the weights, under our names, of a Hugging Face folder.

    Weights keep the dtype they are stored in; the token table has `vocab_size` rows. Raises
    InputError where files are missing, torn or do not fit together, SpecError for a setting that
    our parts do not compute.
    """
    folder = Path(folder)
    config = _read_json(folder / CONFIG)
    family_name, layout = _layout(folder, config)
    spec = spec_from_config(layout, config, family_name)
    return _named(folder, layout, spec, _read_tensors(folder))


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
    if sum(other.model_type == layout.model_type for _, other in _layouts()) > 1:
        config[OWN] = {**config.get(OWN, {}), "family": spec.family}
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
    start = getattr(spec.reading, "start_id", None) if spec.encoder is not None else None
    begins = {} if start is None else {"decoder_start_token_id": start}
    write_text(folder / "generation_config.json", _json(ends | begins))


def _layout(folder: Path, config: Mapping[str, Any]) -> tuple[str, HuggingFace]:
    """The family and the layout that the config names.

    Where several families share a type, the one that wrote the folder, or the first whose required
    settings hold.
    """
    named = config.get("model_type")
    layouts = {name: layout for name, layout in _layouts() if layout.model_type == named}
    if not layouts:
        known = dict.fromkeys(layout.model_type for _, layout in _layouts())
        raise SpecError(
            f"{folder / CONFIG} describes a model of type {named!r}; known are {', '.join(known)}."
        )
    own = config.get(OWN)
    writer = own.get("family") if isinstance(own, Mapping) else None
    if writer in layouts:
        return str(writer), layouts[str(writer)]
    for name, layout in layouts.items():
        try:
            spec_from_config(layout, config, name)
        except SpecError:
            continue
        return name, layout
    # What is wrong is said of the family that the config is most like.
    given = flat(config)
    return max(layouts.items(), key=lambda row: _alike(row[1], given))


def _alike(layout: HuggingFace, given: Mapping[str, Any]) -> int:
    """How many of the settings that a layout requires a config has."""
    return sum(given.get(key, value) == value for key, value in layout.required.items())


def _layouts() -> Iterator[tuple[str, HuggingFace]]:
    for name in FAMILIES:
        layout = getattr(family(name), "HUGGING_FACE", None)
        if layout is not None:
            yield name, layout


def _layout_of(spec: Spec) -> HuggingFace:
    layout: HuggingFace | None = getattr(family(spec.family), "HUGGING_FACE", None)
    if layout is None:
        raise SpecError(
            f"The family {spec.family} names no Hugging Face layout (HUGGING_FACE); save it with "
            'layout="hornbook".'
        )
    return layout


def _names(
    layout: HuggingFace, spec: Spec, network: Network
) -> Iterator[tuple[str, list[str], Form]]:
    """Every tensor that this network has: our name, their names without prefix, their form."""
    own = dict(network.named_parameters())
    experts = getattr(getattr(spec.stack.blocks[0], "feedforward", None), "n_experts", 0)
    for key in layout.keys:
        stack = spec.encoder if key.ours.startswith("encoder.") else spec.stack
        layers = stack.n_layers if stack is not None and "{layer}" in key.ours else 1
        theirs = (key.theirs,) if isinstance(key.theirs, str) else key.theirs
        for layer in range(layers):
            ours = key.ours.format(layer=layer)
            names = [
                name.format(layer=layer, expert=expert)
                for expert in range(experts if "{expert}" in theirs[0] else 1)
                for name in theirs
            ]
            if ours in own:
                yield ours, names, FORMS[key.form]


def _named(
    folder: Path, layout: HuggingFace, spec: Spec, tensors: dict[str, Tensor]
) -> tuple[Spec, dict[str, Tensor]]:
    """The tensors under our names: all of them, nothing besides, of the right shape, finite."""
    bare = _renamed(layout, tensors)
    for field, (sign, _) in layout.optional.items():
        if sign not in bare:
            spec = put(spec, [field], None)
    network = empty_network(spec, "meta")
    wanted = {name for _, names, _ in _names(layout, spec, network) for name in names}
    _drop_copies(folder, layout, bare, wanted)
    rows = rows_of(network)
    shapes = {name: tensor.shape for name, tensor in trim(network, network.state_dict()).items()}
    weights = {}
    for ours, theirs, (into, _) in _names(layout, spec, network):
        parts = []
        for name in theirs:
            if name not in bare:
                raise InputError(
                    f"{folder} lacks the tensor {name}; its download may be incomplete."
                )
            tensor = bare.pop(name)
            if tensor.dtype not in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
                raise InputError(
                    f"{folder}: the tensor {name} is stored as {tensor.dtype}; only float32, "
                    "float64, bfloat16 and float16 are read."
                )
            if not tensor.isfinite().all():
                raise InputError(
                    f"{folder}: the tensor {name} holds NaN or infinity; it is damaged."
                )
            parts.append(_into(folder, name, tensor, into))
        counts = [count for _, count in rows.get(ours, ())]
        weights[ours] = _joined(folder, theirs, parts, shapes[ours], counts)
    if bare:
        raise InputError(
            f"{folder} has tensors that this family does not know: {', '.join(sorted(bare)[:5])}."
        )
    return spec, weights


def _renamed(layout: HuggingFace, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without prefix and old buffers, and old names as they are called now.

    Raises SpecError for a tensor that our parts take to be zero and that is not.
    """
    bare = {name.removeprefix(layout.prefix): tensor for name, tensor in tensors.items()}
    for old, new in layout.renamed.items():
        bare = {
            name.removesuffix(old) + new if name.endswith(old) else name: tensor
            for name, tensor in bare.items()
        }
    for pattern in layout.ignored:
        for name in fnmatch.filter(bare, pattern):
            del bare[name]
    for name in layout.zeros:
        if name in bare and bool(bare.pop(name).any()):
            raise SpecError(f"The tensor {name} is not zero; only zero is computed here.")
    for name in layout.sinusoids:
        if name in bare and not _are_sinusoids(bare.pop(name)):
            raise SpecError(
                f"The tensor {name} is not the sines and cosines of the positions; only these are "
                "computed here."
            )
    return bare


def _are_sinusoids(table: Tensor) -> bool:
    """Whether row t has all sines of position t, then all cosines (`SinusoidalPositions`)."""
    expected = sinusoids(torch.arange(len(table)), table.shape[1], "halves")
    tolerance = 1e-2 if table.dtype.itemsize < 4 else 1e-4
    return float((table.double() - expected).abs().max()) < tolerance


def _drop_copies(
    folder: Path, layout: HuggingFace, bare: dict[str, Tensor], wanted: set[str]
) -> None:
    """Leave out stored copies of tied tensors; they must equal what they are tied to."""
    for copy, original in layout.tied.items():
        if copy not in bare or copy in wanted:
            continue
        if not torch.equal(bare.pop(copy), bare.get(original, torch.empty(0))):
            raise SpecError(
                f"{folder}: {copy} differs from {original}, but this family ties the two."
            )


def _into(folder: Path, name: str, tensor: Tensor, into: Callable[[Tensor], Tensor]) -> Tensor:
    """Our form of one of their tensors."""
    try:
        return into(tensor)
    except (IndexError, RuntimeError) as error:
        raise InputError(
            f"{folder}: the tensor {name} has shape {list(tensor.shape)}, not one of its family's."
        ) from error


def _joined(
    folder: Path,
    names: Sequence[str],
    parts: Sequence[Tensor],
    shape: torch.Size,
    counts: Sequence[int],
) -> Tensor:
    """Our tensor from theirs, each of which must have the shape of its part.

    counts: the rows of each part, where they differ; otherwise (experts) all have as many.
    """
    expected = [tuple(shape)]
    if len(names) > 1:
        even = [shape[:-1].numel() // len(names)] * len(names)
        rows = counts if len(counts) == len(names) else even
        expected = [(count, *shape[1:]) if len(shape) < 3 else (count, shape[-1]) for count in rows]
    for name, part, wanted in zip(names, parts, expected, strict=True):
        if tuple(part.shape) != wanted:
            raise InputError(
                f"{folder}: the tensor {name}, as [out, in], has shape {list(part.shape)}; its "
                f"{CONFIG} asks for {list(wanted)}."
            )
    return (
        torch.cat(list(parts)).view(shape).contiguous() if len(parts) > 1 else parts[0].contiguous()
    )


def _foreign(
    layout: HuggingFace, spec: Spec, weights: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Their names and tensors, padding trimmed."""
    network = empty_network(spec, "meta")
    rows, d_head = rows_of(network), spec.stack.attention.d_head
    for ours, theirs, (_, out) in _names(layout, spec, network):
        tensor = trim(network, {ours: weights[ours].detach().cpu()})[ours]
        counts = [count for _, count in rows.get(ours, ())]
        if len(theirs) == 1:
            parts = [tensor]
        elif len(counts) == len(theirs):
            parts = [*torch.split(tensor, counts)]
        else:
            parts = [*tensor.flatten(0, -2).chunk(len(theirs))]  # experts, one after another
        for name, part in zip(theirs, parts, strict=True):
            yield layout.prefix + name, out(part, d_head).contiguous()


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of one safetensors file, or of the shards that an index names."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / INDEX).exists():
        index = _read_json(folder / INDEX).get("weight_map")
        if not isinstance(index, Mapping):
            raise InputError(f"{folder / INDEX} has no weight_map; its download may be incomplete.")
        files = sorted(set(index.values()))
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
    tokenizer = load_tokenizer(tokenizer_directory)
    names = tokenizer.special_tokens
    end, turn = tokenizer.end_of_text_name, part_name("end_of_turn", names)
    ends = [names[name] for name in (end, turn) if name in names]
    if tokenizer.separator != "end":  # what a model learnt to go on with is what ends its text
        ends = list(dict.fromkeys([*tokenizer.text_edges[::-1], *ends]))
    begin = names.get(tokenizer.name_of("begin_of_text"), ends[0] if ends else None)
    return {"bos_token_id": begin, "eos_token_id": ends or None}


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
