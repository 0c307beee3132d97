"""The page of a run: complete, self-contained, safe, the same bytes again, and patient."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hornbook.errors import VersionError
from hornbook.reporting.blocks import visible
from hornbook.reporting.page import SECTIONS, write_report
from hornbook.runs.directory import RunDirectory
from hornbook.runs.events import EventLog, Events

HOSTILE_START = "&lt;script&gt;alert("
HAN = "床前明月光，疑是地上霜"
VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADERS = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "base"}


class Reader(HTMLParser):
    """Every tag with its attributes, whether tags nest, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def cells(html: str, caption: str) -> list[list[str]]:
    """The rows of the table with that caption, as text."""
    body = html[html.index(caption) :].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [c.strip() for c in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", r, re.DOTALL)] for r in rows
    ]


def log(run: RunDirectory, stage: str) -> Events:
    """The writer of one stage's events."""
    return EventLog(run.events_path).bind(stage, "0123456789ab")


@pytest.fixture(scope="module")
def html(full_run: RunDirectory) -> str:
    return write_report(full_run).read_text(encoding="utf-8")


def test_shows_everything_the_run_has(html: str) -> None:
    text = " ".join(" ".join(Reader(html).words).split())
    for said in (
        "In short",
        "against unigram 2.59, 5-gram 1.86",
        "492k",  # tokens of 120 steps of 4096
        "3 min 33 s",
        "78 of 100",
        "68.9% to 85.0%",  # Wilson's interval of 78 of 100
        "code: letters",
        "letters are 0.12 of it",
        "3.502",  # bytes per token of text: the 1400 ends of documents do not count
        "after step 120",
        "What does `os.path.join` do?",
        "an update was rejected",
        "learning_rate = 0.001",
        "bf16, which this processor multiplies",
        "2.13.0",
        HAN,
    ):
        assert said in text, said


def test_one_prompt_along_the_way_and_all_at_the_end(html: str) -> None:
    assert html.count('<mark title="prompt">def f(</mark>') == 3
    assert html.count('<mark title="prompt">import </mark>') == 1
    assert '<mark title="prompt">import </mark>sys 120' in html


def test_an_incident_shows_its_own_values_alone(html: str) -> None:
    assert re.search(r"<td[^>]*>why: loss was nan</td>", html)


def test_loads_nothing_and_needs_no_script(html: str) -> None:
    reader = Reader(html)
    assert not [tag for tag, _ in reader.tags if tag in LOADERS]
    for tag, attributes in reader.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset", "href", "xlink:href", "data", "poster"):
                assert (value or "").startswith("#"), (tag, name, value)
    assert "@import" not in html
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", html))


def test_escapes_hostile_text_everywhere(html: str) -> None:
    assert html.count(HOSTILE_START) >= 3  # samples, answers, the dropped document's opening
    assert "<script" not in html
    assert "<img" not in html


def test_is_well_formed_and_accessible(html: str) -> None:
    reader = Reader(html)
    assert reader.open == []
    tags = dict(reader.tags)
    assert tags["html"]["lang"] == "en"
    assert [tag for tag, _ in reader.tags].count("h1") == 1
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id stands twice"
    for tag, attributes in reader.tags:
        for name in ("aria-labelledby", "href"):
            for target in (attributes.get(name) or "").replace("#", "").split():
                assert target in ids, (tag, name, target)
        if tag == "svg":
            assert attributes["role"] == "img"


