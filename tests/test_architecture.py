"""The house keeps its shape: direction of imports, cycles, sizes, no torch where it is early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "hornbook"
LAYERS = [
    ("errors",),
    ("recipe", "runs"),
    ("corpus", "tokenizers"),
    ("store",),
    ("batches",),
    ("models", "optimizers"),
    ("objectives", "checkpoints"),
    ("training", "generation"),
    ("adaptation",),
    ("handle",),
    ("alignment", "evaluation"),
    ("serving", "reporting"),
    ("stages",),
    ("cli",),
]
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
ENTRANCES = {"hornbook", "hornbook.__main__"}  # the public names and `python -m`: they may see all
MODULES = {
    ".".join(("hornbook", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Every hornbook module that the file imports, as a dotted name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.iter_child_nodes(tree) if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                found.add(deeper if deeper in MODULES else node.module)
    return {name for name in found if name.split(".")[0] == "hornbook"}


def test_every_module_belongs_to_a_room():
    homeless = [name for name in MODULES if name not in ENTRANCES and room_of(name) not in LAYER_OF]
    assert homeless == []


def test_imports_point_up_the_list():
    wrong = []
    for name, path in MODULES.items():
        if name in ENTRANCES:
            continue
        here = room_of(name)
        for target in imports_of(path) - {"hornbook"}:
            there = room_of(target)
            if there != here and LAYER_OF[there] >= LAYER_OF[here]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_no_cycles():
    graph = {
        name: imports_of(path, top_level_only=True) & MODULES.keys()
        for name, path in MODULES.items()
    }
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in finished:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            finished.add(name)

    for name in graph:
        visit(name, ())


def test_files_stay_below_400_lines():
    long = {
        name: count
        for name, path in MODULES.items()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_functions_stay_below_60_lines():
    long = {
        f"{name}:{node.name}": node.end_lineno - node.lineno + 1
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 60
    }
    assert long == {}


def test_no_room_without_a_subject():
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [name for name in MODULES if forbidden & set(name.split("."))] == []


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in MODULES
        if name not in ENTRANCES
        and (
            LAYER_OF.get(room_of(name), 99) <= 3
            or name.endswith((".options", ".spec"))
            or ".families" in name
            or name == f"hornbook.{room_of(name)}"
        )
    ],
)
def test_early_modules_do_not_import_torch(name: str):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert [module for module in imported if module.split(".")[0] == "torch"] == []


def test_help_lists_and_recipe_checks_load_no_torch():
    script = """
import sys
from click.testing import CliRunner
from hornbook.cli.main import hornbook
for arguments in (["--help"], ["list"], ["check", "demo"], ["run", "--help"]):
    result = CliRunner().invoke(hornbook, arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
heavy = {"torch", "transformers", "matplotlib"} & set(sys.modules)
print("loaded:", sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
