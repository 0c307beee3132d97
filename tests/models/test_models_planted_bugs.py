"""Known mistakes, planted one at a time: the assertion that is there for it must catch each.

Every bug is a change to our own code or weights while it runs (`plants.py`, `rewritten.py`). Its
check is an ordinary test of this room, or one of the few checks below; it passes without the bug,
and with it one named assertion fails. The number in a bug's name groups those of one kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plants
import pytest
import rewritten
import test_models_families as families
import test_models_references as references
import test_models_sizes as sizes
import test_models_visibility as visibility
import test_models_xlnet as xlnet
import torch
import torch.nn.functional as F
from oracles import ORACLES, Pair, error, ours_of, pair, tokens
from plants import nothing, replaced

from hornbook.batches.batch import assemble
from hornbook.batches.rows import Rows
from hornbook.models.families import llama, mixtral, t5_1_1
from hornbook.objectives.split import Split

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@dataclass
class Bench:
    """One family's models, built anew with each call, and with the bug that is planted."""

    family: str
    folders: Path
    empty: Path
    change: plants.Change = nothing

    def pairs(self, family: str, dtype: torch.dtype = torch.float32) -> Pair:
        """As the fixture of this name."""
        return self.pair(family, dtype, self.folders)

    def pair(self, family: str, dtype: torch.dtype, folder: Path) -> Pair:
        """As `oracles.pair`."""
        made = pair(family, dtype, folder)
        with torch.no_grad():
            self.change(made.ours)
        return made

    @property
    def exactness(self) -> tuple[torch.dtype, float]:
        """In float64 where transformers computes in it."""
        return (torch.float64, 1e-10) if ORACLES[self.family].exact else (torch.float32, 1e-5)


Check = Callable[[Bench], None]


@dataclass(frozen=True)
class Bug:
    """A mistake: what it replaces in our code, or changes in a network; who must notice.

    says: part of the assertion that fails, its source or its message.
    """

    name: str
    check: Check
    says: str
    patch: plants.Patch = nothing
    change: plants.Change = nothing

    @property
    def family(self) -> str:
        """The first part of the name."""
        return self.name.split("-")[0]


# The checks: ordinary tests, in training (by blocks) and in inference.


def states(bench: Bench) -> None:
    for gradient in (True, False):
        families.test_every_hidden_state_equals_transformers(
            bench.pairs, bench.family, *bench.exactness, gradient
        )


def logits(bench: Bench) -> None:
    families.test_logits_equal_transformers(bench.pairs, bench.family, *bench.exactness, False)


def every_eps(bench: Bench) -> None:
    with replaced(families, "pair", bench.pair):
        families.test_every_eps_is_theirs(bench.folders, bench.empty, bench.family)


def segments(bench: Bench) -> None:
    families.test_segments_and_scores_of_pairs_equal_transformers(
        bench.pairs, bench.family, *bench.exactness
    )


def positions_of_ids(bench: Bench) -> None:
    families.test_positions_are_read_off_the_ids(bench.pairs, bench.family)


def padded_like_theirs(bench: Bench) -> None:
    families.test_padded_sources_equal_transformers(bench.pairs, bench.family, "left")


def buckets(bench: Bench) -> None:
    families.test_buckets_of_distances_are_those_of_the_released_code(bench.pairs, bench.family)


def bands(bench: Bench) -> None:
    for gradient in (True, False):
        families.test_each_layer_sees_exactly_its_band((False, True), 5, gradient)


def tied(bench: Bench) -> None:
    with replaced(families, "pair", bench.pair):
        families.test_a_tied_head_is_the_token_table_itself(bench.folders, bench.family)


def the_past_alone(bench: Bench) -> None:
    for gradient in (True, False):
        visibility.test_a_decoder_sees_itself_and_the_past_alone(
            bench.pairs, bench.family, gradient
        )


def padding_at_the_left(bench: Bench) -> None:
    for gradient in (True, False):
        visibility.test_padding_at_the_left_changes_nothing(bench.pairs, bench.family, gradient)


def padding_at_the_right(bench: Bench) -> None:
    for gradient in (True, False):
        visibility.test_padding_at_the_right_changes_nothing(bench.pairs, bench.family, gradient)


def padding_of_the_source(bench: Bench) -> None:
    for gradient in (True, False):
        visibility.test_padding_of_a_source_changes_nothing(
            bench.pairs, bench.family, "right", gradient
        )


