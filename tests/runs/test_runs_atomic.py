import errno
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hornbook.errors import StorageError
from hornbook.runs import atomic
from hornbook.runs.atomic import (
    readable_bytes,
    remove_temporaries,
    rename_directory,
    require_free_space,
    write_bytes,
    write_text,
)

Usage = namedtuple("Usage", "total used free")


def full(*arguments: Any, **keywords: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_bytes_and_text_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    write_text(path, "Grüße\n")
    assert path.read_bytes() == "Grüße\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["fsync", "replace", "open"])
def test_a_full_disk_leaves_the_old_file_and_no_temporary(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    owner: Any = os if where == "fsync" else Path
    with monkeypatch.context() as patch:
        patch.setattr(owner, where, full)
        with pytest.raises(StorageError, match=r"file: .*disk is full.*nothing saved before"):
            write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_trouble_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "missing" / "file", b"")


def test_a_kill_between_write_and_rename_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    script = f"""
import os, pathlib, signal
from hornbook.runs.atomic import write_bytes
def kill(self, target):
    print("killed before", self.name, "became", target.name, self.read_bytes(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = kill
write_bytes({str(path)!r}, b"new")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -9
    assert "became file b'new'" in ended.stdout
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_remove_temporaries_leaves_other_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    kept = [tmp_path / ".hidden", tmp_path / "inner" / "a.temporary"]
    for path in [*kept, tmp_path / "inner" / ".a.txt.123.temporary"]:
        path.write_bytes(b"")
    remove_temporaries(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_a_directory_is_flushed_whole_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, final = tmp_path / "making", tmp_path / "deep" / "made"
    (temporary / "inner").mkdir(parents=True)
    (temporary / "inner" / "a").write_bytes(b"a")
    done: list[str] = []
    flush, rename = atomic.sync_folder, Path.rename

    def note(name: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Path, *more: Any) -> Any:
            done.append(f"{name} {path.name}")
            return action(path, *more)

        return noted

    monkeypatch.setattr(atomic, "sync_folder", note("flush", flush))
    monkeypatch.setattr(Path, "rename", note("rename", rename))
    rename_directory(temporary, final)
    assert (final / "inner" / "a").read_bytes() == b"a"
    assert not temporary.exists()
    before, after = done[: done.index("rename making")], done[done.index("rename making") :]
    assert {"flush making", "flush inner", "flush a"} <= set(before)
    assert "flush deep" in after


def test_a_directory_never_takes_an_occupied_place(tmp_path: Path) -> None:
    for name in ("making", "made"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name, encoding="utf-8")
    with pytest.raises(OSError, match="not empty"):
        rename_directory(tmp_path / "making", tmp_path / "made")
    assert (tmp_path / "made" / "a").read_text("utf-8") == "made"


def test_free_space_is_asked_of_the_disk_that_will_hold_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(10_000, 0, 3_000)

    monkeypatch.setattr(atomic.shutil, "disk_usage", usage)
    require_free_space(tmp_path / "not" / "yet", 3_000, "a checkpoint")
    assert asked == [tmp_path]
    with pytest.raises(StorageError, match=r"a checkpoint needs 4\.5 kB, but only 3\.0 kB .*1\.5"):
        require_free_space(tmp_path / "not" / "yet", 4_500, "a checkpoint")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3e12, "3.0 TB")],
)
def test_bytes_are_written_with_a_unit(count: float, text: str) -> None:
    assert readable_bytes(count) == text
