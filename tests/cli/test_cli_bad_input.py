"""Bad input, a full disk, damage and signals as the real command meets them.

Each case ends in one message on stderr that says what, where and what to do, in exit code 2 for the
user's mistake and 1 for the run's (130 and 143 after signals), and costs nothing saved before.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hornbook
from hornbook.checkpoints.read import checkpoints_in, read

MADE = ("corpus", "tokenizer", "store", "baseline", "pretraining")
NOISE = ("Traceback", "Exception ignored", "ResourceWarning", "Fatal Python error")

# The command with one change before it: what the change says about the outside world happens there.
CHANGED = """
import runpy, sys
{change}
runpy.run_module("hornbook", run_name="__main__", alter_sys=True)
"""

# Before update 5 of 8 the process stands still until it reads a line; then it makes that update.
STANDING_STILL = """
import hornbook.training.loop as loop
real = loop.advance
def advance(training, batch):
    if training.step == 4:
        print("standing still", flush=True)
        sys.stdin.readline()
    return real(training, batch)
loop.advance = advance
"""


def command(directory: Path, settings: dict, *options: str, change: str = "") -> list[str]:
    start = ["-c", CHANGED.format(change=change)] if change else ["-m", "hornbook"]
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return [sys.executable, *start, "run", "demo", *overrides, "-d", str(directory), *options]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default::ResourceWarning"}


def call(directory: Path, settings: dict, *options: str, change: str = ""):
    return subprocess.run(
        command(directory, settings, *options, change=change),
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )


def check_quiet(stderr: str) -> None:
    assert [word for word in NOISE if word in stderr] == [], stderr


def message(done, exit_code: int) -> str:
    """The one message, which comes last; a recipe's faults are several lines of it."""
    assert done.returncode == exit_code, done.stderr
    assert done.stderr.count("hornbook: ") == 1, done.stderr
    check_quiet(done.stderr)
    return done.stderr[done.stderr.index("hornbook: ") :]


def succeeded(done) -> str:
    assert done.returncode == 0, done.stderr
    assert "hornbook: " not in done.stderr
    check_quiet(done.stderr)
    return done.stderr


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def made(directory: Path) -> dict[str, bytes]:
    """The bytes of all that the finished stages made."""
    found = files(directory)
    return {name: data for name, data in found.items() if name.split("/")[0] in MADE}


def saved(directory: Path) -> Path:
    """The folder of checkpoints of the pre-training that is under way."""
    (partial,) = directory.glob("pretraining.partial-*")
    return partial / "checkpoints"


def steps_saved(directory: Path) -> list[int]:
    return [read(path).step for path in checkpoints_in(saved(directory))]


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


@pytest.fixture
def given(folder, settings):
    """The settings of a run on a folder that each test fills."""
    return settings | {"corpus.sources": [str(folder)]}


