"""Write the pages that are made from the program itself: `make docs`. A stale page fails a test.

commands.md comes from every verb's --help, recipe-keys.md from the option classes of every section.
"""

import sys
from pathlib import Path

import click

from hornbook.cli import VERBS
from hornbook.cli.main import hornbook
from hornbook.recipe.describe import describe
from hornbook.stages import SECTIONS

HERE = Path(__file__).parent
NOTICE = "<!-- Written by `make docs` from the program itself: do not edit. -->\n\n"


def commands_page() -> str:
    """Return every verb's help text, as a terminal of 80 columns shows it."""
    parts = [NOTICE, "# Commands\n\n", _block(hornbook, None, "hornbook")]
    parent = click.Context(hornbook, info_name="hornbook")
    for verb in VERBS:
        command = hornbook.get_command(parent, verb)
        assert command is not None
        parts += [f"\n## {verb}\n\n", _block(command, parent, verb)]
        if isinstance(command, click.Group):
            above = click.Context(command, info_name=verb, parent=parent)
            for name, below in command.commands.items():
                parts += [f"\n### {verb} {name}\n\n", _block(below, above, name)]
    return "".join(parts)


def _block(command: click.Command, parent: click.Context | None, name: str) -> str:
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=80,
        max_content_width=80,
        help_option_names=hornbook.context_settings["help_option_names"],
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def recipe_keys_page() -> str:
    """Return one table a section: key, type, default, what it means."""
    parts = [NOTICE, "# Recipe keys\n"]
    section = None
    for row in describe(SECTIONS):
        if row.section != section:
            section = row.section
            parts.append(
                f"\n## [{section}]\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
            )
        cells = [f"`{row.key}`", row.allowed, f"`{row.default}`", row.description]
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)


PAGES = {"commands.md": commands_page, "recipe-keys.md": recipe_keys_page}

if __name__ == "__main__":
    for file, page in PAGES.items():
        (HERE / file).write_text(page(), encoding="utf-8")
        print(HERE / file, file=sys.stderr)
