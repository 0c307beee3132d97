import dataclasses
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_sections import PretrainingOptions

from hornbook.recipe.fingerprint import derive_seed, file_digest, fingerprint

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@dataclasses.dataclass(frozen=True)
class Spec:
    n_layers: int
    name: str = "gpt2"


def test_golden_fingerprints_never_change() -> None:
    """If this fails, every run that exists would be rebuilt: it is the code that is wrong."""
    value = {"b": [1, 2.5, True, None], "a": "Grüße", "c": (b"\x00\xff", 1e-7)}
    assert fingerprint(value) == "df4745dd765985ee0d883896074e3e91"
    assert fingerprint(PretrainingOptions()) == "f18d37170759172b7ce4f8d5ce41ee69"
    assert fingerprint(Spec(4)) == "c4c5337fdea11724d7b18ecf0407bb80"


def test_a_fingerprint_is_xxh3_128_of_canonical_json() -> None:
    value = {"b": [1, 2.5, True, None], "a": "Grüße", "c": (b"\x00\xff", 1e-7)}
    written = rb'{"a":"Gr\u00fc\u00dfe","b":[1,2.5,true,null],"c":[{"bytes":"00ff"},1e-07]}'
    assert fingerprint(value) == xxhash.xxh3_128(written).hexdigest()


def test_golden_seeds_never_change() -> None:
    assert derive_seed(0) == 4606732351274985690
    assert derive_seed(0, "dropout", 7) == 9213782877275220432
    assert derive_seed(2**40, "order", "code") == 5103294660907099009


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(), PLAIN, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_count(value: dict[str, Any]) -> None:
    assert fingerprint(dict(reversed(value.items()))) == fingerprint(value)


@settings(deadline=None, max_examples=100)
@given(PLAIN, PLAIN)
def test_different_values_differ(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (repr_sorted(one) == repr_sorted(other))


def repr_sorted(value: Any) -> str:
    """The independent view: Python's repr with sorted keys tells 1, 1.0 and True apart."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k!r}:{repr_sorted(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(repr_sorted, value)) + "]"
    return repr(value)


def test_only_hashed_options_count() -> None:
    plain = fingerprint(PretrainingOptions())
    assert fingerprint(PretrainingOptions(device="cpu", threads=3)) == plain
    assert fingerprint(PretrainingOptions(steps=1001)) != plain


def test_neighbouring_floats_differ() -> None:
    assert fingerprint(0.1) != fingerprint(0.1 + 2**-56)


@pytest.mark.parametrize("value", [{1, 2}, Path("x"), object(), {1: 2}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        fingerprint(value)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("nan"))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**62), st.lists(st.text() | st.integers(), max_size=3))
def test_seeds_have_63_bits_and_depend_on_the_whole_purpose(
    seed: int, purpose: list[str | int]
) -> None:
    derived = derive_seed(seed, *purpose)
    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, *purpose)
    assert derived != derive_seed(seed, *purpose, "more")
    assert derived != derive_seed(seed + 1, *purpose)


def test_a_file_is_digested_like_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(data)
    assert file_digest(tmp_path / "file") == xxhash.xxh3_128(data).hexdigest()