@pytest.fixture(scope="module")
def counted(tmp_path_factory, settings):
    """A run finished up to the baseline."""
    directory = tmp_path_factory.mktemp("runs") / "counted"
    hornbook.run("demo", directory, settings, until="baseline")
    return directory


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, settings, counted):
    """The bytes of a run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("runs") / "unbroken"
    shutil.copytree(counted, directory)
    return made(hornbook.run("demo", directory, settings, until="pretraining").directory)


def stopped(directory: Path, settings: dict, number: signal.Signals, meanwhile=lambda: None):
    """Start the command, send it a signal while it makes update 5; return how it ended."""
    child = subprocess.Popen(
        command(directory, settings, change=STANDING_STILL),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with child:
        try:
            assert child.stdout.readline() == "standing still\n", child.stderr.read()
            meanwhile()
            child.send_signal(number)
            _, stderr = child.communicate("\n", timeout=60)
        finally:
            child.kill()
    return subprocess.CompletedProcess(child.args, child.returncode, "", stderr)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, settings, counted):
    """A run stopped by SIGTERM after update 5 of 8, with checkpoints of updates 4 and 5."""
    directory = tmp_path_factory.mktemp("runs") / "interrupted"
    shutil.copytree(counted, directory)
    ended = stopped(directory, settings, signal.SIGTERM)
    assert "5 of 8 steps" in ended.stderr
    assert "run the same command again" in message(ended, 143)
    assert steps_saved(directory) == [5, 4]
    return directory


@pytest.fixture
def run(interrupted, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(interrupted, copy)
    return copy


# Input that cannot be used


def test_an_empty_folder(folder, given, tmp_path):
    said = message(call(tmp_path / "run", given), 2)
    assert f"{folder} holds no text" in said
    assert "put text there or correct corpus.sources" in said


def test_a_folder_that_is_not_there(folder, given, tmp_path):
    folder.rmdir()
    said = message(call(tmp_path / "run", given), 2)
    assert f"{folder} cannot be read: No such file" in said
    assert "correct the path (of a recipe: in corpus.sources)" in said


def test_a_folder_of_binary_files(folder, given, tmp_path):
    (folder / "a.png").write_bytes(bytes(range(256)))
    (folder / "b.txt").write_bytes(bytes(range(256)) * 20)
    said = message(call(tmp_path / "run", given), 2)
    assert f"Nothing is left of the source {folder}" in said
    assert "a.png, for one, no reader for files" in said
    assert "take it out of corpus.sources" in said


def test_nothing_but_invalid_utf8(folder, given, tmp_path):
    (folder / "latin.txt").write_bytes("Café au lait, très chaud.\n".encode("latin-1") * 9)
    said = message(call(tmp_path / "run", given), 2)
    assert f"Nothing is left of the source {folder}" in said
    assert "latin.txt, for one, byte 3 is not valid UTF-8; save the file as UTF-8" in said


def test_bad_files_among_good_ones_are_named_and_put_aside(folder, given, text_folder, tmp_path):
    shutil.copytree(text_folder, folder, dirs_exist_ok=True)
    (folder / "latin.txt").write_bytes("Café au lait, très chaud.\n".encode("latin-1") * 9)
    (folder / "long.txt").write_bytes(b"x" * 8_000_001 + b"\n")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    said = succeeded(call(tmp_path / "run", given, "--until", "corpus"))
    for part in (
        "1 invalid_utf8, 1 line_too_long, 1 unreadable",
        "latin.txt: byte 3 is not valid UTF-8; save the file as UTF-8",
        "long.txt: a line of 8,000,002 bytes at byte 0 is longer than the limit of 8,000,000; "
        "break it up or raise corpus.maximum_line_bytes",
        "gone.txt: cannot be read: No such file",
    ):
        assert part in said


def test_a_limit_of_a_line_that_nothing_passes(folder, given, text_folder, tmp_path):
    (folder / "a.txt").write_text("one line of some forty bytes, no more..\n" * 9)
    said = message(call(tmp_path / "run", given | {"corpus.maximum_line_bytes": 20}), 2)
    assert f"Nothing is left of the source {folder} (9 line_too_long)" in said
    assert "a line of 40 bytes at byte 0 is longer than the limit of 20" in said
    assert "raise corpus.maximum_line_bytes" in said


# A child's peak includes that of the process it was started by, so that has to be a small one.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_bytes(arguments: list[str]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    succeeded(done)
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


def test_a_line_past_the_limit_leaves_memory_flat(folder, given, text_folder, tmp_path):
    shutil.copytree(text_folder, folder, dirs_exist_ok=True)
    without = peak_bytes(command(tmp_path / "without", given, "--until", "corpus"))
    with (folder / "long.txt").open("wb") as file:
        file.write(b"x" * 120_000_000 + b"\n")
    peak = peak_bytes(command(tmp_path / "with", given, "--until", "corpus"))
    assert peak < without + 20_000_000  # not the line's 120 MB; the limit is 8


VANISHING = """
import hornbook.corpus.sources as sources
real = sources._read_file
def read_file(path, *rest):
    if path.name == "gone.txt":
        path.unlink()
    return real(path, *rest)
