"""What "auto" becomes, and that a run keeps it."""

import ctypes

import pytest
import torch

from hornbook.errors import RecipeError
from hornbook.training import compute, memory
from hornbook.training.compute import resolve_compute
from hornbook.training.options import ComputeOptions, PretrainingOptions


@pytest.mark.parametrize(
    ("avx", "amx", "expected"),
    [
        (True, False, "bfloat16"),
        (False, True, "bfloat16"),
        (False, False, "float32"),
        (None, None, "float32"),
    ],
)
def test_precision_follows_the_cpu(monkeypatch, avx, amx, expected):
    for name, value in (("_is_avx512_bf16_supported", avx), ("_is_amx_tile_supported", amx)):
        if value is None:
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda value=value: value, raising=False)
    choice = resolve_compute(ComputeOptions(device="cpu"))
    assert choice.precision == expected
    assert choice.dtype == getattr(torch, expected)
    assert expected in choice.why


@pytest.mark.parametrize("recorded", ["float32", "bfloat16"])
def test_a_recorded_precision_is_kept_and_an_asked_one_obeyed(recorded):
    options = ComputeOptions(device="cpu")
    assert resolve_compute(options, recorded_precision=recorded).precision == recorded
    for asked in ("float32", "bfloat16"):
        options = ComputeOptions(device="cpu", precision=asked)
        assert resolve_compute(options, recorded_precision=recorded).precision == asked


def test_threads_are_physical_cores_unless_asked(monkeypatch):
    monkeypatch.setattr(compute, "PHYSICAL_CORES", 64)
    monkeypatch.setattr(compute.os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert resolve_compute(ComputeOptions(device="cpu")).threads == 3
    assert resolve_compute(ComputeOptions(device="cpu", threads=7)).threads == 7
    monkeypatch.delattr(compute.os, "sched_getaffinity")
    assert resolve_compute(ComputeOptions(device="cpu")).threads == 64


def test_a_cuda_device_is_preferred_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    choice = resolve_compute(ComputeOptions())
    assert (choice.device, choice.precision) == ("cuda", "bfloat16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_compute(ComputeOptions()).device == "cpu"


@pytest.mark.parametrize("device", ["cuda:7", "meta", "nonsense"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=r"compute\.device .* take"):
        resolve_compute(ComputeOptions(device=device))


def test_only_what_changes_results_is_fingerprinted():
    assert set(ComputeOptions().hashed()) == {"precision"}
    shown = {"evaluation_interval_steps", "log_interval_steps", "loader_workers"}
    assert not shown & set(PretrainingOptions().hashed())
    assert {"micro_batch_size", "learning_rate", "steps"} <= set(PretrainingOptions().hashed())


@pytest.mark.parametrize(("libc", "expected"), [("glibc", True), ("", False)])
def test_memory_is_kept_on_glibc_only(monkeypatch, libc, expected):
    calls = []

    class Library:
        def __init__(self, name):
            self.mallopt = lambda setting, value: calls.append((setting, value)) or 1

    monkeypatch.undo()
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert memory.keep_memory() is expected
    assert calls == ([(-4, 0), (-1, 2**31 - 1), (-2, 64 << 20)] if expected else [])
