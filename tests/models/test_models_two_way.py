"""Two directions over one token table: against loops, and who sees whom."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import two_way_loops as loops

import hornbook
from hornbook.batches import masks
from hornbook.batches.batch import IGNORED, assemble
from hornbook.batches.rows import Rows
from hornbook.errors import InputError, SpecError
from hornbook.handle.contextual import contextual_vectors
from hornbook.handle.model import Model
from hornbook.models import recurrences, two_way
from hornbook.models.build import build_network, trim
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.models.parts import make
from hornbook.models.parts.layer_mix import LayerMix
from hornbook.models.parts.recurrent import Recurrence, ResidualRecurrence
from hornbook.models.two_way import TwoWayNetwork
from hornbook.objectives.both_ways import BothWays
from hornbook.objectives.causal import Causal

VOCABULARY, D, LAYERS, LENGTH = 23, 10, 3, 9
ROWS = np.random.default_rng(0).permuted(np.tile(np.arange(VOCABULARY), (3, 1)), axis=1)[:, :LENGTH]
DOCUMENTS = np.array([[0] * 4 + [1] * 5, [0] * 6 + [-1] * 3, [0, 0, 1, 2, 2, -1, -1, -1, -1]])
TOKENS = torch.from_numpy(ROWS)
LABELS = torch.from_numpy(DOCUMENTS)
LENGTHS = torch.tensor([9, 6, 5])
FORMS = {
    "no mask": (None, torch.zeros_like(LABELS)),
    "causal": (masks.causal(), torch.zeros_like(LABELS)),
    "padding": (masks.padding(LENGTHS), LABELS.clamp(max=0)),
    "padding at the left": (masks.present(LABELS.flip(1) >= 0), LABELS.flip(1).clamp(max=0)),
    "documents": (masks.same_document(LABELS), LABELS),
    "documents and padding": (
        masks.same_document(LABELS.clamp(min=0)) & masks.padding(LENGTHS),
        LABELS,
    ),
    "documents, causal": (masks.causal() & masks.same_document(LABELS), LABELS),
}


of_bilm = pytest.mark.parametrize("family", ["bilm"])
"""The row of the families' table."""


def redrawn(tied=False, **other):
    """A network in float64 in which no parameter is constant."""
    shape = {"vocab_size": VOCABULARY, "d_model": D, "n_layers": LAYERS, "dropout": 0.0}
    network = build_network(spec_for("bilm", tied=tied, **shape | other)).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trim(network, dict(network.named_parameters())).values():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.5 * noise)
            assert parameter.flatten().unique().numel() == parameter.numel()
    return network


def weights_of(network):
    """Leaves of our loops, by name."""
    trimmed = trim(network, dict(network.named_parameters()))
    return {name: own.detach().clone().requires_grad_() for name, own in trimmed.items()}


def batch_of(objective, rows=ROWS, documents=DOCUMENTS):
    given = Rows(rows, documents.astype(np.int32), np.ones(rows.shape, dtype=bool))
    arrays = objective.prepare(given, np.arange(len(rows)))
    return assemble(arrays, objective.name, np.full(VOCABULARY, 2), objective.mask)


def other_at(place, rows=TOKENS):
    changed = rows.clone()
    changed[:, place] = (changed[:, place] + 1) % VOCABULARY
    return changed


def require_states(network, form="documents"):
    mask, labels = FORMS[form]
    weights = weights_of(network)
    with torch.no_grad():
        found = network(TOKENS, mask=mask, hidden_states=True)
        after, before = network.logits(found.last), network.logits_before(found.last)
        assert len(found.states) == LAYERS + 1
        for row in range(len(TOKENS)):
            forth, back = loops.read(weights, LAYERS, TOKENS[row].tolist(), labels[row].tolist())
            for place in np.flatnonzero(labels[row] >= 0):
                for layer in range(LAYERS + 1):
                    expected = torch.cat([forth[layer][place], back[layer][place]])
                    slip = (found.states[layer][row, place] - expected).abs().max()
                    assert slip < 1e-12, f"a state of layer {layer} is not that of the loops"
                for made, state in ((after, forth), (before, back)):
                    expected = loops.scores(weights, state[-1][place])
                    slip = (made[row, place].log_softmax(-1) - expected).abs().max()
                    assert slip < 1e-12, "a prediction is not that of the loops"
    assert torch.equal(found.last, found.states[-1])


@pytest.mark.column("oracle")
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("form", FORMS)
@of_bilm
def test_states_and_predictions_are_those_of_loops(family, form, tied):
    require_states(redrawn(tied), form)


