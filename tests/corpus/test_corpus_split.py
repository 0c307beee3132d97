"""The split: by hash of the group, the same side in every source, and never a side left empty."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.corpus.split import FEWEST_GROUPS, Side, draw, split, tail_start

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=60)


def rows(source: str, sizes: list[int], prefix: str = "g") -> list[tuple[str, str, int]]:
    return [(source, f"{prefix}{n}", size) for n, size in enumerate(sizes)]


@settings(deadline=None, max_examples=60)
@given(st.lists(SIZES, min_size=1, max_size=3), st.floats(0.01, 0.4), st.integers(0, 5))
def test_every_source_has_both_sides_and_groups_stay_whole(sources, fraction, seed):
    documents = [row for n, sizes in enumerate(sources) for row in rows(f"s{n}", sizes, f"s{n}g")]
    sides = split(documents, fraction, seed)
    for n in range(len(sources)):
        own = sides[[source == f"s{n}" for source, _, _ in documents]]
        if Side.BOTH in own:
            assert set(own) == {Side.BOTH}
        else:
            assert set(own) == {Side.TRAIN, Side.VALIDATION}


@settings(deadline=None, max_examples=30)
@given(st.integers(FEWEST_GROUPS, 80), st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_group_falls_alike_in_all_sources_and_orders(groups, seed, random):
    documents = [*rows("code", [1] * groups), *rows("docs", [1] * groups)]
    sides = dict(zip(documents, split(documents, 0.1, seed), strict=True))
    for n in range(groups):
        assert sides["code", f"g{n}", 1] == sides["docs", f"g{n}", 1]
    random.shuffle(documents)
    assert dict(zip(documents, split(documents, 0.1, seed), strict=True)) == sides


def test_the_share_is_about_the_fraction_and_follows_the_seed():
    documents = rows("s", [1] * 4000)
    first, second = split(documents, 0.05, 0), split(documents, 0.05, 1)
    for sides in (first, second):
        assert 0.035 < np.mean(sides == Side.VALIDATION) < 0.065
    assert np.mean((first == Side.VALIDATION) & (second == Side.VALIDATION)) < 0.01


def test_ten_groups_always_have_one_on_each_side():
    for seed in range(60):
        sides = split(rows("s", [1] * FEWEST_GROUPS), 0.06, seed)
        assert set(sides) == {Side.TRAIN, Side.VALIDATION}


def test_a_group_of_many_bytes_is_never_held_back():
    for seed in range(40):
        documents = rows("s", [100, *[1] * 300])
        assert split(documents, 0.05, seed)[0] == Side.TRAIN


def test_few_large_files_are_split_inside():
    assert set(split(rows("novels", [9] * 11), 0.04, 0)) == {Side.BOTH}


def test_draws_are_the_same_for_ever():
    assert draw(0, "os") == 0.38370914371443776


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ab \n", max_size=400), st.floats(0.01, 0.5))
def test_a_tail_leaves_two_parts_near_the_wanted_share(text, fraction):
    cut = tail_start(text, fraction)
    if len(text) < 2:
        assert cut == 0
        return
    assert 1 <= cut <= len(text) - 1
    assert abs(cut - len(text) * (1 - fraction)) <= len(text) * fraction / 2 + 1


def test_a_tail_begins_a_line_where_there_are_lines():
    text = "".join(f"line number {n}\n" for n in range(200))
    cut = tail_start(text, 0.05)
    assert text[cut - 1] == "\n"
    assert text[cut:].startswith("line number 19")
