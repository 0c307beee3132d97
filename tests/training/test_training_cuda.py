"""On a CUDA device: the same losses as on the CPU up to rounding, and a run that goes on."""

import pytest
import torch
from tiny_training import make_plan, run

import hornbook
from hornbook.checkpoints.read import newest
from hornbook.runs.events import read_events
from hornbook.training.compute import Compute

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def losses(path) -> list[float]:
    return read_events(path, "pretraining", "metric").column("loss").to_pylist()


def on_cuda(checkpoints, precision="float32", **options):
    from dataclasses import replace

    plan = make_plan(checkpoints, precision=precision, **options)
    return replace(plan, compute=Compute("cuda", precision, 1))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 2e-2)])
def test_losses_are_those_of_the_cpu(tmp_path, precision, tolerance):
    run(make_plan(tmp_path / "cpu"), tmp_path / "cpu.jsonl")
    run(on_cuda(tmp_path / "cuda", precision), tmp_path / "cuda.jsonl")
    assert losses(tmp_path / "cuda.jsonl") == pytest.approx(
        losses(tmp_path / "cpu.jsonl"), rel=tolerance
    )


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    constant = {"schedule": "constant", "dropout": 0.1}
    run(on_cuda(tmp_path / "whole", **constant), tmp_path / "whole.jsonl")
    run(on_cuda(tmp_path / "parts", steps=6, **constant), tmp_path / "parts.jsonl")
    run(on_cuda(tmp_path / "parts", **constant), tmp_path / "parts.jsonl")
    whole, parts = newest(tmp_path / "whole", print), newest(tmp_path / "parts", print)
    assert parts.step == whole.step == 12
    for name, tensor in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_model_answers_alike_on_both(tmp_path):
    on_cpu = hornbook.build("gpt2", n_layers=2, d_model=64, vocab_size=300, max_length=64, seed=3)
    on_cpu.save(tmp_path / "model", layout="hornbook")
    there = hornbook.load(tmp_path / "model", device="cuda")
    tokens = torch.arange(40)[None] * 7 % 300
    torch.testing.assert_close(
        there(tokens.cuda()).logits.cpu(), on_cpu(tokens).logits, rtol=1e-4, atol=1e-4
    )
    prompt = tokens[0, :8].tolist()
    assert there.generate(prompt, 20) == on_cpu.generate(prompt, 20)