@pytest.mark.column("gradients")
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("parted", [True, False])
@of_bilm
def test_the_loss_and_its_gradients_are_those_of_loops(family, parted, tied):
    network, objective = redrawn(tied), BothWays(same_document=parted)
    weights = weights_of(network)
    loss = objective.loss(network, batch_of(objective))
    rows, documents = ROWS.tolist(), DOCUMENTS.tolist()
    expected, count = loops.loss(weights, LAYERS, rows, documents, parted)
    assert loss.targets == count == 2 * (8 + 5 + 4)
    torch.testing.assert_close(loss.total, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.metrics["nll"], expected.detach(), rtol=1e-12, atol=0)
    loss.total.backward()
    expected.backward()
    own = trim(network, {name: p.grad for name, p in network.named_parameters()})
    for name, leaf in weights.items():
        assert leaf.grad.abs().max() > 1e-3
        torch.testing.assert_close(own[name], leaf.grad, rtol=1e-9, atol=1e-11)


def test_bytes_are_counted_once_a_direction():
    batch = batch_of(BothWays())
    assert batch.byte_count == 2 * batch.target_count
    assert batch.select(slice(1, 2)).target_count == 2 * 5
    assert sum(batch.select(slice(i, i + 1)).byte_count for i in range(3)) == batch.byte_count


def test_what_is_before_and_after_are_the_targets():
    rows, documents = np.array([[5, 6, 7, 8]]), np.array([[0, 0, 0, -1]])
    batch = batch_of(BothWays(), rows, documents)
    no = IGNORED
    assert batch.tokens.tolist() == [[5, 6, 7, 8]]
    assert batch.targets.tolist() == [[6, 7, no, no, no, 5, 6, no]]


@pytest.mark.column("mask property")
@pytest.mark.parametrize("place", [0, 4, LENGTH - 1])
@of_bilm
def test_the_forward_half_sees_the_past_and_the_backward_half_what_comes(family, place):
    network = redrawn()
    with torch.no_grad():
        moved = network(TOKENS).last - network(other_at(place)).last
    forth, back = (half.abs().amax((0, 2)) for half in moved.chunk(2, dim=-1))
    assert not forth[:place].any()
    assert forth[place:].min() > 1e-6
    assert not back[place + 1 :].any()
    assert back[: place + 1].min() > 1e-6


@pytest.mark.column("mask property")
@of_bilm
def test_documents_do_not_see_each_other(family):
    network = redrawn()
    mask = masks.same_document(LABELS)
    with torch.no_grad():
        moved = network(TOKENS, mask=mask).last - network(other_at(3), mask=mask).last
    reached = moved.abs().amax(-1) > 0
    same = (LABELS[:, 3:4] == LABELS) & (LABELS >= 0)
    assert torch.equal(reached, same)


def require_padding_unread(network):
    with torch.no_grad():
        mask = masks.padding(LENGTHS)
        found = network(TOKENS, mask=mask).last
        filled = network(torch.where(LABELS < 0, 7, TOKENS), mask=mask).last
        for row, length in enumerate(LENGTHS):
            assert torch.equal(found[row, :length], filled[row, :length]), "padding is read"
            alone = network(TOKENS[row : row + 1, :length]).last[0]
            assert (alone - found[row, :length]).abs().max() < 1e-12, "padding is read"


@pytest.mark.column("batch invariance")
@of_bilm
def test_padding_is_not_read_by_either_direction(family):
    require_padding_unread(redrawn())


def require_blind(network, objective):
    """Rows hold every token at most once: a prediction moves by no change of what it predicts."""
    batch = batch_of(objective)

    def predicted(tokens):
        halves = network(tokens, mask=batch.mask).last.chunk(2, dim=-1)
        return torch.cat(halves, dim=1)

    with torch.no_grad():
        own = predicted(batch.tokens)
        for row, slot in (batch.targets != IGNORED).nonzero().tolist():
            here = batch.tokens[row] == batch.targets[row, slot]
            assert here.sum() == 1
            changed = batch.tokens.clone()
            changed[row, here] = (changed[row, here] + 1) % VOCABULARY
            assert torch.equal(predicted(changed)[row, slot], own[row, slot]), "a target is seen"


@pytest.mark.parametrize("parted", [True, False])
def test_no_prediction_sees_its_target(parted):
    require_blind(redrawn(), BothWays(same_document=parted))


