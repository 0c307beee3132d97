"""Known mistakes of beam search, planted one at a time: the comparison sees each of them."""

import inspect

import pytest
import test_generation_beam as beams_tests
import torch
from oracles import pair

from hornbook.generation import beam, session

pytestmark = pytest.mark.slow


def rewritten(function, *changes):
    """The function with pieces of its source replaced; every piece must be there."""
    source = inspect.getsource(function)
    for old, new in changes:
        assert old in source, f"{old!r} is gone: plant the bug anew"
        source = source.replace(old, new)
    names = dict(vars(inspect.getmodule(function)))
    exec(source, names)
    return names[function.__name__]


def accept_ends_of_any_rank(patch):
    changed = rewritten(beam._advance, ("rank < beams.width and not full", "not full"))
    patch.setattr(beam, "_advance", changed)


def count_the_prompt(patch):
    changed = rewritten(
        beam._advance, ("/ length**beams.length_penalty", "/ (length + 9) ** beams.length_penalty")
    )
    patch.setattr(beam, "_advance", changed)


def leave_the_cache_in_its_order(patch):
    def reorder(self, rows):
        if hasattr(self, "new"):
            self.new = self.new[rows]
        else:
            self.tokens, self.starts = self.tokens[rows], self.starts[rows]

    patch.setattr(session.SequenceSession, "reorder", reorder)
    patch.setattr(session.SourceSession, "reorder", reorder)


BUGS = {
    "47-ends-of-any-rank": accept_ends_of_any_rank,
    "47-prompt-in-length": count_the_prompt,
    "47-cache-not-reordered": leave_the_cache_in_its_order,
}


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("family", ["gpt2", "llama2", "t5"])
def test_the_search_is_seen_to_differ(family, bug, tmp_path, monkeypatch):
    def pairs(name):
        return pair(name, torch.float32, tmp_path)

    beams_tests.test_beams_find_what_transformers_finds(pairs, family)
    BUGS[bug](monkeypatch)
    with pytest.raises(AssertionError, match=r"assert \[\d+"):
        beams_tests.test_beams_find_what_transformers_finds(pairs, family)