def cached(bench: Bench) -> None:
    for chunks in ((29,), (1, 2, 26)):
        visibility.test_tokens_in_chunks_over_a_cache_equal_all_at_once(
            bench.pairs, bench.family, chunks
        )


def two_streams(bench: Bench) -> None:
    for flags in ({}, {"memory": True, "segments": True, "some": True}):
        xlnet.test_both_streams_equal_transformers(bench.pairs, flags)


def memory(bench: Bench) -> None:
    xlnet.test_memory_is_that_of_transformers(bench.pairs, {"memory": True, "segments": True})


def constant_memory(bench: Bench) -> None:
    references.test_what_is_remembered_has_no_gradient(bench.family)


def content_and_queries(bench: Bench) -> None:
    for remembered in (0, 9):
        xlnet.test_content_sees_itself_and_queries_do_not(bench.pairs, remembered)


def counted(size: str) -> Check:
    return lambda bench: sizes.test_a_published_size_is_exact(bench.family, size)


def drawn(bench: Bench) -> None:
    sizes.test_fresh_weights_have_the_deviation_of_their_role(bench.family)


def slow_model(bench: Bench) -> None:
    for gradient in (True, False):
        references.test_hidden_states_of_every_layer_equal_the_slow_model(
            expected(bench), bench.family, gradient
        )


def parts_a_and_b(bench: Bench) -> None:
    for gradient in (True, False):
        references.test_the_beginning_sees_itself_and_the_rest_what_is_before(
            expected(bench), bench.family, gradient
        )


def worked_example(bench: Bench) -> None:
    references.test_chatglms_worked_example(bench.family)


def second_layers(bench: Bench) -> None:
    for gradient in (True, False):
        references.test_every_second_layer_sees_a_band(expected(bench), bench.family, gradient)


SLOW: dict[str, Any] = {}


def expected(bench: Bench) -> dict[str, Any]:
    """As the fixture of the references: the slow model's results are made once, before any bug."""
    case = references.CASES[bench.family]
    network = references.redrawn(case.spec)
    weights = references.weights_of(network)
    if bench.family not in SLOW:
        SLOW[bench.family] = case.reference(weights)
    with torch.no_grad():
        bench.change(network)
    return {bench.family: (network, weights, *SLOW[bench.family])}


# The checks that are no test elsewhere.


def shares(bench: Bench) -> None:
    """Every query reads itself and what is before, in shares that add up to one."""
    ours = bench.pairs(bench.family, torch.float64).ours
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            references.assert_attention(ours, 1, 11, reach=11)


def dropout_after_the_norm(bench: Bench) -> None:
    """Under one seed the same embeddings are dropped as in transformers."""
    ours, _, theirs = bench.pairs(bench.family)
    ours.embedding.dropout = theirs.bert.embeddings.dropout.p = 0.5
    ours.train()
    theirs.train()
    torch.manual_seed(5)
    first = ours_of(ours, tokens()).states[0]
    torch.manual_seed(5)
    other = theirs(tokens(), output_hidden_states=True).hidden_states[0]
    assert (other == 0).float().mean() > 0.4
    assert error(first, other) < 1e-5, "dropout falls elsewhere"


def spare_rows(bench: Bench) -> None:
    """The first two rows of BART's position tables belong to no position."""
    ours = bench.pairs(bench.family).ours
    ours(tokens(), tokens(length=7)).last.square().sum().backward()
    for embedding in (ours.embedding, ours.source_embedding):
        gradient = embedding.positions.weight.grad
        assert not gradient[:2].any(), "a spare row is used"
        assert gradient[2:9].any(-1).all()


def loss_of_a_target(bench: Bench) -> None:
    """The loss of a text cut in two is that of transformers, which shifts the labels itself."""
    ours, whole, theirs = bench.pairs(bench.family)
    ids = tokens(length=14)
    rows = Rows(ids.numpy(), np.zeros((2, 14), np.int32), np.ones((2, 14), bool))
    objective = Split(whole.reading.start_id)
    arrays = objective.prepare(rows, np.arange(2))
    batch = assemble(arrays, "split", np.ones(101, np.int64), objective.mask)
    with torch.no_grad():
        found = objective.loss(ours, batch)
        mean = theirs(ids[:, :6], labels=ids[:, 6:].contiguous()).loss.item()
    assert (found.total / found.targets).item() == pytest.approx(mean, rel=1e-5)