def require_one_output_layer(network):
    trimmed = trim(network, dict(network.named_parameters()))
    count = sum(parameter.numel() for parameter in trimmed.values())
    assert count == parameters(network.spec)["total"], "weights are not those that are counted"
    with torch.no_grad():
        last = network(TOKENS).last
        first = [network.logits(last)[..., 4], network.logits_before(last)[..., 4]]
        network.output.weight[4] += 1.0
        then = [network.logits(last)[..., 4], network.logits_before(last)[..., 4]]
    for own, half, before in zip(then, last.chunk(2, dim=-1), first, strict=True):
        moved = (own - before - half.sum(-1)).abs().max()
        assert moved < 1e-12, "a direction has an output layer of its own"


@pytest.mark.parametrize("tied", [True, False])
def test_both_directions_share_the_output_layer(tied):
    require_one_output_layer(redrawn(tied))


def test_arithmetic_counts_both_directions_and_both_predictions():
    lstm = LAYERS * 4 * D * (D + D)
    assert flops_per_token(redrawn().spec, LENGTH) == 6 * 2 * (lstm + VOCABULARY * D)
    one_way = spec_for("lstm", vocab_size=VOCABULARY, d_model=D, n_layers=LAYERS)
    assert flops_per_token(one_way, LENGTH) == 6 * (lstm + VOCABULARY * D)


@pytest.mark.column("cache")
@pytest.mark.parametrize("chunks", [(1, 2, 6), (7, 1, 1), (9,)], ids=str)
@of_bilm
def test_the_forward_half_goes_on_over_a_cache(family, chunks):
    network = redrawn()
    with torch.no_grad():
        whole = network(TOKENS).last[..., :D]
        cache, parts = network.new_cache(3, 4), []
        for chunk in TOKENS.split(chunks, dim=1):
            parts.append(network.predict_next(chunk, cache=cache).last)
    found = torch.cat(parts, 1)
    assert (found - whole).abs().max() < 1e-12
    widened = torch.cat([found, torch.zeros_like(found)], -1)
    assert (network.logits(found) - network.logits(widened)).abs().max() < 1e-12


def test_bits_per_byte_are_those_of_the_forward_half():
    network = redrawn(tied=True)
    causal = Causal().loss(network, batch_of(Causal())).metrics["nll"]
    both = BothWays().loss(network, batch_of(BothWays()))
    weights, expected = weights_of(network), 0.0
    for tokens, labels in zip(ROWS.tolist(), DOCUMENTS.tolist(), strict=True):
        n = sum(label >= 0 for label in labels)
        forth, _ = loops.read(weights, LAYERS, tokens, [0] * len(tokens))
        for place in range(n - 1):
            said = loops.scores(weights, forth[-1][place])[tokens[place + 1]]
            expected -= float(said.detach())
    assert float(causal) == pytest.approx(expected, rel=1e-12)
    assert 0 < float(causal) < float(both.metrics["nll"])


def mixed(states, weights, gamma):
    """Equation 1, term by term."""
    powers = [float(np.exp(weight)) for weight in weights]
    total = sum(powers)
    return gamma * sum(power / total * h for power, h in zip(powers, states, strict=True))


def require_mix(mix, states):
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([0.3, -1.2, 2.0, 0.5]))
        mix.gamma.fill_(1.7)
        expected = mixed(states, mix.weights.tolist(), 1.7)
        assert (mix(states) - expected).abs().max() < 1e-12, "the sum is not equation 1"


def test_a_mix_is_a_weighted_mean_times_gamma():
    torch.manual_seed(0)
    states = torch.randn(4, 2, 5, 2 * D, dtype=torch.float64)
    fresh = LayerMix(4).double()
    assert (fresh(states) - states.mean(0)).abs().max() < 1e-12
    require_mix(LayerMix(4).double(), states)
    centred = states - states.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert (LayerMix(4, norm=True).double()(states) - normed.mean(0)).abs().max() < 1e-12
    with pytest.raises(InputError, match=r"4 weights and got the states of 3 layers"):
        fresh(states[:3])


class Words:
    """A tokenizer of words w0 .. w22; the first ends a document."""

    vocab_size, text_edges, special_tokens = VOCABULARY, (0, 0), {}

    def encode(self, text):
        return np.array([int(word[1:]) for word in text.split()], dtype=np.int64)


