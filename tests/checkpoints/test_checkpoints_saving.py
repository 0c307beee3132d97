"""Checkpoints survive kills, full disks and flipped bits."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from hornbook.checkpoints import FORMAT_VERSION, MANIFEST_FILE, TRAINING_FILE, WEIGHTS_FILE
from hornbook.checkpoints import write as write_module
from hornbook.checkpoints.read import checkpoints_in, newest, read
from hornbook.checkpoints.tensors import DTYPES, write_tensors
from hornbook.checkpoints.write import write
from hornbook.errors import StorageError, VersionError

torch.set_num_threads(1)


def weights(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {"table": torch.randn(9, 4, generator=draw), "gain": torch.randn(4, generator=draw)}


def training(seed=0):
    return {"updates": torch.tensor(seed), "first_moment/table": weights(seed + 1)["table"]}


def save(parent, step, **options):
    return write(parent, step, weights(step), training(step), {"samples": 2 * step}, **options)


def refuse_reports(fault):
    raise AssertionError(f"nothing was to be reported: {fault}")


def flip_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_what_is_read_is_what_was_written(tmp_path):
    path = save(tmp_path, 100)
    assert path == tmp_path / "step-00000100"
    assert sorted(p.name for p in path.iterdir()) == [MANIFEST_FILE, TRAINING_FILE, WEIGHTS_FILE]
    found = newest(tmp_path, refuse_reports)
    assert (found.path, found.step, found.counters) == (path, 100, {"samples": 200})
    for expected, got in (
        (weights(100), found.weights()),
        (training(100), found.training()),
    ):
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_the_same_state_gives_the_same_bytes(tmp_path):
    one, two = save(tmp_path / "a", 7), save(tmp_path / "b", 7)
    for name in (MANIFEST_FILE, TRAINING_FILE, WEIGHTS_FILE):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_tensors_of_every_kind_read_back_by_the_library(tmp_path):
    draw = torch.Generator().manual_seed(0)
    tensors = {str(d): (torch.randn(3, 5, generator=draw) * 9).to(d) for d in DTYPES}
    tensors |= {
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 2),
        "transposed": torch.randn(3, 5).t(),
        "names: ü/ø 中": torch.ones(1),
        "needs gradient": torch.ones(2, requires_grad=True),
    }
    write_tensors(tmp_path / "t.safetensors", tensors)
    with safe_open(tmp_path / "t.safetensors", "pt") as file:
        assert set(file.keys()) == set(tensors)
        for name, tensor in tensors.items():
            assert file.get_tensor(name).dtype == tensor.dtype
            assert torch.equal(file.get_tensor(name), tensor)


def test_the_newest_two_are_kept_and_the_newest_always(tmp_path):
    for step in (1, 2, 10, 9):
        save(tmp_path, step)
    assert [p.name for p in checkpoints_in(tmp_path)] == ["step-00000010", "step-00000009"]
    save(tmp_path, 5, keep=1)  # the newest by number stays, and so does the one just verified
    assert [p.name for p in checkpoints_in(tmp_path)] == ["step-00000010", "step-00000005"]


def test_saving_a_step_again_replaces_it(tmp_path):
    write(tmp_path, 3, weights(1), {}, {})
    write(tmp_path, 3, weights(2), {}, {})
    assert torch.equal(read(tmp_path / "step-00000003").weights()["gain"], weights(2)["gain"])
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000003"]


def test_no_checkpoint_is_none(tmp_path):
    assert newest(tmp_path, refuse_reports) is None
    assert newest(tmp_path / "absent", refuse_reports) is None
    (tmp_path / "step-00000003.partial").mkdir()
    (tmp_path / "notes").mkdir()
    assert newest(tmp_path, refuse_reports) is None


@pytest.mark.parametrize("file", [WEIGHTS_FILE, TRAINING_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("damage", ["flipped", "torn", "missing"])
def test_damage_is_reported_and_the_newest_good_one_is_used(tmp_path, file, damage):
    for step in (1, 2):
        save(tmp_path, step)
    path = tmp_path / "step-00000002" / file
    if damage == "flipped" and file == MANIFEST_FILE:
        path.write_bytes(path.read_bytes().replace(b'"xxh3": "', b'"xxh3": "0', 1))
    elif damage == "flipped":
        flip_bit(path)
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    reports = []
    found = newest(tmp_path, reports.append)
    assert found.step == 1
    assert len(reports) == 1
    assert "step-00000002" in reports[0]
    assert "delete" in reports[0]


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(tmp_path):
    path = save(tmp_path, 300)
    whole = (path / MANIFEST_FILE).read_bytes()
    good = read(path)
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            (path / MANIFEST_FILE).write_bytes(flipped)
            with contextlib.suppress(StorageError, VersionError):
                assert read(path) == good


def test_all_damaged_says_what_to_do(tmp_path):
    for step in (1, 2):
        flip_bit(save(tmp_path, step) / WEIGHTS_FILE)
    reports = []
    with pytest.raises(StorageError, match=r"all 2 checkpoints are damaged; restore .* or delete"):
        newest(tmp_path, reports.append)
    assert len(reports) == 2


def test_a_newer_format_is_refused_not_passed_over(tmp_path):
    save(tmp_path, 1)
    path = save(tmp_path, 2) / MANIFEST_FILE
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"format": FORMAT_VERSION + 1}), encoding="utf-8")
    with pytest.raises(VersionError, match="update Hornbook"):
        newest(tmp_path, refuse_reports)


def test_too_little_free_space_is_seen_before_writing(tmp_path, monkeypatch):
    save(tmp_path, 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    monkeypatch.setattr(write_module, "write_tensors", refuse_reports)
    with pytest.raises(StorageError, match="checkpoint of step 2 needs"):
        save(tmp_path, 2)
    assert newest(tmp_path, refuse_reports).step == 1


def fill_disk(name, monkeypatch):
    """Let the disk be full while the file of this name is written, half of it being there."""

    def write_half(path, tensors):
        write_tensors(path, tensors)
        if path.name == name:
            os.truncate(path, path.stat().st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write_module, "write_tensors", write_half)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, TRAINING_FILE])
def test_a_full_disk_loses_nothing_saved(tmp_path, monkeypatch, name):
    save(tmp_path, 1)
    save(tmp_path, 2)
    fill_disk(name, monkeypatch)
    with pytest.raises(StorageError, match="disk is full; free some space"):
        save(tmp_path, 3)
    assert [p.name for p in checkpoints_in(tmp_path)] == ["step-00000002", "step-00000001"]
    assert len(list(tmp_path.iterdir())) == 2
    assert newest(tmp_path, refuse_reports).step == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_device_is_a_plain_oserror_of_the_tensor_writer():
    with pytest.raises(OSError, match="No space left"):
        write_tensors(write_module.Path("/dev/full"), {"x": torch.zeros(1 << 16)})


def test_a_bad_write_is_noticed_before_older_ones_go(tmp_path, monkeypatch):
    """A disk that returns other bytes than it was given."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    rename = write_module.rename_directory

    def rename_and_flip(temporary, final):
        rename(temporary, final)
        flip_bit(final / WEIGHTS_FILE)

    monkeypatch.setattr(write_module, "rename_directory", rename_and_flip)
    with pytest.raises(StorageError, match="other bytes"):
        save(tmp_path, 3)
    assert len(checkpoints_in(tmp_path)) == 3
    reports = []
    assert newest(tmp_path, reports.append).step == 2


