"""The library of the Python that runs this: its source code, and the documentation inside it.

Nothing is imported: docstrings, signatures and the language reference's topics (`pydoc_data`) are
read from the sources with `ast`. Left out by name are tests, the parts that exist to hold other
programs (`idlelib`, `lib2to3`, `site-packages`), and what installation wrote. Character tables
(`encodings`) stay in: they are for the filters to find.
"""

import ast
import inspect
import io
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

import xxhash

from hornbook.corpus.documents import WHOLE_FILE, Document, Dropped
from hornbook.corpus.readers.lines import Limits
from hornbook.errors import InputError
from hornbook.recipe.fingerprint import file_digest

LEFT_OUT = frozenset(
    {"test", "tests", "idle_test", "idlelib", "lib2to3", "site-packages", "dist-packages"}
    | {"__pycache__", "lib-dynload"}
)
"""Folders that are not read, at any depth."""

TOPICS = "pydoc_data/topics.py"
"""The language reference as one dictionary; its texts are documents of "docs", not code."""

PUBLIC_NAMES = {
    "posixpath": "os.path",
    "_collections_abc": "collections.abc",
    "_pydecimal": "decimal",
    "_pyio": "io",
}
"""Modules that people know by another name than their file's."""

LICENCE = "PSF-2.0"

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def library() -> Path:
    """Return the folder of the standard library.

    Raises:
        InputError: this Python keeps its library elsewhere than in a folder of sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    if not (root / "os.py").is_file():
        raise InputError(
            f"No Python sources stand in {root}, where this Python's library should be; "
            "use another Python, or take python:code and python:docs out of corpus.sources."
        )
    return root


def library_files(root: Path) -> list[str]:
    """Return the paths, relative to `root` and in sorted order, of the sources that are read."""
    found: list[str] = []
    folders = [root]
    while folders:
        for path in folders.pop().iterdir():
            if path.is_dir():
                if path.name not in LEFT_OUT and not path.name.startswith("config-"):
                    folders.append(path)
            elif path.suffix == ".py" and not path.name.startswith("_sysconfigdata"):
                found.append(path.relative_to(root).as_posix())
    return sorted(found)


def digest() -> str:
    """Return a hash of the names and contents of all that is read."""
    root = library()
    state = xxhash.xxh3_128()
    for path in library_files(root):
        state.update(f"{path}\0{file_digest(root / path)}\n".encode())
    return state.hexdigest()


def read_code(limits: Limits) -> Iterator[Document | Dropped]:
    """Yield every source file as one document, with its module's name in the metadata."""
    for path, text in _sources():
        if isinstance(text, Dropped):
            yield text
        elif path != TOPICS:
            module = module_name(path)
            yield Document(text, path, 0, group_of(module), LICENCE, "python", {"module": module})


def read_docs(limits: Limits) -> Iterator[Document | Dropped]:
    """Yield every topic of the language reference and every docstring as one document."""
    for path, text in _sources():
        if isinstance(text, Dropped):
            continue  # read_code reports it
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old sources hold "\d" and the like
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            yield Dropped(
                path, WHOLE_FILE, "syntax", f"not Python that this Python can parse: {error}"
            )
            continue
        yield from _topics(tree, path) if path == TOPICS else _docstrings(tree, path)


def module_name(path: str) -> str:
    """Return the dotted name of a source: "os/__init__.py" -> "os"."""
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def group_of(module: str) -> str:
    """Return what falls on one side of the split: a module with its first level below."""
    return ".".join(module.split(".")[:2])


def _sources() -> Iterator[tuple[str, str | Dropped]]:
    root = library()
    for path in library_files(root):
        try:
            data = (root / path).read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            yield path, data.decode(encoding)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            yield path, Dropped(path, WHOLE_FILE, "unreadable", reason)
        except (SyntaxError, UnicodeDecodeError) as error:
            yield (
                path,
                Dropped(path, WHOLE_FILE, "invalid_utf8", f"not in its declared encoding: {error}"),
            )


def _topics(tree: ast.Module, path: str) -> Iterator[Document | Dropped]:
    values = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    try:
        topics: dict[str, str] = ast.literal_eval(values[0])
    except (ValueError, IndexError):
        reason = "no dictionary of topics, as in the Pythons known so far"
        yield Dropped(path, WHOLE_FILE, "syntax", reason)
        return
    groups = topic_groups(topics)
    for number, (name, text) in enumerate(topics.items()):
        metadata = {"module": module_name(path), "name": name, "kind": "topic", "signature": ""}
        group = f"{module_name(path)}:{groups[name]}"
        yield Document(text.strip() + "\n", path, number, group, LICENCE, "en", metadata)


def topic_groups(topics: dict[str, str]) -> dict[str, str]:
    """Return a group for each topic: topics that share a text share a group.

    The reference prints a section again inside the chapter it belongs to ("if" in "compound"), at
    another level of heading; so a topic belongs to every topic that holds its last 200 characters.
    """
    group = {name: name for name in topics}
    for inner, text in topics.items():
        ending = text.strip()[-200:]
        for outer, whole in topics.items():
            if group[inner] != group[outer] and ending in whole:
                joined = min(group[inner], group[outer])
                both = {group[inner], group[outer]}
                group = {name: joined if old in both else old for name, old in group.items()}
    return group


def _docstrings(tree: ast.Module, path: str) -> Iterator[Document | Dropped]:
    module = module_name(path)
    public = PUBLIC_NAMES.get(module, module)
    for number, (name, kind, node) in enumerate(_documented(tree, "", "module")):
        docstring = ast.get_docstring(node, clean=False)
        if not docstring:
            continue
        signature = "" if isinstance(node, ast.Module) else _signature(node)
        full_name = f"{public}.{name}" if name else public
        text = f"{_heading(full_name, kind, signature)}\n\n{inspect.cleandoc(docstring).strip()}\n"
        metadata = {"module": module, "name": full_name, "kind": kind, "signature": signature}
        if _LONE_SURROGATE.search(text):
            reason = f"the docstring of {full_name} holds half of a surrogate pair"
            yield Dropped(path, number, "invalid_utf8", reason, full_name)
        else:
            yield Document(text, path, number, group_of(module), LICENCE, "en", metadata)


_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _documented(node: ast.AST, name: str, kind: str) -> Iterator[tuple[str, str, _Documented]]:
    """Yield (dotted name inside the module, kind, node) of all that may carry a docstring."""
    if isinstance(node, _Documented):
        yield name, kind, node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _documented(child, f"{name}.{child.name}".lstrip("."), "class")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = "method" if kind == "class" else "function"
            yield from _documented(child, f"{name}.{child.name}".lstrip("."), inner)
        elif isinstance(child, ast.stmt | ast.excepthandler):
            yield from _documented(child, name, kind)  # definitions under if, try, with


def _heading(name: str, kind: str, signature: str) -> str:
    return f"{kind} {name}" if kind in ("module", "class") else f"{name}{signature}"


def _signature(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"({', '.join(ast.unparse(base) for base in node.bases)})" if node.bases else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returns}"
