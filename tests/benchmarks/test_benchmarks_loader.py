"""Going on in the middle of 10^9 tokens touches what one batch needs, and no more."""

import sys

import pytest

import loader
from hornbook.batches.loader import WINDOW
from hornbook.batches.order import Order
from hornbook.store import reader
from hornbook.store.reader import TokenArray

TOKENS = 1_000_000_000


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """10^9 ids that take no room on the disk, in 30 files."""
    folder = tmp_path_factory.mktemp("sparse") / "source"
    return loader.sparse_store(folder, TOKENS, document_tokens=1 << 20)


class Counts:
    """What was asked of the disk and of the order."""

    def __init__(self, patch):
        self.gathered = self.verified = self.located = 0
        gather, check, samples = TokenArray.gather, reader.check_digest, Order.samples

        def gathering(array, starts, width):
            self.gathered += len(starts) * width
            return gather(array, starts, width)

        def checking(directory, record):
            self.verified += record.bytes
            return check(directory, record)

        def locating(order, first, count):
            self.located += count
            return samples(order, first, count)

        patch.setattr(TokenArray, "gather", gathering)
        patch.setattr(reader, "check_digest", checking)
        patch.setattr(Order, "samples", locating)


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_resuming_touches_what_one_batch_needs(sparse, monkeypatch, share):
    rows = (TOKENS - 1) // loader.LENGTH
    sample = int(rows * share) // loader.ROWS * loader.ROWS
    opening = Counts(monkeypatch)
    batches = loader.batches_of(sparse)
    starts = sum(path.stat().st_size for path in sparse.glob("documents-*"))
    assert opening.verified == 2 * starts < 50_000  # no id is read to open two sources
    assert (opening.gathered, opening.located) == (0, 0)
    batch = batches.update(sample, loader.ROWS)
    assert batch.tokens.shape == (loader.ROWS, loader.LENGTH)
    assert opening.gathered == loader.ROWS * (loader.LENGTH + 1)
    assert opening.located <= 2 * WINDOW
    # A block of rows that are shuffled together lies in one file or two.
    assert opening.verified - 2 * starts <= 4 * 2 * loader.SHARD_TOKENS


def test_the_script_runs(monkeypatch, capsys):
    words = ["loader.py", "--tokens", "1000000", "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", words)
    loader.main()
    printed = capsys.readouterr().out
    assert "gather" in printed
    assert "resuming at sample 1,952: opened" in printed
