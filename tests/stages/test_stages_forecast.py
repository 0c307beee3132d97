"""What a forecast compares with what: memory of the device, disk, and the micro-batch it times."""

from collections import namedtuple

import pytest

from hornbook.stages import forecast
from hornbook.stages.run import read_recipe
from hornbook.training import measure
from hornbook.training.compute import Compute

Usage = namedtuple("Usage", "total used free")
ENOUGH = 10**15


@pytest.fixture
def recipe():
    return read_recipe("demo", {"compute.device": "cpu", "compute.precision": "float32"})


@pytest.fixture
def machine(monkeypatch):
    """Sets this machine's device, the memory there, and the free disk."""

    def set_to(device="cpu", memory=ENOUGH, gpu=ENOUGH, disk=ENOUGH):
        compute = Compute(device, "float32", 1)
        monkeypatch.setattr(forecast, "resolve_compute", lambda options: compute)
        monkeypatch.setattr(forecast, "physical_memory", lambda: memory)
        monkeypatch.setattr(measure.torch.cuda, "mem_get_info", lambda device: (gpu, ENOUGH))
        monkeypatch.setattr(measure.torch.cuda, "memory_reserved", lambda device: 300)
        monkeypatch.setattr(measure.torch.cuda, "memory_allocated", lambda device: 100)
        monkeypatch.setattr(forecast.shutil, "disk_usage", lambda path: Usage(disk, 0, disk))

    set_to()
    return set_to


def faults(recipe, directory):
    return forecast.forecast(recipe, directory, measure=False).faults


def test_a_gpus_free_memory_counts_and_not_the_machines(recipe, machine, tmp_path):
    need = forecast.forecast(recipe, tmp_path, measure=False).memory["total"]
    machine("cuda", memory=0, gpu=need - 200)
    assert faults(recipe, tmp_path) == ()
    machine("cuda", gpu=need - 201)
    (fault,) = faults(recipe, tmp_path)
    assert "the GPU has" in fault


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_disk_counts_on_every_device(recipe, machine, tmp_path, device):
    machine(device, disk=1000)
    (fault,) = faults(recipe, tmp_path)
    assert "checkpoints would need" in fault


@pytest.mark.parametrize("folder", [".", "pretraining.partial-0123456789ab"])
def test_the_room_of_checkpoints_that_are_there_is_room(recipe, machine, tmp_path, folder):
    need = forecast.forecast(recipe, tmp_path, measure=False).disk_bytes
    saved = tmp_path / folder / "checkpoints" / "step-00000010"
    saved.mkdir(parents=True)
    (saved / "weights.safetensors").write_bytes(bytes(5000))
    machine(disk=need - 5000)
    assert faults(recipe, tmp_path) == ()
    machine(disk=need - 5001)
    assert len(faults(recipe, tmp_path)) == 1


def test_the_trial_computes_as_many_rows_at_once_as_the_run(recipe, machine, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(forecast, "matrix_product_rate", lambda *arguments: 1e15)
    monkeypatch.setattr(
        measure, "update", lambda *arguments, **keywords: asked.append(keywords["micro_batch_size"])
    )
    monkeypatch.setattr(measure, "prepare_process", lambda threads: None)
    monkeypatch.setattr(measure, "_median_seconds", lambda work, device, seconds: work() or 1.0)
    forecast.forecast(recipe.replace({"pretraining.micro_batch_size": 4}), tmp_path)
    assert asked == [4]
