"""The entry point: the lazy group of verbs, and the one place where errors become messages."""

import importlib
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

import click

from hornbook import __version__
from hornbook.cli import VERBS
from hornbook.errors import HornbookError

EXAMPLES = """\b
Examples:
  hornbook run demo                         the whole path, in about five minutes
  hornbook run demo 'corpus.sources=["~/notes"]' --directory runs/notes
  hornbook chat runs/demo
  hornbook explain attention
"""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name the verbs in the order of the table, which is the order of use."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if name not in VERBS:
            return None
        command = importlib.import_module(f"hornbook.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was probably meant."""
        if arguments and arguments[0] not in VERBS and not arguments[0].startswith("-"):
            import difflib  # only a misspelt verb pays for it

            near = difflib.get_close_matches(arguments[0], VERBS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See 'hornbook --help'."
            raise click.UsageError(f"There is no verb '{arguments[0]}'.{hint}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table, so that help imports none of them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXAMPLES,
)
@click.version_option(__version__, prog_name="hornbook")
@click.option("-q", "--quiet", is_flag=True, help="Print results only: no progress, no log.")
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
@click.pass_context
def hornbook(context: click.Context, quiet: bool, traceback: bool) -> None:
    """From raw text to a language model that talks, in one command.

    A recipe (one TOML file) says everything about a run; a run directory holds everything it made.
    """
    context.obj = {"quiet": quiet, "traceback": traceback}


def run_command_line() -> None:
    """Run the verb and leave with its exit code; an error is one clear message on stderr."""
    sys.path.append(str(Path.cwd()))  # plug-ins may lie where the user stands; last, to shadow none
    warnings.formatwarning = _warning_line
    try:
        hornbook.main(standalone_mode=False, color=False if os.environ.get("NO_COLOR") else None)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as mistake:
        mistake.show()
        sys.exit(mistake.exit_code)
    except HornbookError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`hornbook list | head`): leave without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; mend that, then run the same command again.", 1)
    except Exception as error:
        _fail(
            f"{type(error).__name__}: {error}; this is a fault of Hornbook's own. See where with "
            "'hornbook --traceback VERB ...', and report it; what was saved is not lost.",
            1,
        )


def _warning_line(message: Warning | str, *place: object, **rest: object) -> str:
    """Write a warning as one line, without the place in the code."""
    return f"hornbook: warning: {message}\n"


def _fail(message: str, exit_code: int) -> NoReturn:
    """Print what went wrong, after where in the code if that was asked for, and leave."""
    if "--traceback" in sys.argv:
        traceback.print_exc()
    click.echo(f"hornbook: {message}", err=True)
    sys.exit(exit_code)
