"""The papers of the repository name files that exist and agree with the package."""

import re
from pathlib import Path
from xml.etree import ElementTree

import hornbook
from hornbook.reporting.topics import topic_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"commands.md", "recipe-keys.md"}  # `make docs` writes these; their own test holds them


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_tour_has_ten_stops_that_exist() -> None:
    text = read("docs/tour.md")
    assert re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE) == [str(i) for i in range(1, 11)]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) >= 10
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_links_of_the_pages_exist() -> None:
    for name in ("architecture.md", "recipes.md"):
        links = re.findall(r"\]\(([^):]+)\)", read(f"docs/{name}"))
        assert [x for x in links if x not in GENERATED and not (DOCS / x).exists()] == [], name


def test_the_site_lists_pages_that_exist() -> None:
    pages = re.findall(r": (\S+\.md)$", read("mkdocs.yml"), flags=re.MULTILINE)
    assert len(pages) >= 5
    assert set(pages) >= GENERATED
    assert [page for page in set(pages) - GENERATED if not (DOCS / page).exists()] == []


def test_the_picture_is_xml_with_both_schemes() -> None:
    text = read("docs/flow.svg")
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    assert "prefers-color-scheme: dark" in text


def test_the_citation_has_this_version() -> None:
    assert f"version: {hornbook.__version__}\n" in read("CITATION.cff")


def test_the_licence_is_whole() -> None:
    text = read("LICENSE")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_counts_the_topics() -> None:
    assert f"for {len(topic_names())} ideas" in " ".join(read("CHANGELOG.md").split())
