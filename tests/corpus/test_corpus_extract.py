"""Main content: what a reader came for, without the page around it, from any bytes at all."""

import gzip
import json
import tarfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.corpus.extract import decode_page, extract

PAGE = """<html><head><title>T</title><style>p {{}}</style></head><body>
<nav><ul><li><a href="/">Home page of the newspaper, with all the news</a></li></ul></nav>
<div class="sidebar"><p>Subscribe to our letter, it costs nothing, and comes every week.</p></div>
<div id="content"><h1>The story</h1>
<p>It was a <b>bright</b> day, and the clocks, all of them, were striking thirteen.</p>
<p>{extra}The second paragraph, too, is long enough, and has commas.<br>And a line more.</p></div>
<div class="comments"><p>I liked this story very much, thank you, said somebody, and more.</p></div>
<script>var x = "not text, at all, ever";</script>
<footer><p>Copyright of the newspaper, all rights reserved, every one of them.</p></footer>
</body></html>"""
STORY = """The story
It was a bright day, and the clocks, all of them, were striking thirteen.
{extra}The second paragraph, too, is long enough, and has commas. And a line more."""


def test_the_story_and_nothing_around_it():
    assert extract(PAGE.format(extra="").encode()) == STORY.format(extra="")


def test_a_story_in_several_boxes_is_whole():
    boxes = "".join(
        f"<section><div><div><div><p>Part {n} of the story, which goes on, as stories do.</p></div>"
        "</div></div></section>"
        for n in range(4)
    )
    page = f"<body><div class=menu>Home, news, sport, and more news</div><div>{boxes}</div></body>"
    assert extract(page.encode()).count("Part") == 4


@pytest.mark.parametrize(
    ("label", "codec", "extra"),
    [
        ("utf-8", "utf-8", "Zoë 三国。"),
        ("ISO-8859-1", "cp1252", "“Zoë” "),
        ("gb2312", "gb18030", "话说天下大势。"),
        ("Shift_JIS", "cp932", "吾輩は猫である。①"),
        ("no-such-encoding", "utf-8", "Zoë "),
        ("utf-8", "cp1252", "Zoë "),
    ],
)
def test_encodings_are_those_that_browsers_assume(label, codec, extra):
    page = PAGE.format(extra=extra).replace("<head>", f'<head><meta charset="{label}">')
    assert extract(page.encode(codec)) == STORY.format(extra=extra).strip()


def test_a_byte_order_mark_wins():
    page = '<meta charset="shift_jis"><p>Zoë'
    assert decode_page(page.encode("utf-8-sig")) == page
    assert decode_page(b"\xff\xfe" + page.encode("utf-16-le")) == page


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200) | st.text(alphabet="<>/ap div\"'=&!-", max_size=200).map(str.encode))
def test_no_bytes_are_an_error(html):
    text = extract(html)
    assert text.encode("utf-8").decode("utf-8") == text  # whole characters, no lone surrogate


@pytest.mark.parametrize("tag", ["div", "b", "x-card", "DIV"])
def test_deep_pages_end_soon(tag):
    page = f"<{tag}>" * 50_000 + "the text, deep inside" + f"</{tag}>" * 50_000
    assert extract(page.encode()) == "the text, deep inside"


def test_unclosed_brackets_end_soon():
    assert extract(b"<b>" * 600 + b"<" * 200_000 + b"x>end").endswith("end")


@pytest.mark.slow
def test_gold_pages(shared, tmp_path):
    with pa.CompressedInputStream(pa.OSFile(str(shared / "extraction/pages.tar.zst")), "zstd") as f:
        (tmp_path / "pages.tar").write_bytes(f.read())
    gold = json.loads(gzip.decompress((shared / "extraction/gold.json.gz").read_bytes()))
    hits = misses = wrong = 0
    with tarfile.open(tmp_path / "pages.tar") as tar:
        pages = {m.name.split("/")[-1]: m for m in tar.getmembers() if m.isfile()}
        for entry in gold.values():
            text = " ".join(extract(tar.extractfile(pages[entry["file"]]).read()).split())
            found = [" ".join(wanted.split()) in text for wanted in entry["with"]]
            hits, misses = hits + sum(found), misses + len(found) - sum(found)
            wrong += sum(" ".join(unwanted.split()) in text for unwanted in entry["without"])
    precision, recall = hits / (hits + wrong), hits / (hits + misses)
    assert 2 * precision * recall / (precision + recall) >= 0.90
