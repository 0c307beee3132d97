"""The pages that people read: every link between them leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {"#" + heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    broken = []
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        place = page.parent / target if target else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target + anchor)
    assert broken == []


def test_the_site_shows_pages_that_are_there():
    lines = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").splitlines()
    named = [line.rpartition(": ")[2] for line in lines if line.endswith(".md")]
    assert named != []
    assert [name for name in named if not (ROOT / "docs" / name).exists()] == []