def distances_alone(bench: Bench) -> None:
    """Where all positions are moved by the same number nothing changes; angles are float32."""
    ours = bench.pairs(bench.family, torch.float64).ours
    with torch.no_grad():
        here = ours(tokens(length=12)).last
        there = ours(tokens(length=12), positions=torch.arange(5, 17)[None]).last
    assert error(there, here) < 1e-4, "where the positions begin is seen"


STATE = "error(state, expected) < tolerance"
LOGITS = "error(own.logits, other.logits) < tolerance"
STREAM, SLOW_STATE = "error(state[case.there], expected[case.there])", "error(own, other) < 1e-10"
MEMORY, EPS = "error(found[there], expected.transpose(0, 1)", "difference() < 1e-5"
ALONE, CACHED = (
    "error(results[0], ",
    "error(torch.cat([part.last for part in parts], 1), whole.last)",
)
SEEN, QUERIES = "torch.equal(reached, (distance >= 0)", "torch.equal(reached, sees)"
COUNT, TIED = "== held == ", "change[:, 7].abs().min() > 1e-6"
MEAN, SHIFT = "== pytest.approx(mean", "where the positions begin is seen"


def all_places(ids: torch.Tensor) -> torch.Tensor:
    return torch.arange(ids.shape[1]).expand(ids.shape)


def first_row_0(ids: torch.Tensor) -> torch.Tensor:
    return ((ids != 1).long().cumsum(1) * (ids != 1) - 3).clamp(min=-2)


