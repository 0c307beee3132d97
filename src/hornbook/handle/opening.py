"""Build a model afresh, or open one from a run, a checkpoint or a Hugging Face folder."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.checkpoints import MANIFEST_FILE, WEIGHTS_FILE
from hornbook.checkpoints.hf import CONFIG, read_hf
from hornbook.checkpoints.read import Checkpoint, checkpoints_in, newest, read
from hornbook.errors import InputError, StorageError
from hornbook.handle.counted import FILE, CountedModel
from hornbook.handle.fitting import require_fit
from hornbook.handle.model import Model
from hornbook.models.build import build_network, convert, empty_network, fill
from hornbook.models.families import spec_for
from hornbook.models.ngrams.arpa import words_of
from hornbook.models.ngrams.arpa_reader import read_arpa
from hornbook.models.ngrams.model import NGram
from hornbook.models.spec import Spec, spec_from_dict
from hornbook.models.stacks import Network
from hornbook.recipe.plugins import find
from hornbook.runs.directory import RunDirectory, recorded
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
TRAINED = ("finetuning", "pretraining")
"""The stages of a run that end with a trained model, the last first."""

BASELINE = "baseline"
"""The stage that ends with a counted one, which is opened where it is asked for."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt")
"""Names under which a model's folder holds its tokenizer."""


@dataclass(frozen=True)
class Opened:
    """What a place holds: a spec, weights under our names, and a tokenizer if one is near."""

    spec: Spec
    weights: Mapping[str, Tensor]
    tokenizer: Tokenizer | None


def build(
    name: str = "gpt2",
    *,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    tokenizer: Tokenizer | None = None,
    **dimensions: Any,
) -> Model:
    """A model with fresh weights: a family, or a published size ("gpt2/124m").

    dimensions: n_layers, d_model, vocab_size and so on replace the family's; the vocabulary is by
    default the tokenizer's where one is given. Raises SpecError for what cannot be built.
    """
    if tokenizer is not None:
        dimensions = {"vocab_size": tokenizer.vocab_size, **dimensions}
    network = build_network(spec_for(name, **dimensions), seed)
    return Model(_placed(network, device, dtype), tokenizer)


def load(
    path: str | Path,
    device: str = "cpu",
    dtype: str = "float32",
    stage: str | None = None,
) -> Model | CountedModel:
    """Open a model: a `Model`, or a `CountedModel` of n-grams.

    path: a run directory (its last finished stage that trains a model, or `stage`, which may be
    "baseline"), a checkpoint or a folder of checkpoints (the newest good one), a Hugging Face
    folder, or a file of n-grams (.arpa, .safetensors). dtype: float32, float64, bfloat16 or
    float16; norms and the residual stream stay in float32 in the last two.

    Raises InputError where the path holds no model, StorageError where what it holds is damaged.
    """
    path = Path(path).expanduser()
    file = _counted_file(path, stage)
    if file is not None:
        _require_cpu(device, dtype)
        return _open_counted(file)
    opened = _open(path, stage)
    if opened is None:
        raise InputError(_nothing_found(path))
    network = empty_network(opened.spec)
    fill(network, opened.weights)
    if opened.tokenizer is not None:
        require_fit(path, opened.spec.vocab_size, opened.tokenizer)
    return Model(_placed(network, device, dtype), opened.tokenizer)


def _counted_file(path: Path, stage: str | None) -> Path | None:
    """The file of n-grams that is asked for; None where that is something else."""
    run = RunDirectory(path)
    if run.recipe_path.is_file() and run.manifest_path.is_file():
        found = run.find(BASELINE) if stage == BASELINE else None
        return None if found is None else found.directory / FILE
    files = (path, path / FILE) if stage is None else ()
    return next((file for file in files if file.is_file() and file.suffix in COUNTED_FILES), None)


def _open_counted(file: Path) -> CountedModel:
    """N-grams with the tokenizer that is near, where it is the one whose tokens they are of."""
    return COUNTED_FILES[file.suffix](file, _tokenizer_near(file))


def _open_arpa(file: Path, tokenizer: Tokenizer | None) -> CountedModel:
    model, words = read_arpa(file)
    fits = tokenizer is not None and words == words_of(tokenizer)
    return CountedModel(model, tokenizer if fits else None, words)


def _open_own(file: Path, tokenizer: Tokenizer | None) -> CountedModel:
    return CountedModel(NGram.load(file), tokenizer)


COUNTED_FILES = {".arpa": _open_arpa, ".safetensors": _open_own}


def _require_cpu(device: str, dtype: str) -> None:
    if (device, dtype) != ("cpu", "float32"):
        raise InputError(
            f"An n-gram model is looked up on the CPU, in float32; leave device {device!r} and "
            f"dtype {dtype!r} out."
        )


