"""Tables of what was tested: a pytest plug-in that sorts outcomes into rows and columns."""

import contextlib
import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

Place = tuple[str, str]


class Cells:
    """Outcomes by (row, column).

    place_of: the cell that a test belongs to, or None.
    count_of: how many cases a passed test stands for, by its node id.
    """

    def __init__(
        self,
        place_of: Callable[[pytest.Item], Place | None],
        count_of: Callable[[str], int] = lambda test: 1,
    ) -> None:
        self.place_of, self.count_of = place_of, count_of
        self.place: dict[str, Place] = {}
        self.passed: dict[Place, int] = defaultdict(int)
        self.failed: dict[Place, list[str]] = defaultdict(list)
        self.summary = ""

    def run(self, *arguments: str) -> None:
        """Run pytest over these arguments; its last line is kept."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            pytest.main(["-q", "-p", "no:randomly", *arguments], [self])
        self.summary = said.getvalue().strip().splitlines()[-1]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            place = self.place_of(item)
            if place is not None:
                self.place[item.nodeid] = place

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = self.place.get(report.nodeid)
        if place is None:
            return
        if report.failed:
            self.failed[place].append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed[place] += self.count_of(report.nodeid)

    def cell(self, row: str, column: str, otherwise: str = "-") -> str:
        """What one cell says."""
        place = (row, column)
        if self.failed[place]:
            return f"**{len(self.failed[place])} failed**"
        return str(self.passed[place] or otherwise)

    def end(self) -> int:
        """Print the summary and every failure; return 1 where there is one."""
        failed = [name for names in self.failed.values() for name in names]
        print("\n".join(["", self.summary, *failed]))
        return int(bool(failed))


def print_row(cells: list[str] | tuple[str, ...]) -> None:
    """One line of a Markdown table."""
    print("| " + " | ".join(cells) + " |")


TESTS = Path(__file__).parent
