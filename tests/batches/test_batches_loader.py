import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.batches.batch import IGNORED
from hornbook.batches.loader import WINDOW, Batches
from hornbook.batches.masks import causal, same_document
from hornbook.batches.mixture import annealed
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.batches.whole_documents import make_plan
from hornbook.errors import InputError

LENGTH = 8


def prepare(rows, numbers):
    """Next tokens, a document mask, and noise that depends on the sample's number alone."""
    return {
        "tokens": rows.tokens[:, :-1],
        "targets": np.where(rows.learn, rows.tokens, IGNORED)[:, 1:],
        "documents": rows.documents[:, :-1],
        "noise": numbers * 7 % 13,
    }


def rule(tensors):
    return causal() & same_document(tensors["documents"])


@pytest.fixture
def batches(array_of):
    random = np.random.default_rng(0)
    arrays = {
        "code": array_of(random.integers(0, 90, 3000), range(0, 3000, 11)),
        "docs": array_of(random.integers(0, 90, 700), range(0, 700, 5)),
    }
    plans = {name: StreamPlan(array, LENGTH) for name, array in arrays.items()}
    order = Order({name: len(plan) for name, plan in plans.items()}, {"code": 0.6, "docs": 0.4}, 3)
    return Batches(order, plans, prepare, np.arange(90), mask=rule)


@pytest.fixture
def packed(array_of):
    """Two sources of whole documents, a policy each; weights move, and one source ends."""
    random = np.random.default_rng(1)
    arrays = {
        "code": array_of(random.integers(1, 90, 900), range(0, 900, 7)),
        "docs": array_of(random.integers(1, 90, 700), range(0, 700, 20)),
    }
    plans = {
        "code": make_plan(arrays["code"], LENGTH, "best_fit"),
        "docs": make_plan(arrays["docs"], LENGTH, "padded"),
    }
    stretches = annealed({"code": 0.5, "docs": 0.5}, {"code": 0.1, "docs": 0.9}, 40, 90, 5)
    rows = {name: len(plan) for name, plan in plans.items()}
    order = Order(rows, seed=3, caps={"docs": 1}, stretches=stretches)
    return Batches(order, plans, prepare, np.arange(90), mask=rule)


def assert_same(first, second):
    for name in ("tokens", "targets", "target_index", "documents", "row_bytes", "sources"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert torch.equal(first.extra["noise"], second.extra["noise"])
    assert torch.equal(first.mask.documents, second.mask.documents)
    assert (first.target_count, first.byte_count) == (second.target_count, second.byte_count)


def test_rows_stand_where_the_order_puts_them(batches):
    made = batches.update(WINDOW - 3, 6)  # across two windows
    source, _, position = batches.order.samples(WINDOW - 3, 6)
    for row, number, place in zip(made.tokens, source, position, strict=True):
        plan = batches.plans[number]
        expected = plan.rows(np.array([place])).tokens[0]
        assert row.tolist() == expected[:-1].tolist()
    assert made.extra["noise"].tolist() == [(WINDOW - 3 + i) * 7 % 13 for i in range(6)]
    assert made.byte_count == int(made.targets.sum())  # here the bytes of token i are i


def test_one_gather_a_source_and_update(batches):
    before = [plan.array.gathers for plan in batches.plans]
    batches.update(0, 20)
    assert [plan.array.gathers - b for plan, b in zip(batches.plans, before, strict=True)] == [1, 1]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", ["batches", "packed"])
def test_any_number_of_workers_gives_the_same_batches(kind, workers, request):
    batches = request.getfixturevalue(kind)
    schedule, first = [], 17
    for count in [4, 4, 1, 9, 4, 4, 32, 4, 4, 4]:
        schedule.append((first, count))
        first += count
    got = list(batches.follow(iter(schedule), workers))
    assert len(got) == len(schedule)
    for made, (start, count) in zip(got, schedule, strict=True):
        assert_same(made, batches.update(start, count))


def test_rows_of_streams_and_of_whole_documents_stand_side_by_side(array_of, packed):
    stream = StreamPlan(array_of(np.arange(1, 90)), LENGTH)
    plans = {"code": packed.plans[0], "docs": stream}
    order = Order({name: len(plan) for name, plan in plans.items()})
    rows = Batches(order, plans, prepare, np.arange(90)).rows(0, 12)
    source, _, position = order.samples(0, 12)
    assert set(source.tolist()) == {0, 1}
    for row, (number, place) in enumerate(zip(source, position, strict=True)):
        own = list(plans.values())[number].rows(np.array([place]))
        for name in ("tokens", "documents", "learn", "follows"):
            assert getattr(rows, name)[row].tolist() == getattr(own, name)[0].tolist()


@pytest.mark.parametrize("kind", ["batches", "packed"])
def test_what_each_source_gave_adds_up_whatever_the_cut(kind, request):
    batches = request.getfixturevalue(kind)
    numbers = np.arange(100)
    source, _, _ = batches.order.samples(0, 100)
    targets = batches.prepare(batches.rows(0, 100), numbers)["targets"]
    learnt = targets != IGNORED
    expected = {
        number: (
            int((source == number).sum()),
            int((source == number).sum()) * LENGTH,
            int(learnt[source == number].sum()),
            int(np.where(learnt, targets, 0)[source == number].sum()),  # bytes of token i are i
        )
        for number in (0, 1)
    }
    whole = batches.update(0, 100)
    assert whole.by_source() == expected
    assert sum(counts[2] for counts in expected.values()) == whole.target_count
    assert sum(counts[3] for counts in expected.values()) == whole.byte_count
    parts = [whole.select(slice(0, 33)).by_source(), whole.select(slice(33, 100)).by_source()]
    for number, counts in expected.items():
        assert tuple(map(sum, zip(*(part[number] for part in parts), strict=True))) == counts


def test_slow_and_fast_workers_keep_the_order(batches):
    def uneven(rows, numbers):
        time.sleep(0.01 * (int(numbers[0]) % 3 == 0))
        return prepare(rows, numbers)

    slow = Batches(
        batches.order,
        dict(zip(batches.order.sources, batches.plans, strict=True)),
        uneven,
        batches.byte_lengths,
        mask=rule,
    )
    schedule = [(number, 1) for number in range(12)]
    for made, plain in zip(slow.follow(schedule, 3), batches.follow(schedule), strict=True):
        assert_same(made, plain)


def test_workers_stay_only_a_few_updates_ahead(batches):
    taken = []

    def schedule():
        for number in range(1000):
            taken.append(number)
            yield number * 4, 4

    stream = batches.follow(schedule(), 2)
    next(stream)
    assert len(taken) <= 6
    stream.close()


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("hornbook-batches")]


