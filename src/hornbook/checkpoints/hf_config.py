"""Settings of Hugging Face folders: from a config.json to a spec, and back."""

from collections.abc import Callable, Mapping
from typing import Any

from hornbook.errors import SpecError
from hornbook.models.choices import TiedHead, UntiedHead
from hornbook.models.exchange import HuggingFace, Setting
from hornbook.models.families import spec_for
from hornbook.models.paths import at, difference, put
from hornbook.models.spec import Spec

ALIASES = {
    "rope_theta": "rope_parameters.rope_theta",
    "partial_rotary_factor": "rope_parameters.partial_rotary_factor",
    "rope_scaling.rope_type": "rope_parameters.rope_type",
    "rope_scaling.type": "rope_parameters.rope_type",
}
"""Keys of older configs, and where they stand now."""

Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
CODECS: dict[str, Codec] = {
    "same": (lambda value: value, lambda value: value),
    # RoBERTa counts the two spare rows of its position table.
    "two_more": (lambda rows: rows - 2, lambda positions: positions + 2),
    "tied": (
        lambda tied: TiedHead() if tied else UntiedHead(),
        lambda head: isinstance(head, TiedHead),
    ),
    # GPT-Neo: [[["global", "local"], repetitions]]; a setting without paths gives the whole spec.
    "widest_band": (
        lambda width: width,
        lambda spec: max(b.attention.band for b in spec.stack.blocks) or 256,
    ),
    "layers": (
        lambda kinds: _cycle(tuple(kind == "local" for kind in kinds)),
        lambda spec: [_kind(spec.stack.layer(n)) for n in range(spec.n_layers)],
    ),
    "bands": (
        lambda types: _cycle(
            tuple(kind == "local" for kinds, times in types for kind in kinds * times)
        ),
        lambda spec: [[[_kind(spec.stack.layer(n)) for n in range(spec.n_layers)], 1]],
    ),
}
"""How values of settings are read and written, where the config has them in another form."""


def spec_from_config(layout: HuggingFace, config: Mapping[str, Any], family_name: str) -> Spec:
    """The spec that a config.json describes; absent keys have the family's published values."""
    given = flat(config)
    for key, value in layout.absent.items():
        given.setdefault(key, _named(value, given))
    for key, value in layout.required.items():
        only = _named(value, given)
        if given.get(key, only) != only:
            as_what = f" (as {value[1:]})" if only is not value else ""
            raise SpecError(
                f"The config's {key} is {given[key]!r}; only {only!r}{as_what} is computed here."
            )
    values = {
        setting.key: _decoded(layout, setting, given[setting.key])
        for setting in layout.settings
        if given.get(setting.key) is not None
    }
    arguments = {
        setting.argument: values[setting.key]
        for setting in layout.settings
        if setting.argument and setting.key in values
    }
    spec = spec_for(family_name, **arguments)
    for setting in layout.settings:
        for path in setting.paths if setting.key in values else ():
            spec = put(spec, path.split("."), values[setting.key])
    for path, value in layout.fixed.items():
        spec = put(spec, path.split("."), value)
    return spec


def config_from_spec(layout: HuggingFace, spec: Spec) -> dict[str, Any]:
    """The config.json of a spec. Raises SpecError where reading it back would give another spec."""
    without = {field: row for field, row in layout.optional.items() if not getattr(spec, field)}
    architectures = [architecture for _, architecture in without.values()]
    settings: dict[str, Any] = {**layout.absent, **layout.required, **layout.written}
    for setting in layout.settings:
        settings[setting.key] = _encoded(layout, setting, spec)
    config: dict[str, Any] = {}
    for key, value in settings.items():
        if not (isinstance(value, str) and value.startswith("=")):
            *outer, last = key.split(".")
            inner = config
            for name in outer:
                inner = inner.setdefault(name, {})
            inner[last] = value
    config |= {
        "architectures": [*architectures, layout.architecture][:1],
        "model_type": layout.model_type,
    }
    read_back = spec_from_config(layout, config, spec.family)
    for field in without:
        read_back = put(read_back, [field], None)
    different = difference(spec, read_back)
    if different:
        raise SpecError(
            f"The Hugging Face layout of {layout.model_type} cannot express this model's "
            f'{different}; save it with layout="hornbook".'
        )
    return config


def flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested keys as "a.b", without nulls; old names as they are called now."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        elif value is not None:
            found[before + key] = value
    for old, new in ALIASES.items():
        if old in found:
            found.setdefault(new, found[old])
    return found


def _named(value: Any, given: Mapping[str, Any]) -> Any:
    """A value of a table: "=other" stands for what the config has under that key."""
    return given.get(value[1:]) if isinstance(value, str) and value.startswith("=") else value


def _decoded(layout: HuggingFace, setting: Setting, value: Any) -> Any:
    """A config's value as our spec has it."""
    if setting.codec == "activation":
        if value not in layout.activations:
            raise SpecError(
                f"The config's {setting.key} is {value!r}; known are "
                f"{', '.join(layout.activations)}."
            )
        return layout.activations[value]
    if setting.codec == "same" and not isinstance(value, int | float):
        raise SpecError(f"The config's {setting.key} is {value!r}; it must be a number.")
    return CODECS[setting.codec][0](value)


def _cycle(kinds: tuple[bool, ...]) -> tuple[bool, ...]:
    """The shortest beginning whose repetition is the whole."""
    lengths = range(1, len(kinds) + 1)
    return next(kinds[:n] for n in lengths if all(k == kinds[i % n] for i, k in enumerate(kinds)))


def _kind(block: Any) -> str:
    """GPT-Neo's name of a layer."""
    return "local" if block.attention.band else "global"


def _encoded(layout: HuggingFace, setting: Setting, spec: Spec) -> Any:
    """A spec's value as the config has it."""
    try:
        value = at(spec, setting.paths[0]) if setting.paths else spec
    except (AttributeError, IndexError) as error:
        raise SpecError(
            f"The Hugging Face layout of {layout.model_type} needs {setting.paths[0]}, which this "
            'model does not have; save it with layout="hornbook".'
        ) from error
    if setting.codec == "activation":
        names = {ours: key for key, ours in reversed([*layout.activations.items()])}
        if value not in names:
            raise SpecError(
                f"The Hugging Face layout of {layout.model_type} has no name for the activation "
                f'{value!r}; save it with layout="hornbook".'
            )
        return names[value]
    return CODECS[setting.codec][1](value)
