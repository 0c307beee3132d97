import shutil
from pathlib import Path

import pytest
from toy_stages import STAGES, go, outputs, recipe_of

from hornbook.errors import InputError, LockedError, RecipeError, StorageError
from hornbook.runs.archive import clean
from hornbook.runs.directory import RunDirectory, lock
from hornbook.runs.execute import plan_stages


@pytest.fixture
def web(tmp_path: Path) -> RunDirectory:
    """Another run, with more words than ours would have."""
    other = RunDirectory(tmp_path / "web")
    go(other, {"words.count": 5})
    return other


def test_a_stage_is_borrowed_whole_and_recorded(run: RunDirectory, web: RunDirectory) -> None:
    source = str(web.path)
    done = go(run, {"words.from": source})
    assert done == {"words": "borrowed", "repeated": "finished", "told": "finished"}
    assert not run.stage("words").exists()
    assert outputs(run)["repeated/inner/all.txt"] == outputs(web)["repeated/inner/all.txt"]
    inputs = run.manifest().stages["repeated"].inputs
    assert inputs["words"]["from"] == source
    assert inputs["words"]["digest"] == web.manifest().stages["repeated"].inputs["words"]["digest"]
    found = run.find("words")
    assert found is not None
    assert found.directory.resolve() == web.stage("words").resolve()
    assert go(run, {"words.from": source})["repeated"] == "up to date"


def test_borrowing_can_be_chained_and_survives_moving_both(
    run: RunDirectory, web: RunDirectory, tmp_path: Path
) -> None:
    go(run, {"words.from": str(web.path)})
    third = RunDirectory(tmp_path / "third")
    assert go(third, {"words.from": str(run.path)})["words"] == "borrowed"
    (tmp_path / "moved").mkdir()
    for path in (run.path, web.path):
        shutil.move(path, tmp_path / "moved")
    found = RunDirectory(tmp_path / "moved" / "run").find("words")
    assert found is not None
    assert (found.directory / "4.txt").is_file()


def test_borrowing_archives_what_the_run_had_itself(run: RunDirectory, web: RunDirectory) -> None:
    go(run)
    good = outputs(run)
    go(run, {"words.from": str(web.path)})
    assert not run.stage("words").exists()
    assert go(run) == {"words": "restored", "repeated": "restored", "told": "restored"}
    assert outputs(run) == good
    assert run.manifest().borrowed == {}


def test_a_borrowed_stage_is_verified(run: RunDirectory, web: RunDirectory) -> None:
    (web.stage("words") / "0.txt").write_bytes(b"word 0 of 2\n")
    with pytest.raises(StorageError, match=r"words\.from = .*0\.txt has other bytes.*rebuilds"):
        go(run, {"words.from": str(web.path)})


def test_a_borrowed_stage_that_changes_reruns_what_reads_it(
    run: RunDirectory, web: RunDirectory
) -> None:
    go(run, {"words.from": str(web.path)})
    go(web, {"words.count": 4})
    plan = plan_stages(STAGES, recipe_of({"words.from": str(web.path)}), run)
    assert [(item.action, item.why) for item in plan[:2]] == [
        ("borrow", f"from {web.path}"),
        ("build", "words changed"),
    ]


def test_what_cannot_be_borrowed_is_one_clear_line(
    run: RunDirectory, web: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    cases = {
        str(tmp_path / "none"): "no run there",
        str(tmp_path / "empty"): "no run there",
        str(run.path): "cannot borrow from itself",
    }
    for source, complaint in cases.items():
        with pytest.raises(RecipeError, match=complaint):
            go(run, {"words.from": source})
    go(web, {"words.count": 5, "told.greeting": ""})
    with pytest.raises(RecipeError, match=r"has not finished told \(it has: words, repeated\)"):
        go(run, {"told.from": str(web.path)})


def test_a_circle_of_borrowing_finds_nothing(tmp_path: Path) -> None:
    one, two = RunDirectory(tmp_path / "one"), RunDirectory(tmp_path / "two")
    go(one)
    go(two, {"words.from": str(one.path)})
    manifest = one.manifest_path.read_text("utf-8").replace('"words": {', '"wrods": {', 1)
    one.manifest_path.write_text(
        manifest.replace('"borrowed": {}', '"borrowed": {"words": "../two"}'), encoding="utf-8"
    )
    assert two.find("words") is None


def test_clean_empties_the_archive_and_nothing_else(run: RunDirectory) -> None:
    go(run)
    go(run, {"repeated.factor": 3.0})
    kept = outputs(run)
    size = sum(path.stat().st_size for path in run.archive_path.rglob("*") if path.is_file())
    assert clean(run) == f"{size} bytes freed"
    assert not run.archive_path.exists()
    assert outputs(run) == kept
    assert clean(run) == "0 bytes freed"
    assert go(run)["repeated"] == "finished"


def test_clean_waits_for_nobody(run: RunDirectory) -> None:
    with pytest.raises(InputError):
        clean(run)
    go(run)
    with lock(run), pytest.raises(LockedError):
        clean(run)