sources._read_file = read_file
"""


def test_a_file_deleted_between_listing_and_reading(folder, given, text_folder, tmp_path):
    shutil.copytree(text_folder, folder, dirs_exist_ok=True)
    (folder / "gone.txt").write_text("Here for a moment only, then deleted by somebody.\n")
    done = call(tmp_path / "run", given, "--until", "corpus", change=VANISHING)
    assert "gone.txt: cannot be read: No such file" in succeeded(done)
    again = succeeded(call(tmp_path / "run", given, "--until", "corpus"))
    assert "unreadable" not in again
    assert "up to date" not in again  # the corpus was of a folder that had one file more


def test_the_only_file_deleted_before_it_is_read(folder, given, tmp_path):
    path = folder / "gone.txt"
    path.write_text("Here for a moment only, then deleted by somebody.\n")
    done = call(tmp_path / "run", given | {"corpus.sources": [str(path)]}, change=VANISHING)
    said = message(done, 2)
    assert f"Nothing is left of the source {path} (1 unreadable)" in said
    assert "No such file" in said


def test_a_vocabulary_larger_than_the_text_supports(folder, given, tmp_path):
    (folder / "a.txt").write_text("A short text of a few words only, and then it ends here.\n")
    said = message(call(tmp_path / "run", given), 2)
    assert "Vocabulary of 512 asked" in said
    assert "set tokenizer.vocab_size to" in said
    assert (tmp_path / "run/corpus/documents").is_dir()


def test_less_validation_text_than_one_context(counted, settings, tmp_path):
    longer = {"pretraining.sequence_length": 100_000, "model.max_length": 100_000}
    shutil.copytree(counted, tmp_path / "run")
    done = call(tmp_path / "run", settings | longer, "--until", "baseline")
    said = message(done, 2)
    assert "The validation text has" in said
    assert "one row of 100000 needs 100001" in said
    assert "set a shorter pretraining.sequence_length" in said
    assert made(tmp_path / "run") == made(counted)


@pytest.mark.slow
def test_less_training_text_than_one_context(folder, given, tmp_path):
    text = "".join(f"Line {n} of a text that is cut in two, the end a bit longer.\n" for n in "ab")
    (folder / "a.txt").write_text(text + "And the rest of it.\n" + "é" * 50)
    small = {
        "tokenizer.vocab_size": 260,
        "corpus.validation_fraction": 0.5,
        "pretraining.sequence_length": 116,
        "model.max_length": 116,
    }
    said = message(call(tmp_path / "run", given | small), 2)
    assert "The training text has" in said
    assert "set a shorter pretraining.sequence_length" in said


def test_unknown_and_unused_keys_are_all_named_and_nothing_is_made(given, counted, tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'extends = "demo"\n[model]\nn_layerz = 2\n[pretraning]\nsteps = 3\n'
        f'[corpus]\nfrom = "{counted}"\nminimum_bytes = 9\n'
    )
    keys = ["store.nothing=1", "pretraining.lerning_rate=1e-3"]
    start = [sys.executable, "-m", "hornbook", "run", str(tmp_path / "recipe.toml"), *keys]
    done = subprocess.run(
        [*start, "-d", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    said = message(done, 2)
    for part in (
        'model.n_layerz = 2 ({file}): unknown key; did you mean "n_layers"?',
        'unknown section; did you mean "pretraining"?',
        "corpus.minimum_bytes = 9 ({file}): has no effect, for corpus is borrowed",
        "store.nothing = 1 (override): unknown key",
        'pretraining.lerning_rate = 0.001 (override): unknown key; did you mean "learning_rate"?',
    ):
        assert part.format(file=tmp_path / "recipe.toml") in said
    assert len(said.strip().splitlines()) == 5
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_run_directory_that_cannot_be_made(place, settings, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    said = message(call(tmp_path / place, settings), 2)
    assert str(tmp_path / place) in said
    assert "name another directory" in said


# A run that cannot go on


def test_a_run_of_a_newer_format_version(counted, settings, tmp_path):
    shutil.copytree(counted, tmp_path / "run")
    path = tmp_path / "run/manifest.json"
    path.write_text(path.read_text("utf-8").replace('"format": 1', '"format": 2', 1), "utf-8")
    before = files(tmp_path / "run")
    said = message(call(tmp_path / "run", settings), 1)
    assert f"{tmp_path / 'run'}: this run was written by a newer Hornbook (format 2" in said
    assert "update Hornbook, or name another run directory" in said
    assert files(tmp_path / "run") == before


def test_a_stopped_run_continues_to_the_same_bytes(run, settings, unbroken):
    said = succeeded(call(run, settings, "--until", "pretraining"))
    assert "training goes on after step 5 of 8" in said
    assert made(run) == unbroken


def test_ctrl_c_saves_the_same_and_a_second_process_refuses(
    counted, interrupted, settings, tmp_path
):
    directory = tmp_path / "run"
    shutil.copytree(counted, directory)

    def second_process() -> None:
        before = files(directory)
        said = message(call(directory, settings), 1)
        assert f"{directory}: another process is working on this run" in said
        assert "wait until it ends, or stop it, or name another run directory" in said
        assert files(directory) == before

    ended = stopped(directory, settings, signal.SIGINT, second_process)
    assert "run the same command again" in message(ended, 130)
    assert files(saved(directory)) == files(saved(interrupted))


def test_a_flipped_bit_falls_back_to_the_checkpoint_before(run, settings, unbroken):
    flip_bit(saved(run) / "step-00000005/weights.safetensors")
    said = succeeded(call(run, settings, "--until", "pretraining"))
    assert "a damaged checkpoint is passed over" in said
    assert "step-00000005/weights.safetensors has other bytes than when it was written" in said
    assert "training goes on after step 4 of 8" in said
    assert made(run) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("file", ["training.safetensors", "manifest.json"])
def test_a_flipped_bit_in_any_file_falls_back(file, run, settings, unbroken):
    flip_bit(saved(run) / "step-00000005" / file)
    said = succeeded(call(run, settings, "--until", "pretraining"))
    assert f"step-00000005/{file}" in said or "step-00000005: " in said
    assert "training goes on after step 4 of 8" in said
    assert made(run) == unbroken


def test_every_checkpoint_damaged(run, settings, unbroken):
    for step in (4, 5):
        flip_bit(saved(run) / f"step-0000000{step}/weights.safetensors")
    before = files(saved(run))
    said = message(call(run, settings), 1)
    assert f"{saved(run)}: all 2 checkpoints are damaged" in said
    assert "restore one from a backup, or delete" in said
    assert files(saved(run)) == before
    assert made(run).items() <= unbroken.items()


@pytest.mark.slow
def test_a_checkpoint_of_a_newer_format_version(run, settings):
    path = saved(run) / "step-00000005/manifest.json"
    path.write_text(path.read_text("utf-8").replace('"format": 1', '"format": 2', 1), "utf-8")
    before = files(saved(run))
    said = message(call(run, settings), 1)
    assert f"{path.parent}: the checkpoint has format 2" in said
    assert "update Hornbook" in said
    assert files(saved(run)) == before


FULL_DISK = """
import errno
import hornbook.checkpoints.write as write
def write_tensors(path, tensors):
    path.write_bytes(b"the beginning of a file")
    raise OSError(errno.ENOSPC, "No space left on device")