def test_what_a_worker_raises_comes_out_in_its_turn_and_threads_end(batches):
    def failing(rows, numbers):
        if numbers[0] >= 12:
            raise InputError("sample 12 is bad")
        return prepare(rows, numbers)

    plans = dict(zip(batches.order.sources, batches.plans, strict=True))
    bad = Batches(batches.order, plans, failing, batches.byte_lengths, mask=rule)
    for workers in (0, 2):
        stream = bad.follow(((n, 4) for n in range(0, 100, 4)), workers)
        for first in (0, 4, 8):
            assert_same(next(stream), batches.update(first, 4))
        with pytest.raises(InputError, match="sample 12 is bad"):
            next(stream)
    assert threads() == []


def test_leaving_early_ends_the_threads(batches):
    stream = batches.follow(((n, 4) for n in range(0, 4000, 4)), 2)
    next(stream)
    assert threads()
    stream.close()
    assert threads() == []


def test_the_end_of_capped_data_is_said(array_of):
    plan = StreamPlan(array_of(np.arange(81)), LENGTH)
    order = Order({"docs": 10}, caps={"docs": 2})
    batches = Batches(order, {"docs": plan}, prepare, np.arange(90), mask=rule)
    assert batches.update(16, 4).tokens.shape == (4, LENGTH)
    for first, count in ((18, 4), (20, 1), (WINDOW + 5, 1)):
        with pytest.raises(InputError, match="end the data after 20 samples"):
            batches.update(first, count)


KILLED = """
    import sys, time
    sys.path[:0] = [{here!r}]
    import numpy as np
    from conftest import ArrayStandIn
    from test_batches_loader import prepare, rule
    from hornbook.batches.loader import Batches
    from hornbook.batches.order import Order
    from hornbook.batches.plans import StreamPlan
    plan = StreamPlan(ArrayStandIn(np.arange(8001) % 90), 8)
    batches = Batches(Order({{"a": len(plan)}}), {{"a": plan}}, prepare, np.arange(90), mask=rule)
    for batch in batches.follow(((n * 4, 4) for n in range(10**9)), 2):
        print("batch", flush=True)
        {then}
"""


@pytest.mark.parametrize(("then", "code"), [("time.sleep(60)", -9), ("raise SystemExit(3)", 3)])
def test_a_killed_or_leaving_process_takes_its_workers_along(then, code):
    """Workers hold its output open: reading to the end returns only when all of them are gone."""
    here = str(Path(__file__).parent)
    program = textwrap.dedent(KILLED).format(here=here, then=then)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "batch\n"
    if code < 0:
        process.send_signal(signal.SIGKILL)
    process.stdout.read()
    assert process.wait(timeout=20) == code
    process.stdout.close()