def test_pictures_are_xml_in_the_page_s_colours(html: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(pictures) == 4
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        assert "var(--ink)" in picture or "var(--muted)" in picture
        assert not re.search(r"#[0-9a-f]{6}\b", picture), (
            "a fixed colour is unreadable in one scheme"
        )


def test_dark_and_light_define_the_same_colours(html: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)[:2]

    def names(text: str) -> set[str]:
        return set(re.findall(r"(--[a-z0-9-]+):", text))

    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", html))
    assert used <= names(light)
    assert names(dark) == names(light) - {"--serif", "--sans", "--mono"}


def test_writes_the_curves_as_pictures(full_run: RunDirectory, html: str) -> None:
    del html
    names = {path.name for path in (full_run.path / "figures").iterdir()}
    assert names == {
        "evaluation.png",
        "pretraining-loss.png",
        "pretraining-steps.png",
        "finetuning-loss.png",
    }
    for name in names:
        assert (full_run.path / "figures" / name).read_bytes().startswith(b"\x89PNG")


def test_same_run_same_bytes(full_run: RunDirectory, html: str) -> None:
    pictures = {p: p.read_bytes() for p in (full_run.path / "figures").iterdir()}
    assert write_report(full_run).read_text(encoding="utf-8") == html
    assert {p: p.read_bytes() for p in (full_run.path / "figures").iterdir()} == pictures


def test_an_empty_directory_says_so_in_every_section(tmp_path: Path) -> None:
    html = write_report(RunDirectory(tmp_path)).read_text(encoding="utf-8")
    for said in (
        "A run that has not begun.",
        "not recorded any figure yet",
        "Nothing has been evaluated yet",
        "no baseline to compare with",
        "No training step has been recorded yet",
        "No sample has been written yet",
        "has not been tuned",
        "No corpus has been built yet",
        "No tokenizer has been trained yet",
        "nothing unusual was recorded",
        "no recipe.toml",
        "No stage has begun yet",
    ):
        assert said in html, said
    assert html.count("<section") == len(SECTIONS)


@pytest.mark.parametrize(
    "missing",
    [
        "recipe.toml",
        "manifest.json",
        "events.jsonl",
        "corpus/statistics.json",
        "store/train/code/manifest.json",
        "baseline/results.json",
        "finetuning/answers.json",
    ],
)
def test_any_part_may_be_missing(missing: str, full_run: RunDirectory, tmp_path: Path) -> None:
    shutil.copytree(full_run.path, tmp_path / "run")
    (tmp_path / "run" / missing).unlink()
    html = write_report(RunDirectory(tmp_path / "run")).read_text(encoding="utf-8")
    assert html.count("<section") == len(SECTIONS)


def test_an_unfinished_stage_is_named_with_its_error(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    events = log(run, "pretraining")
    events.write("stage", state="started")
    events.write("metric", step=1, loss=8.3)
    events.write("metric", step=2, loss=float("nan"))
    events.write("stage", state="failed", error="TrainingError: the loss is not finite")
    html = write_report(run).read_text(encoding="utf-8")
    assert "begun and not ended: pretraining" in html
    assert "the stage failed" in html  # among the incidents
    assert "nothing unusual was recorded" not in html
    assert html.count("the loss is not finite") == 2
    assert "from 8.30 to 8.30" in html  # the step that is not a number is left out


def test_skipped_tuning_tells_why(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    events = log(run, "finetuning")
    events.write("stage", state="skipped", why="the corpus has no docstrings")
    html = write_report(run).read_text(encoding="utf-8")
    assert "Left out: the corpus has no docstrings" in html


def test_what_each_source_gave_is_a_table_with_sums(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    events = log(run, "pretraining")
    for source, samples, epochs in (("code", 300, 1.5), ("docs", 100, 0.25)):
        counts = {"samples": samples, "tokens": samples * 8, "targets": samples * 7}
        values = counts | {"bytes": samples * 20, "epochs": epochs, "share": samples / 400}
        events.write("contribution", step=9, source=source, **values)
    html = write_report(run).read_text(encoding="utf-8")
    assert cells(html, "What each source gave to pre-training") == [
        ["source", "samples", "tokens", "targets", "bytes", "epochs", "share of samples"],
        ["code", "300", "2,400", "2,100", "6,000", "1.500", "75.0%"],
        ["docs", "100", "800", "700", "2,000", "0.250", "25.0%"],
        ["all", "400", "3,200", "2,800", "8,000", "", "100.0%"],
    ]


def test_what_a_shorter_training_had_counted_is_not_counted_again(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    short = EventLog(run.events_path).bind("pretraining", "1" * 12)
    counts = {"tokens": 8, "targets": 7, "bytes": 20, "epochs": 0.5, "share": 1.0}
    short.write("contribution", step=3, source="code", samples=12, **counts)
    longer = EventLog(run.events_path).bind("pretraining", "2" * 12)
    longer.repeat("1" * 12, 3)
    longer.write("contribution", step=6, source="code", samples=24, **counts)
    html = write_report(run).read_text(encoding="utf-8")
    samples = [row[:2] for row in cells(html, "What each source gave to pre-training")]
    assert samples == [["source", "samples"], ["code", "24"], ["all", "24"]]


def test_surrogates_can_be_written() -> None:
    visible("a\udc80b").encode("utf-8")
    assert visible("a\udc80b") == "a\ufffdb"


def test_control_characters_are_made_visible(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    events = log(run, "pretraining")
    events.write("sample", step=1, prompt="a\x00", text="b\x1b[31m\u202ec $x^2$")
    html = write_report(run).read_text(encoding="utf-8")
    assert "a\\x00" in html
    assert "b\\x1b[31m\ufffdc $x^2$" in html


def test_sources_may_have_any_name(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    events = log(run, "pretraining")
    for source in ("红楼梦", "a$b$", "<b>"):
        events.write("evaluation", step=10, source=source, bits_per_byte=2.0)
    html = write_report(run).read_text(encoding="utf-8")
    for shown in ("红楼梦 2.00", "a$b$ 2.00", "&lt;b&gt; 2.00"):
        assert f">{shown}</text>" in html, shown  # in the figure, as text


def test_a_newer_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(VersionError):
        write_report(RunDirectory(tmp_path))