write.write_tensors = write_tensors
"""


def test_a_full_disk_while_saving(run, settings):
    before = files(saved(run))
    said = message(call(run, settings, change=FULL_DISK), 1)
    assert "step-00000006: cannot be written, for the disk is full" in said
    assert "free some space, then run the same command again; nothing saved before is lost" in said
    assert files(saved(run)) == before  # from which the tests above continue to the same bytes


def mount(place: Path, kilobytes: int, *options: str) -> bool:
    tmpfs = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={kilobytes}k"])]
    return subprocess.run([*tmpfs, "none", place], check=False, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_real_disk_that_is_full_again_and_again(settings, unbroken, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if not mount(place, 8):
        pytest.skip("a disk in memory cannot be mounted here")
    try:
        full = 0
        for kilobytes in (8, 100, 360, 500, 1000, 2300, 2800, 8000):
            assert mount(place, kilobytes, "remount")
            kept = made(place / "run")
            done = call(place / "run", settings, "--until", "pretraining")
            assert made(place / "run").items() >= kept.items()
            if done.returncode == 0:
                break
            full += 1
            said = message(done, 2 if "checkpoints would need" in done.stderr else 1)
            assert str(place) in said
            assert "free some space" in said or "make room" in said
        assert full >= 5
        assert made(place / "run") == unbroken
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_fault_of_the_programs_own_is_one_message_too(settings, tmp_path):
    broken = "import hornbook.stages.run as run\nrun.resolve = lambda *_: 1 / 0"
    said = message(call(tmp_path / "run", settings, change=broken), 1)
    assert "ZeroDivisionError" in said
    assert "hornbook --traceback" in said