def _placed(network: Network, device: str, dtype: str) -> Network:
    """The network on its device and in its dtype."""
    if dtype not in DTYPES:
        raise InputError(f"The dtype {dtype!r} is unknown; known are {', '.join(DTYPES)}.")
    try:
        network.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The device {device!r} cannot be used here: {reason}") from error
    convert(network, DTYPES[dtype])
    return network


def _open(path: Path, stage: str | None) -> Opened | None:
    """What the path holds; None where it holds no model."""
    run = RunDirectory(path)
    if run.recipe_path.is_file() and run.manifest_path.is_file():
        return _open_run(run, stage)
    if stage is not None and path.exists():
        raise InputError(f"{path} is not a run, so it has no stage {stage!r}; leave `stage` out.")
    return _open_folder(path)


def _open_folder(path: Path) -> Opened | None:
    """A checkpoint, the newest good one of a folder of checkpoints, or a Hugging Face folder."""
    if (path / WEIGHTS_FILE).exists() or (path / MANIFEST_FILE).exists():
        return _open_checkpoint(read(path))
    if checkpoints_in(path):
        checkpoint = newest(path, report=lambda fault: warnings.warn(fault, stacklevel=5))
        return None if checkpoint is None else _open_checkpoint(checkpoint)
    if (path / CONFIG).is_file():
        return Opened(*read_hf(path), _tokenizer_in(path))
    return None


def _open_checkpoint(checkpoint: Checkpoint) -> Opened:
    """A checkpoint, with the tokenizer beside it or of the run it lies in."""
    stored = checkpoint.counters.get("spec")
    if stored is None:
        raise StorageError(f"{checkpoint.path}: the checkpoint does not say what model it holds.")
    spec = spec_from_dict(json.loads(stored) if isinstance(stored, str) else stored)
    return Opened(spec, checkpoint.weights(), _tokenizer_near(checkpoint.path))


def _open_run(run: RunDirectory, stage: str | None) -> Opened | None:
    """The model of one stage, or of the last finished one that trains a model."""
    if stage is not None and stage not in (*TRAINED, BASELINE):
        raise InputError(
            f"The stage {stage!r} trains no model; those that do are {', '.join(TRAINED)}, and "
            f"{BASELINE} counts one."
        )
    for name in TRAINED if stage is None else (stage,):
        found = run.find(name)
        for place in () if found is None else (found.directory, found.directory / "checkpoints"):
            opened = _open_folder(place)
            if opened is not None:
                return replace(opened, tokenizer=opened.tokenizer or _tokenizer_of(run))
    wanted = f"The stage {stage}" if stage else "No stage that trains a model"
    raise InputError(
        f"{wanted} {'has not' if stage else 'has'} finished in {run.path}; continue the run with "
        f"`hornbook resume {run.path}`, or open a checkpoint in it by its own path."
    )


def _tokenizer_of(run: RunDirectory) -> Tokenizer | None:
    """The tokenizer that a run trained or borrowed."""
    found = run.find("tokenizer")
    if found is None:
        return None
    # A recipe may name anyone's own code, and whoever opens a run trusts its recipe.
    kind = str(recorded(RunDirectory(found.directory.parent)).get("tokenizer", {}).get("kind", ""))
    if ":" in kind:
        find(kind, {})
    tokenizer = load_tokenizer(found.directory)
    tokenizer.separator = recorded(run).get("store", {}).get("separator", "end")
    return tokenizer


def _tokenizer_in(path: Path) -> Tokenizer | None:
    """The tokenizer in a folder, or in its folder `tokenizer`."""
    for folder in (path, path / "tokenizer"):
        if any((folder / name).is_file() for name in TOKENIZER_FILES):
            return load_tokenizer(folder)
    return None


def _tokenizer_near(path: Path) -> Tokenizer | None:
    """The tokenizer in a checkpoint, beside it, or of the run it lies in."""
    for place in (path, *path.absolute().parents[:3]):
        run = RunDirectory(place)
        in_run = run.recipe_path.is_file() and run.manifest_path.is_file()
        tokenizer = _tokenizer_of(run) if in_run else _tokenizer_in(place)
        if in_run or tokenizer is not None:
            return tokenizer
    return None


def _nothing_found(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist; give the path of a run, a checkpoint or a model's folder."
    return (
        f"{path} holds no model: looked for a run (manifest.json), a checkpoint ({WEIGHTS_FILE}), "
        f"checkpoints (step-…), a Hugging Face folder ({CONFIG}), and n-grams (a file "
        f"{' or '.join(COUNTED_FILES)})."
    )