BUGS = [
    Bug("gpt1-01-pre-norm", states, STATE, plants.pre_norm),
    Bug("gpt1-01-final-norm", states, STATE, change=plants.a_final_norm),
    Bug("gpt2-02-no-final-norm", states, STATE, change=plants.no_final_norm),
    Bug("gpt2-03-erf-gelu", states, STATE, plants.other_gelu("gelu_tanh", "gelu_erf")),
    Bug("bert-03-tanh-gelu", states, STATE, plants.other_gelu("gelu_erf", "gelu_tanh")),
    Bug("gpt2-04-map-not-transposed", states, STATE, plants.output_map_as_it_stands),
    Bug("gpt2-05-fused-map-per-head", states, STATE, change=plants.per_head(4, (1, 1, 1))),
    Bug("gpt2-06-scale-by-width", states, STATE, plants.scale_by_the_width),
    Bug("transformer-06-scale-by-width", states, STATE, plants.scale_by_the_width),
    Bug("gpt2-07-sees-the-next", the_past_alone, "same_before(own", plants.visible_up_to(1)),
    Bug("gpt2-07-sees-not-itself", shares, "query 0 sees []", plants.visible_up_to(-1)),
    Bug("gpt2-08-mask-after-softmax", shares, "shares of query 0 add up", rewritten.hidden_after),
    Bug("gpt2-08-mask-multiplies", the_past_alone, "same_before(own", rewritten.hidden_as_zero),
    Bug("gpt2-09-positions-unshifted", padding_at_the_left, ALONE, plants.unshifted_positions),
    Bug("llama-09-padding-seen", padding_at_the_left, ALONE, plants.all_seen("same_document")),
    Bug("bert-10-padding-right", padding_at_the_right, ALONE, plants.all_seen("padding")),
    Bug("bert-10-padding-left", padding_at_the_left, ALONE, plants.all_seen("present")),
    Bug("bart-10-source-padding", padding_of_the_source, ALONE, plants.source_padding_is_seen),
    Bug("gpt3-11-band-of-one-more", bands, SEEN, plants.wider_band),
    Bug("gpt3-12-all-banded", bands, SEEN, plants.other_layers(lambda n: 1)),
    Bug("gpt3-12-others-banded", second_layers, "layer 0: query 3 sees [1",
        plants.other_layers(lambda n: n + 1)),
    Bug("bert-13-no-embedding-norm", states, STATE, change=plants.no_embedding_norm),
    Bug("bert-13-norm-after-dropout", dropout_after_the_norm, "dropout falls elsewhere",
        plants.norm_after_dropout),
    Bug("bert-14-no-norm-in-the-head", logits, LOGITS, change=plants.no_transform_norm),
    Bug("bert-14-no-bias-in-the-head", logits, LOGITS, change=plants.no_own_bias),
    Bug("bert-16-segments-ignored", segments, STATE, plants.one_segment),
    Bug("roberta-17-from-0", positions_of_ids, "found.tolist() ==",
        plants.positions_from(first_row_0)),
    Bug("roberta-17-from-the-mask", positions_of_ids, "found.tolist() ==",
        plants.positions_from(all_places)),
    Bug("roberta-17-padding-counted", padded_like_theirs, "error(own.logits[there]",
        plants.positions_from(all_places)),
    Bug("bert-18-large-eps", every_eps, EPS, change=plants.with_eps(1e-5)),
    Bug("roberta-18-small-eps", every_eps, EPS, change=plants.with_eps(1e-12)),
    Bug("gpt2-19-unbiased-variance", states, STATE, rewritten.layer_norm_with(1)),
    Bug("bart-20-offset-0", states, STATE, change=plants.offset_of(0)),
    Bug("bart-20-offset-1", spare_rows, "a spare row is used", change=plants.offset_of(1)),
    Bug("bart-21-shifted-twice", loss_of_a_target, MEAN,
        plants.prepared_with(plants.shifted_twice)),
    Bug("bart-21-begun-with-bos", loss_of_a_target, MEAN,
        plants.prepared_with(plants.begun_with_bos)),
    Bug("transformer-22-source-causal", states, STATE, plants.source_seen_causally),
    Bug("bart-22-source-causal", states, STATE, plants.source_seen_causally),
    Bug("t5-22-source-causal", states, STATE, plants.source_seen_causally),
    Bug("t5-23-scaled-scores", states, STATE, change=plants.scaled_scores),
    Bug("t5-24-sign-of-distances", buckets, "encoder.bias.buckets(-back)", plants.query_minus_key),
    Bug("t5_1_1-24-sign-of-distances", states, STATE, plants.query_minus_key),
    Bug("t5-24-buckets-both-ways", buckets, "decoder.bias.buckets(", change=plants.both_ways),
    Bug("t5-24-the-encoders-table", states, STATE, change=plants.the_encoders_table),
    Bug("t5-25-first-layer-alone", states, STATE, change=plants.bias_of_the_first_layer_alone),
    Bug("t5-25-a-table-a-layer", counted("small"), COUNT, plants.a_table_a_layer),
    Bug("t5-26-unscaled-logits", logits, LOGITS, change=plants.unscaled_head),
    Bug("t5_1_1-26-scaled-logits", logits, LOGITS, change=plants.scaled_head),
    Bug("t5_1_1-27-gate-and-up", states, STATE,
        plants.swapped_keys(t5_1_1, "feedforward.up.weight")),
    Bug("llama-27-gate-and-up", states, STATE, plants.swapped_keys(llama, "feedforward.up.weight")),
    Bug("mixtral-27-gate-and-up", states, STATE, plants.swapped_keys(mixtral, "feedforward.up")),
    Bug("llama-28-centred", states, STATE, rewritten.rms_norm_with(centred=True)),
    Bug("t5-28-centred", states, STATE, rewritten.rms_norm_with(centred=True)),
    Bug("llama-28-eps-outside", every_eps, EPS, rewritten.rms_norm_with(outside=True)),
    Bug("t5_1_1-28-eps-outside", every_eps, EPS, rewritten.rms_norm_with(outside=True)),
    Bug("llama-29-neighbours-turn", states, STATE, change=plants.with_rotation(layout="pairs")),
    Bug("qwen3-29-neighbours-turn", states, STATE, change=plants.with_rotation(layout="pairs")),
    Bug("palm-29-halves-turn", states, STATE, change=plants.with_rotation(layout="halves")),
    Bug("chatglm2-29-halves-turn", states, STATE, change=plants.with_rotation(layout="halves")),
    Bug("llama-29-metas-rows", states, STATE, change=plants.from_meta_as_it_stands),
    Bug("llama2-29-metas-rows", states, STATE, change=plants.from_meta_as_it_stands),
    Bug("llama-30-values-turn", distances_alone, SHIFT, plants.values_turn_too),
    Bug("chatglm2-30-values-turn", states, STATE, plants.values_turn_too),
    Bug("chatglm2-30-all-turns", states, STATE, change=plants.with_rotation(share=1.0)),
    Bug("gpt2-31-positions-restart", cached, CACHED, change=plants.positions_begin_again),
    Bug("llama-31-positions-restart", cached, CACHED, change=plants.positions_begin_again),
    Bug("llama2-32-heads-tiled", states, STATE,
        rewritten.grouped_with(lambda x, n: x.repeat(1, 1, n, 1))),
    Bug("llama2-33-inner-width-of-70b", counted("70b"), COUNT, plants.a_narrow_seventy_billion),
    Bug("palm-34-one-after-the-other", states, STATE,
        rewritten.parallel_with(lambda block, x, n, y: block.norm(x + y))),
    Bug("palm-34-two-norms", states, STATE, rewritten.parallel_with(
        lambda block, x, n, y: F.layer_norm(x, x.shape[-1:], eps=block.norm.eps))),
    Bug("palm-35-unscaled-logits", logits, LOGITS, change=plants.unscaled_head),
    Bug("xlnet-36-distances-one-off", two_streams, STREAM,
        rewritten.on_distances(lambda distance, keys: keys - distance + 1)),
    Bug("xlnet-36-sign-of-distances", two_streams, STREAM, plants.distances_the_other_way),
    Bug("xlnet-37-queries-see-themselves", content_and_queries, QUERIES,
        plants.queries_see_themselves),
    Bug("xlnet-37-content-sees-not-itself", two_streams, STREAM, plants.content_sees_not_itself),
    Bug("xlnet-38-outputs-remembered", memory, MEMORY, plants.outputs_are_remembered),
    Bug("xlnet-38-memory-with-gradient", constant_memory, "reaches the segment before",
        plants.remembered_with_gradient),
    Bug("xlnet-39-memory-another-segment", two_streams, STREAM, plants.memory_is_another_segment),
    Bug("glm-40-part-a-sees-part-b", parts_a_and_b, "is seen by", plants.part_a_sees_part_b),
    Bug("glm-40-own-places", worked_example, "places == [[0, 1, 2, 2, 2, 2]]", plants.own_places),
    Bug("chatglm-41-residual-of-the-stream", slow_model, SLOW_STATE,
        rewritten.residual_with(lambda x, u: x)),
    Bug("chatglm-41-smaller-alpha", slow_model, SLOW_STATE, change=plants.a_smaller_alpha),
    Bug("chatglm-42-fused-map-per-head", slow_model, SLOW_STATE,
        change=plants.per_head(3, (1, 1, 1))),
    Bug("chatglm2-42-fused-map-per-group", states, STATE, change=plants.per_head(2, (3, 1, 1))),
    Bug("mixtral-48-not-normalised", states, STATE, rewritten.experts_with(lambda p: p)),
    Bug("gpt2-49-head-copied", tied, TIED, change=plants.a_copied_head),
    Bug("t5-49-head-copied", tied, TIED, change=plants.a_copied_head),
    Bug("gpt2-49-head-of-its-own", counted("124m"), COUNT, plants.a_head_of_its_own),
    Bug("gpt2-50-residuals-as-large", drawn, "pytest.approx(deviation", plants.residuals_as_large),
    Bug("glm-50-residuals-as-large", drawn, "pytest.approx(deviation", plants.residuals_as_large),
]  # fmt: skip


