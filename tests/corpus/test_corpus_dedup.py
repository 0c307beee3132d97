"""Exact duplicates: which of several copies survives, and that order never matters."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.corpus.dedup.exact import exact_duplicates
from hornbook.corpus.documents import Document, batches
from hornbook.corpus.measure import measure

COPIES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12)


def measures_of(texts: list[tuple[str, str]]) -> pa.Table:
    documents = [Document(text, path, 0, "g") for path, text in texts]
    return pa.Table.from_batches([measure(batch) for batch in batches(documents, "s")])


@settings(deadline=None, max_examples=50)
@given(COPIES.filter(bool), st.randoms(use_true_random=False))
def test_the_longest_then_the_smallest_id_survives(copies, random):
    texts = [(f"{n}.txt", letter + " " * blanks) for n, (letter, blanks) in enumerate(copies)]
    measures = measures_of(texts)
    dropped = exact_duplicates(measures)
    lost = {row["id"]: row["value"] for row in dropped.to_pylist()}
    rows = measures.to_pylist()
    for letter in {text[0] for _, text in texts}:
        kin = [row for row in rows if row["opening"] == letter]
        survivor = min(kin, key=lambda row: (-row["characters"], row["id"]))["id"]
        assert {row["id"] for row in kin} - lost.keys() == {survivor}
        assert {lost[row["id"]] for row in kin if row["id"] in lost} <= {survivor}
    random.shuffle(texts)
    again = exact_duplicates(measures_of(texts))
    assert {row["id"] for row in again.to_pylist()} == set(lost)


def test_the_reason_names_the_copy_that_is_kept():
    (row,) = exact_duplicates(
        measures_of([("a.txt", "same text"), ("b.txt", "same  text")])
    ).to_pylist()
    assert (row["path"], row["rule"]) == ("a.txt", "exact_duplicate")
    assert row["reason"] == "says the same as b.txt, which is kept"
