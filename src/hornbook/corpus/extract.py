"""The main content of one HTML page: the part where text is dense and links are few.

Every block of text votes for the containers around it with its characters outside links (after
Kohlschütter et al. 2010, "Boilerplate detection using shallow text features", and Arc90's
Readability); the container with the most votes is the article, and its blocks are the content.
"""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

_NEVER = (
    "script, style, noscript, template, nav, footer, aside, iframe, figcaption, label, svg, "
    "button, select"
)
_INLINE_TAGS = """
a abbr acronym b bdi bdo big br cite code data del dfn em font i ins kbd mark q s samp small span
strike strong sub sup time tt u var wbr
"""
_INLINE = frozenset(_INLINE_TAGS.split())
_SHELL_NAMES = """
nav navi navigation menu sidebar footer share sharing shariff social comments? kommentare? disqus
respond related recommended recommendations? recent promo teasers? cookies? banner advert
breadcrumbs? crumbs? pagination newsletter subscribe signup login search caption byline author tags
modal popup
"""
_SHELL = re.compile(rf"(?:^|[-_ ])(?:{'|'.join(_SHELL_NAMES.split())})(?:[-_ ]|$)", re.IGNORECASE)
_ARTICLE = frozenset(["article", "main", "body"])
_CLOSED_BY_ITSELF = (
    "area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|option|p|param|source|tbody|td|th|thead"
    "|tr|track|wbr"
)
_OPEN_OR_CLOSE = re.compile(rf"<(/?)(?!(?:{_CLOSED_BY_ITSELF})\b)[a-z]", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_LABELS = {
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "euc-kr": "cp949",
    "utf-16": "utf-8",
}
"""What pages mean by a label, where it is not what it says (WHATWG Encoding)."""

_LEAST_CHARACTERS = 25
_DEEPEST = 500
_MOST_LINKED = 0.5
_WEIGHTS = (1.0, 0.6, 0.36)
_LEAVES = frozenset(["p", "pre", "li", "dd", "dt", "td", "h1", "h2", "h3", "h4", "h5", "h6"])
_GAIN = 1.5
_COMMA = re.compile("[,，、]")
_TAG = re.compile("<[^<>]*>")


@dataclass
class Paragraph:
    """A run of text inside one block, with the block and the characters that are links."""

    block: LexborNode
    text: str
    linked: int

    @property
    def dense(self) -> bool:
        """Whether this reads like content: long enough, and mostly not links."""
        return len(self.text) >= _LEAST_CHARACTERS and self.linked <= _MOST_LINKED * len(self.text)


def extract(html: bytes) -> str:
    """Return the main content of one page as text, a block a line; "" where there is none.

    The encoding is that of the byte order mark, else of the page's `<meta charset>`, else UTF-8,
    else Windows-1252. A page nested deeper than any written by hand gives all its text.
    """
    text = decode_page(html)
    if _depth(text) > _DEEPEST:
        lines = (" ".join(line.split()) for line in _TAG.sub("\n", text).split("\n"))
        return "\n".join(line for line in lines if line)
    tree = LexborHTMLParser(text)
    for node in tree.css(_NEVER):
        node.decompose()
    paragraphs = _paragraphs(tree.body) if tree.body else []
    votes = _votes(paragraphs)
    if not votes:
        return "\n".join(paragraph.text for paragraph in paragraphs)
    nodes = {node.mem_id: node for paragraph in paragraphs for node in _ancestors(paragraph.block)}
    best = _widened(nodes[max(votes, key=lambda key: votes[key])], paragraphs)
    return "\n".join(paragraph.text for paragraph in paragraphs if _belongs(paragraph, best))


def _widened(best: LexborNode, paragraphs: list[Paragraph]) -> LexborNode:
    """Return the outermost container that each time holds `_GAIN` times the dense text."""
    held: dict[int, int] = defaultdict(int)
    for paragraph in paragraphs:
        if paragraph.dense:
            for node in _ancestors(paragraph.block):
                held[node.mem_id] += len(paragraph.text)
                if _is_shell(node):
                    break
    for parent in _ancestors(best.parent):
        if held[parent.mem_id] > _GAIN * held[best.mem_id]:
            best = parent
    return best


def _paragraphs(body: LexborNode) -> list[Paragraph]:
    """Return the page's text in order, cut where a block begins or ends."""
    found: list[Paragraph] = []
    for node in body.traverse(include_text=True):
        if not node.is_text_node and node.tag != "br":
            continue
        text = "\n" if node.tag == "br" else node.text_content or ""
        block, linked = node.parent, False
        while block is not None and block.tag in _INLINE:
            linked |= block.tag == "a"
            block = block.parent
        if block is None:
            continue
        if not found or found[-1].block.mem_id != block.mem_id:
            found.append(Paragraph(block, "", 0))
        found[-1].text += text
        found[-1].linked += len(text) if linked else 0
    for paragraph in found:
        paragraph.text = " ".join(paragraph.text.split())
    return [paragraph for paragraph in found if paragraph.text]


def _votes(paragraphs: list[Paragraph]) -> dict[int, float]:
    """Return the votes for each container, by node number."""
    votes: dict[int, float] = defaultdict(float)
    for paragraph in paragraphs:
        if not paragraph.dense:
            continue
        vote = len(paragraph.text) - paragraph.linked + 20 * len(_COMMA.findall(paragraph.text))
        for node, weight in zip(_ancestors(paragraph.block), _WEIGHTS, strict=False):
            votes[node.mem_id] += vote * weight * _likelihood(node)
    return votes


def _likelihood(node: LexborNode) -> float:
    if node.tag in ("article", "main"):
        return 1.5
    return 0.3 if _is_shell(node) else 1.0


def _is_shell(node: LexborNode) -> bool:
    names = f"{node.attributes.get('class') or ''} {node.attributes.get('id') or ''}"
    return node.tag not in _ARTICLE and "hentry" not in names and bool(_SHELL.search(names))


def _ancestors(node: LexborNode | None) -> Iterator[LexborNode]:
    while node is not None and node.tag not in ("html", "-undef"):
        if node.tag not in _LEAVES:
            yield node
        node = node.parent


def _belongs(paragraph: Paragraph, best: LexborNode) -> bool:
    """Tell whether a paragraph stands in the best container, outside shells and link lists."""
    if paragraph.linked > _MOST_LINKED * len(paragraph.text):
        return False
    for node in _ancestors(paragraph.block):
        if node.mem_id == best.mem_id:
            return True
        if _is_shell(node):
            return False
    return False


def _depth(text: str) -> int:
    """Return how deep elements nest that authors must close."""
    depth = deepest = 0
    for tag in _OPEN_OR_CLOSE.finditer(text):
        depth = max(0, depth - 1) if tag.group(1) else depth + 1
        deepest = max(deepest, depth)
    return deepest


def decode_page(html: bytes) -> str:
    """Return a page's characters; no byte is ever an error."""
    for mark, encoding in _MARKS.items():
        if html.startswith(mark):
            return html[len(mark) :].decode(encoding, "replace")
    declared = _META_CHARSET.search(html[:2048])
    label = declared.group(1).decode("ascii").lower() if declared else "utf-8"
    for encoding in (_LABELS.get(label, label), "utf-8"):
        try:
            return html.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    return html.decode("cp1252", "replace")