RIGHT = [
    Bug("gpt2-08", shares, "", rewritten.hidden_before),
    Bug("gpt2-19", states, "", rewritten.layer_norm_with(0)),
    Bug("llama-28", every_eps, "", rewritten.rms_norm_with()),
    Bug("llama2-32", states, "", rewritten.grouped_with(lambda x, n: x.repeat_interleave(n, 2))),
    Bug("palm-34", states, "", rewritten.parallel_with(lambda block, x, n, y: n)),
    Bug(
        "xlnet-36", two_streams, "", rewritten.on_distances(lambda distance, keys: keys - distance)
    ),
    Bug("chatglm-41", slow_model, "", rewritten.residual_with(lambda x, u: u)),
    Bug("mixtral-48", states, "", rewritten.experts_with(lambda p: p / p.sum(-1, keepdim=True))),
]


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught_by_its_assertion(bug, folders, tmp_path, monkeypatch):
    bug.check(Bench(bug.family, folders, tmp_path / "right"))
    bug.patch(monkeypatch)
    with pytest.raises(AssertionError) as caught:
        bug.check(Bench(bug.family, folders, tmp_path / "wrong", bug.change))
    own = [entry for entry in caught.traceback if Path(entry.path).parent == HERE]
    failed = " ".join(str(own[-1].statement).split())
    assert bug.says in f"{failed}\n{caught.value}"


@pytest.mark.parametrize("part", RIGHT, ids=lambda part: part.name)
def test_a_part_written_anew_without_a_mistake_is_not_caught(part, folders, tmp_path, monkeypatch):
    """What the bugs above replace parts with is right but for the bug."""
    part.patch(monkeypatch)
    part.check(Bench(part.family, folders, tmp_path))
