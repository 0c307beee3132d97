"""A standard library in small: folders of modules whose docstrings say what they do.

Texts are made from a few words, so that a small vocabulary covers them, and each is different, so
that none is dropped as another's copy.
"""

from itertools import product
from pathlib import Path

VERBS = ("Return", "Read", "Write", "Count", "Sort", "Copy", "Merge", "Split")
THINGS = ("lines", "words", "files", "names", "pages", "keys", "rows", "paths", "dates")

MODULE = '''"""Tools for {things} that {small} well."""


def {small}_{things}(given):
    """{verb} the {things} of a text.

    The second paragraph is no answer: {things}.
    """
    return given


def _signature():
    """{small}_{things}(given)"""


class {verb}er:
    """A reader of {things} to {small}."""

    def close(self):
        """{verb} the last {things} and close
        what is open"""
        return None
'''


def write_library(folder: Path) -> Path:
    """Write 72 modules, each its own group: 4 docstrings that answer, and one that does not."""
    (folder / "os.py").write_text("", encoding="utf-8")
    for verb, things in product(VERBS, THINGS):
        path = folder / f"{verb.lower()}s" / f"{things}.py"
        path.parent.mkdir(exist_ok=True)
        text = MODULE.format(verb=verb, small=verb.lower(), things=things)
        path.write_text(text, encoding="utf-8")
    return folder


def answers_of(module: str) -> dict[str, str]:
    """The functions and methods of a module, each with the answer to what it does."""
    verb, things = module.split(".")[0].removesuffix("s").capitalize(), module.split(".")[1]
    return {
        f"{module}.{verb.lower()}_{things}": f"{verb} the {things} of a text.",
        f"{module}.{verb}er.close": f"{verb} the last {things} and close what is open.",
    }
