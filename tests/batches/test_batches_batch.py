import numpy as np
import torch

from hornbook.batches.batch import IGNORED, assemble
from hornbook.batches.masks import causal, padding, same_document

BYTES = np.array([0, 1, 2, 3, 5, 8])
TOKENS = np.array([[1, 2, 3], [4, 5, 0], [2, 2, 2]])
TARGETS = np.array([[2, 3, IGNORED], [5, IGNORED, IGNORED], [IGNORED, IGNORED, IGNORED]])


def batch(**more):
    arrays = {"tokens": TOKENS, "targets": TARGETS, "documents": TOKENS * 0, **more}
    return assemble(
        arrays, "causal", BYTES, lambda tensors: causal() & same_document(tensors["documents"])
    )


def test_targets_are_counted_and_placed_in_numpy():
    made = batch()
    assert made.target_index.tolist() == [0, 1, 3]
    assert made.targets.reshape(-1)[made.target_index].tolist() == [2, 3, 5]
    assert made.target_count == 3
    assert made.byte_count == 2 + 3 + 8
    assert made.row_bytes.tolist() == [5, 8, 0]
    assert made.objective == "causal"
    assert made.tokens.dtype == made.targets.dtype == made.target_index.dtype == torch.int64


def test_a_target_of_minus_100_is_not_the_100th_from_the_end():
    arrays = {"tokens": TOKENS, "targets": np.full_like(TARGETS, IGNORED)}
    made = assemble(arrays, "causal", np.arange(200))
    assert (made.byte_count, made.target_count, len(made.target_index)) == (0, 0, 0)


def test_micro_batches_add_up_to_the_batch():
    made = batch(positions=TOKENS + 10, mapping=np.arange(3), segments=TOKENS)
    parts = [made.select(slice(i, i + 1)) for i in range(3)]
    assert [part.target_count for part in parts] == [2, 1, 0]
    assert [part.byte_count for part in parts] == [5, 8, 0]
    assert parts[1].target_index.tolist() == [0]
    for name in ("tokens", "targets", "positions", "documents", "segments", "row_bytes"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(made, name))
    assert [part.extra["mapping"].tolist() for part in parts] == [[0], [1], [2]]
    assert parts[1].mask.documents.shape == (1, 3)
    assert made.select(slice(0, 3)).target_index.tolist() == made.target_index.tolist()


def test_two_dimensional_positions_keep_their_leading_axis():
    positions = np.arange(18).reshape(2, 3, 3)
    part = batch(positions=positions).select(slice(1, 3))
    assert torch.equal(part.positions, torch.from_numpy(positions[:, 1:]))


def test_an_encoders_source_is_a_part_of_its_own():
    made = batch(source_tokens=np.arange(12).reshape(3, 4), source_positions=np.zeros((3, 4), int))
    assert made.source.tokens.shape == (3, 4)
    assert made.extra == {}
    part = made.select(slice(2, 3))
    assert part.source.tokens.tolist() == [[8, 9, 10, 11]]
    assert part.source.positions.shape == (1, 4)


def test_moving_keeps_everything_but_leaves_byte_counts_on_the_cpu():
    made = batch(mapping=np.arange(3), source_tokens=np.ones((3, 2), int))
    moved = made.to("meta")
    for tensor in (moved.tokens, moved.targets, moved.target_index, moved.documents):
        assert tensor.device.type == "meta"
    assert moved.extra["mapping"].device.type == moved.source.tokens.device.type == "meta"
    assert moved.mask.documents.device.type == "meta"
    assert moved.row_bytes.device.type == "cpu"
    assert (moved.target_count, moved.byte_count) == (3, 13)
    assert padding(torch.tensor([1])).to("meta").tensor.device.type == "meta"
