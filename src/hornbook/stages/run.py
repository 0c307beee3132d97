"""Run a recipe from the first stage to the last: what `hornbook run` and `hornbook.run` do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.errors import InputError
from hornbook.recipe.recipe import Recipe, parse_override, read
from hornbook.runs.directory import RunDirectory, recorded
from hornbook.runs.events import EventLog
from hornbook.runs.execute import execute
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.stages import SECTIONS, STAGES
from hornbook.stages.together import require_sections_fit

if TYPE_CHECKING:
    import pyarrow as pa

Overrides = Mapping[str, Any] | Sequence[str]


@dataclass(frozen=True)
class Run:
    """A run that has been made: where it is, and what happened in it."""

    directory: Path

    def events(self, stage: str | None = None, kind: str | None = None) -> "pa.Table":
        """Return the run's events as a table, newest state of each (stage, kind, step)."""
        from hornbook.runs.events import read_events  # pyarrow, only where a table is wanted

        return read_events(RunDirectory(self.directory).events_path, stage, kind)


def read_recipe(
    source: str | Path | Mapping[str, Any] | Recipe, overrides: Overrides = ()
) -> Recipe:
    """Read a preset, a TOML file or a mapping, with overrides such as "pretraining.steps=100".

    Raises:
        RecipeError: one line for every fault.
    """
    if not isinstance(overrides, Mapping):
        overrides = dict(parse_override(override) for override in overrides)
    recipe = read(source, SECTIONS, overrides, stages=[stage.name for stage in STAGES])
    recipe = _with_lenders_sections(recipe, ())
    require_sections_fit(recipe)
    return recipe


def _with_lenders_sections(recipe: Recipe, seen: tuple[Path, ...]) -> Recipe:
    """Give a borrowed stage the options of the run that made it, which others compare with."""
    lent = {}
    for stage, source in recipe.borrowed.items():
        path = RunDirectory(Path(source)).recipe_path
        if path.is_file() and path not in seen:
            lender = _with_lenders_sections(read(path, SECTIONS), (*seen, path))
            lent[stage] = lender[stage]
    return replace(recipe, sections={**recipe.sections, **lent})


def run(
    recipe: str | Path | Mapping[str, Any] | Recipe = "demo",
    directory: str | Path | None = None,
    overrides: Overrides = (),
    *,
    until: str | None = None,
    progress: Progress | None = None,
    stop: StopSignal | None = None,
) -> Run:
    """Make every stage of a recipe that is not up to date, and write the report.

    Args:
        recipe: a preset's name, the path of a TOML file, a mapping or a Recipe.
        directory: the run directory; by default runs/NAME, NAME being the preset's or the file's.
        overrides: {"pretraining.steps": 100}, or the same as strings.
        until: the last stage to make.
        progress: where progress is shown; by default nowhere.
        stop: asks the stages to save and stop.

    Raises:
        HornbookError: what went wrong; what was finished before stays finished.
    """
    target = RunDirectory(Path(directory) if directory else default_directory(recipe))
    return _execute(read_recipe(recipe, overrides), target, until, progress, stop)


def default_directory(recipe: str | Path | Mapping[str, Any] | Recipe) -> Path:
    """Return where a recipe runs unless another place is named: runs/NAME."""
    return Path("runs") / (Path(recipe).stem if isinstance(recipe, str | Path) else "run")


def resume(
    directory: str | Path,
    overrides: Overrides = (),
    *,
    progress: Progress | None = None,
    stop: StopSignal | None = None,
) -> Run:
    """Continue a run with the recipe it holds.

    Raises:
        InputError: the directory holds no run.
    """
    target = existing_run(directory)
    if not target.recipe_path.is_file():
        raise InputError(
            f"{target.path} holds no recipe.toml to resume: start it with "
            f"'hornbook run RECIPE --directory {target.path}'."
        )
    stored = read_recipe(target.recipe_path, overrides)
    # Where a run goes on is this machine's business; what it computes stays the run's own.
    here = stored.replace({"compute.device": "auto", "compute.threads": "auto"})
    return _execute(here, target, None, progress, stop)


def existing_run(directory: str | Path) -> RunDirectory:
    """Name a run that is there.

    Raises:
        InputError: the directory is missing or holds no run.
    """
    target = RunDirectory(Path(directory))
    if not target.manifest_path.is_file():
        found = "is no run (no manifest.json in it)" if target.path.exists() else "does not exist"
        raise InputError(f"{directory} {found}; name a run directory, such as runs/demo.")
    return target


def _execute(
    recipe: Recipe,
    target: RunDirectory,
    until: str | None,
    progress: Progress | None,
    stop: StopSignal | None,
) -> Run:
    progress = progress or Progress(quiet=True)
    names = [stage.name for stage in STAGES]
    only = names[: names.index(until) + 1] if until else None
    resolved, why = resolve(recipe, target)
    if why:
        progress.say(f"{'machine':12s}{why}")
    states = execute(
        STAGES, resolved, target, progress=progress, stop=stop or StopSignal(), only=only
    )
    if why:
        log = EventLog(target.events_path).bind("run", "")
        log.write("decision", what="device, precision, threads", why=why)
    unchanged = {"up to date", "skipped", "borrowed"}
    if set(states.values()) - unchanged or not target.report_path.exists():
        from hornbook.reporting.page import write_report  # matplotlib: only when it is drawn

        progress.say(f"{'report':12s}{write_report(target)}")
    return Run(target.path)


def resolve(recipe: Recipe, target: RunDirectory) -> tuple[Recipe, str]:
    """Write out what the recipe leaves to the machine, and say why so: device, precision, threads.

    Precision changes results, so a run keeps the one it began with; device and threads may change
    when a run moves.
    """
    recipe = with_recorded_choices(recipe, target)
    compute = recipe["compute"]
    if "auto" not in (compute.device, compute.precision, compute.threads):
        return recipe, ""
    from hornbook.training.compute import resolve_compute  # torch: only where a choice is open

    choice = resolve_compute(compute)
    values = {
        "compute.device": choice.device,
        "compute.precision": choice.precision,
        "compute.threads": choice.threads,
    }
    return recipe.replace(values), choice.why


def with_recorded_choices(recipe: Recipe, target: RunDirectory) -> Recipe:
    """Keep the precision that the run was begun with, where the recipe leaves it open."""
    began_with = recorded(target).get("compute", {}).get("precision", "auto")
    if recipe["compute"].precision != "auto" or began_with == "auto":
        return recipe
    return recipe.replace({"compute.precision": began_with})
