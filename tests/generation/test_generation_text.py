"""Pieces of text: never half a character, never the beginning of a stop string."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.generation.text import StopText, pieces


def cut_up(data, sizes):
    """The bytes as tokens of these sizes in turn."""
    tokens, place = [], 0
    while place < len(data):
        size = sizes[len(tokens) % len(sizes)]
        tokens.append(data[place : place + size])
        place += size
    return tokens


@settings(deadline=None, max_examples=60)
@given(text=st.text(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_pieces_join_to_the_text_and_none_is_torn(text, sizes):
    tokens = cut_up(text.encode("utf-8"), sizes)
    made = list(pieces(tokens))
    assert "".join(made) == text
    assert all(made)
    if "�" not in text:
        assert not any("�" in piece for piece in made)


@settings(deadline=None, max_examples=40)
@given(data=st.binary(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_any_bytes_show_as_their_decoding(data, sizes):
    tokens = cut_up(data, sizes)
    made = pieces(tokens)
    assert "".join(made) == data.decode("utf-8", "replace")


@settings(deadline=None, max_examples=150)
@given(
    text=st.text(alphabet="ab#\n", max_size=30),
    stops=st.lists(st.text(alphabet="ab#\n", min_size=1, max_size=4), max_size=3),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_a_stop_string_cuts_the_text_wherever_pieces_end(text, stops, sizes):
    stopper = StopText(stops)
    made = "".join(stopper.cut(cut_up(text, sizes)))
    ends = [text.index(stop) for stop in stops if stop in text]
    # Two stops may overlap across a border of pieces; then the one that is whole first decides.
    whole = min((text.index(stop) + len(stop) for stop in stops if stop in text), default=None)
    assert stopper.found == bool(ends)
    if not ends:
        assert made == text
    else:
        assert made in {text[:end] for end in ends}
        assert len(made) < whole


def test_nothing_sure_is_held_back():
    stopper = StopText(["END"])
    source = iter(["aE", "xEN", "D more"])
    cut = stopper.cut(source)
    assert next(cut) == "a"
    assert next(cut) == "Ex"
    assert list(cut) == []
    assert stopper.found