KILLED = """
    import os, signal, sys, torch
    from pathlib import Path
    from hornbook.checkpoints import write as module

    def die(where):
        print("killed", where, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def tensors(step):
        return {"x": torch.full((1000,), float(step))}

    def half(path, values, write_tensors=module.write_tensors):
        write_tensors(path, values)
        os.truncate(path, path.stat().st_size // 2)
        die(f"in the middle of {path}")

    points = {
        "middle": ("write_tensors", half),
        "manifest": ("write_text", lambda path, text: die(f"before {path}")),
        "rename": ("rename_directory", lambda old, new: die(f"between {old} and {new}")),
        "prune": ("prune", lambda verified, keep: die(f"before pruning at {verified.path}")),
    }
    for point, (name, killer) in points.items():
        child = os.fork()
        if not child:
            parent = Path(sys.argv[1]) / point
            module.write(parent, 1, tensors(1), tensors(1), {})
            module.write(parent, 2, tensors(2), tensors(2), {})
            setattr(module, name, killer)
            module.write(parent, 3, tensors(3), tensors(3), {})
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""


def test_sigkill_at_any_point_of_a_save(tmp_path):
    """In a file, before the manifest, between write and rename, between rename and pruning."""
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[1] for line in finished.stdout.splitlines()] == [
        "in",
        "before",
        "between",
        "before",
    ]
    for point, survivor in (("middle", 2), ("manifest", 2), ("rename", 2), ("prune", 3)):
        parent = tmp_path / point
        found = newest(parent, refuse_reports)
        assert found.step == survivor, point
        assert torch.equal(found.weights()["x"], torch.full((1000,), float(survivor)))
        save(parent, 4)
        assert {p.name for p in parent.iterdir()} == {"step-00000004", f"step-{survivor:08d}"}