def test_contextual_vectors_of_a_text_are_what_a_mix_learns_from():
    network = redrawn()
    model = Model(network, Words())
    ids, vectors = contextual_vectors(model, "w3 w9 w4")
    assert ids == [3, 9, 4]
    forth, back = loops.read(weights_of(network), LAYERS, [0, 3, 9, 4, 0], [0] * 5)
    for layer in range(LAYERS + 1):
        for place in range(3):
            expected = torch.cat([forth[layer][place + 1], back[layer][place + 1]])
            assert (vectors[layer, place] - expected).abs().max() < 1e-12
    mix = LayerMix(LAYERS + 1).double()
    mix(vectors).square().sum().backward()
    assert mix.weights.grad.abs().min() > 0
    assert not model.training
    for wrong, text, said in (
        (model, "", "An empty text has no vectors"),
        (Model(network), "w1", "has no tokenizer"),
        (hornbook.build("lstm", d_model=8, vocab_size=9), "w1", "does not read from both ends"),
    ):
        with pytest.raises(InputError, match=said):
            contextual_vectors(wrong, text)


def test_what_two_directions_cannot_do_is_said():
    network = redrawn()
    with pytest.raises(InputError, match="begins at the end of a text; call it without a cache"):
        network(TOKENS, cache=network.new_cache(3, 9))
    with pytest.raises(InputError, match="its masks are causal, full, of padding or of documents"):
        network(TOKENS, mask=masks.band(3))
    lstm = build_network(spec_for("lstm", vocab_size=VOCABULARY, d_model=D))
    with pytest.raises(InputError, match="family lstm does not read from both ends; train bilm"):
        BothWays().loss(lstm, batch_of(BothWays()))
    with pytest.raises(SpecError, match="adds what has a width of 4 to 3; make them equal"):
        recurrences.ResidualRecurrence("lstm", 3, 4)


def padding_first(patch):
    """The backward half begins with the padding of a row."""
    patch.setattr(two_way, "_of", lambda labels: masks.causal())


def the_token_itself(patch):
    """The backward half predicts what it has just read."""
    right = BothWays.prepare

    def prepare(self, rows, numbers):
        arrays = right(self, rows, numbers)
        there = arrays["targets"][:, LENGTH:] != IGNORED
        arrays["targets"][:, LENGTH:] = np.where(there, rows.tokens, IGNORED)
        return arrays

    patch.setattr(BothWays, "prepare", prepare)


def residuals_everywhere(patch):
    patch.setattr(Recurrence, "forward", residual_around(Recurrence.forward))
    patch.setattr(ResidualRecurrence, "forward", Recurrence.forward)


def residual_around(layer):
    return lambda self, x, *given: x + layer(self, x, *given)


def no_residuals(patch):
    patch.setattr(ResidualRecurrence, "forward", Recurrence.forward)


def shares_as_they_are(patch):
    patch.setattr(
        LayerMix,
        "forward",
        lambda self, states: self.gamma * torch.einsum("j,j...->...", self.weights, states),
    )


def a_second_output_layer(patch):
    right = TwoWayNetwork.__init__

    def init(self, spec):
        right(self, spec)
        self.head_before = make(spec.head, spec)

    patch.setattr(TwoWayNetwork, "__init__", init)


def a_copied_output_layer(patch):
    def logits_before(self, hidden):
        vars(self).setdefault("copied", replace(self.output, weight=self.output.weight.clone()))
        return self.copied.logits(hidden[..., D:])

    patch.setattr(TwoWayNetwork, "logits_before", logits_before)


STATES = "of layer . is not that of the loops"
BUGS = {
    "backward reads padding first": (padding_first, require_padding_unread, "padding is read"),
    "backward predicts its own token": (
        the_token_itself,
        lambda network: require_blind(network, BothWays()),
        "a target is seen",
    ),
    "residual around the first layer": (residuals_everywhere, require_states, STATES),
    "no residual at all": (no_residuals, require_states, STATES),
    "shares that are not normalised": (
        shares_as_they_are,
        lambda _: require_mix(LayerMix(4).double(), torch.randn(4, 3, 6, dtype=torch.float64)),
        "the sum is not equation 1",
    ),
    "an output layer for each direction": (
        a_second_output_layer,
        require_one_output_layer,
        "not those that are counted",
    ),
    "an output layer that is copied": (
        a_copied_output_layer,
        require_one_output_layer,
        "an output layer of its own",
    ),
}


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"bilm-{bug}")
def test_a_planted_bug_is_caught_by_name(bug, monkeypatch):
    plant, require, said = BUGS[bug]
    with monkeypatch.context() as patch:
        plant(patch)
        network = redrawn()
        with pytest.raises(AssertionError, match=said):
            require(network)
    require(redrawn())
