"""Documents that share a row learn nothing from each other, whatever the policy."""

import numpy as np
import pytest
import torch

from hornbook.batches.batch import IGNORED, assemble
from hornbook.batches.plans import StreamPlan
from hornbook.batches.whole_documents import make_plan
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives.both_ways import BothWays
from hornbook.objectives.causal import Causal

VOCABULARY, LENGTH = 60, 16
LENGTHS = (5, 9, 3, 7, 16, 2)


class Text:
    """A token array of documents of these lengths, each of them other tokens."""

    def __init__(self, lengths):
        self.ids = np.random.default_rng(0).permutation(VOCABULARY - 1)[: sum(lengths)] + 1
        self.tokens = sum(lengths)
        self.document_starts = np.cumsum([0, *lengths[:-1]]).astype(np.uint64)

    def gather(self, starts, width):
        return self.ids[np.asarray(starts)[:, None] + np.arange(width)]

    def document(self, number):
        """That document alone."""
        one = Text((LENGTHS[number],))
        start = int(self.document_starts[number])
        one.ids = self.ids[start : start + LENGTHS[number]]
        return one


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    sizes = {"n_layers": 2, "d_model": 32, "n_heads": 2, "max_length": LENGTH}
    network = build_network(spec_for("gpt2", vocab_size=VOCABULARY, dropout=0.0, **sizes), seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return network


def loss(network, objective, plan):
    numbers = np.arange(len(plan))
    arrays = objective.prepare(plan.rows(numbers), numbers)
    batch = assemble(arrays, objective.name, np.ones(VOCABULARY, int), objective.mask)
    return objective.loss(network, batch).total.item(), batch


@pytest.mark.parametrize("policy", ["best_fit", "padded"])
def test_rows_of_documents_give_the_sum_of_each_document_alone(network, policy):
    text, objective = Text(LENGTHS), Causal(same_document=True)
    plan = make_plan(text, LENGTH, policy)
    assert len(plan) < len(LENGTHS) if policy == "best_fit" else len(plan) == len(LENGTHS)
    together, batch = loss(network, objective, plan)
    assert batch.target_count == sum(LENGTHS) - len(LENGTHS)
    alone = [
        loss(network, objective, make_plan(text.document(n), LENGTH, policy))[0]
        for n in range(len(LENGTHS))
    ]
    assert together == pytest.approx(sum(alone), rel=1e-5)


def test_a_stream_counts_positions_and_sees_from_each_documents_start(network):
    text, objective = Text((5, 12, 16)), Causal(same_document=True)
    _, batch = loss(network, objective, StreamPlan(text, LENGTH))
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 4, *range(11)]
    seen = batch.mask.dense(LENGTH, LENGTH)
    document = batch.documents
    expected = torch.ones(LENGTH, LENGTH).tril().bool() & (
        document[:, :, None] == document[:, None, :]
    )
    assert torch.equal(torch.as_tensor(seen).reshape(expected.shape), expected)


@pytest.mark.parametrize("same_document", [False, True])
@pytest.mark.parametrize("policy", ["best_fit", "padded"])
def test_no_target_stands_across_two_documents(policy, same_document):
    text = Text(LENGTHS)
    plan = make_plan(text, LENGTH, policy)
    numbers = np.arange(len(plan))
    rows = plan.rows(numbers)
    follower = dict(zip(text.ids[:-1].tolist(), text.ids[1:].tolist(), strict=True))
    for start in text.document_starts[1:].astype(int).tolist():
        del follower[int(text.ids[start - 1])]
    arrays = Causal(same_document).prepare(rows, numbers)
    learnt = arrays["targets"] != IGNORED
    pairs = zip(arrays["tokens"][learnt].tolist(), arrays["targets"][learnt].tolist(), strict=True)
    assert dict(pairs) == follower
    both = BothWays(same_document).prepare(rows, numbers)
    after, before = np.split(both["targets"], 2, axis=1)
    for targets, expected in ((after, follower), (before, {b: a for a, b in follower.items()})):
        learnt = targets != IGNORED
        pairs = zip(both["tokens"][learnt].tolist(), targets[learnt].tolist(), strict=True)
        assert dict(pairs) == expected
