import io
import os
import pty
import re
import subprocess
import sys

import pytest

from hornbook.runs import progress as module
from hornbook.runs.progress import Progress, readable_seconds


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_elsewhere_than_on_a_terminal_one_line_an_interval_and_one_at_the_end(
    clock: Clock,
) -> None:
    stream = io.StringIO()
    with Progress(stream=stream).task("training", total=100, unit="steps") as task:
        for _ in range(100):
            clock.now += 0.125
            task.advance()
            task.show(loss=1.23456, learning_rate=0.0003, device="cpu")
    assert stream.getvalue().splitlines() == [
        "training     40 of 100 steps  8 steps/s  loss 1.235  learning rate 0.0003  device cpu  "
        "40%  7.5 s left",
        "training     80 of 100 steps  8 steps/s  loss 1.235  learning rate 0.0003  device cpu  "
        "80%  2.5 s left",
        "training     100 of 100 steps  8 steps/s  loss 1.235  learning rate 0.0003  device cpu  "
        "in 12.5 s",
    ]


def test_work_of_unknown_size_shows_count_and_rate(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(stream=stream).task("reading", unit="bytes") as task:
        clock.now += 2
        task.advance(3_000_000)
    assert stream.getvalue() == "reading      3.0 MB  1.5 MB/s  in 2.0 s\n"


def test_the_last_line_stands_even_when_the_work_fails(clock: Clock) -> None:
    stream = io.StringIO()

    def fail() -> None:
        with Progress(stream=stream).task("a", total=2) as task:
            task.advance()
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert stream.getvalue().startswith("a            1 of 2")


def test_quiet_shows_nothing(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(quiet=True, stream=stream)
    progress.say("x")
    with progress.task("a", total=1) as task:
        clock.now += 60
        task.advance()
    assert stream.getvalue() == ""


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say("corpus      up to date")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "corpus      up to date\n")


SCRIPT = """
import sys
from hornbook.runs.progress import Progress
progress = Progress()
progress.say("before")
print("rich" in sys.modules)
with progress.task("outer", total=2) as outer, progress.task("inner [x]", total=3) as inner:
    for _ in range(3):
        inner.advance()
        inner.show(loss=0.5)
    progress.say("a [bold]line[/bold] above the bar")
    outer.advance(2)
progress.say("after")
"""


def on_a_terminal(**environment: str) -> tuple[str, str]:
    """Run the script with a pseudo-terminal as stderr; return stdout and what was drawn."""
    master, slave = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        env=plain | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"} | environment,
    )
    os.close(slave)
    drawn = b""
    try:
        while piece := os.read(master, 65536):
            drawn += piece
    except OSError:  # Linux ends a pseudo-terminal so
        pass
    os.close(master)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, drawn.decode()
    return out, drawn.decode()


def test_on_a_terminal_a_bar_is_drawn_and_lines_stand_above_it() -> None:
    out, drawn = on_a_terminal()
    assert out == "False\n", "rich is imported only for a bar"
    assert re.search(r"\x1b\[[0-9;]*m", drawn)
    assert "━" in drawn
    assert "a [bold]line[/bold] above the bar" in drawn
    assert "inner [x]" in drawn
    assert "loss 0.5" in drawn
    assert drawn.rstrip().endswith("after")


def test_no_color_is_respected_and_a_dumb_terminal_gets_lines() -> None:
    _, drawn = on_a_terminal(NO_COLOR="1")
    assert "inner [x]" in drawn
    assert not re.search(r"\x1b\[[0-9;]*m", drawn)
    _, drawn = on_a_terminal(TERM="dumb")
    assert "\x1b[" not in drawn
    assert "inner [x]    3 of 3" in drawn


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (185, "3:05"), (7385.2, "2:03:05")]
)
def test_durations(seconds: float, text: str) -> None:
    assert readable_seconds(seconds) == text
