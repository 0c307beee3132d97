"""What a process did before it trains changes no bit."""

import subprocess
import sys
import textwrap
from pathlib import Path

THREE_UPDATES = """
    import dataclasses, hashlib, sys, tempfile, torch
    if "after work" in sys.argv:
        torch.set_num_threads(2)
        torch.ones(1 << 20).mul_(2.0)
    from pathlib import Path
    from tiny_training import bytes_below, make_plan, run
    from hornbook.training.compute import Compute

    class Faint:
        def __init__(self, inner):
            self.inner = inner
        def loss(self, network, batch):
            found = self.inner.loss(network, batch)
            return dataclasses.replace(found, total=found.total * 1e-18)

    with tempfile.TemporaryDirectory() as name:
        plan = make_plan(Path(name) / "c", steps=3, clip_norm=0.0)
        compute = Compute("cpu", "float32", 2)
        plan = dataclasses.replace(plan, objective=Faint(plan.objective), compute=compute)
        run(plan, Path(name) / "events.jsonl")
        files = bytes_below(Path(name) / "c")
    print(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest())
"""


def test_threads_that_worked_before_change_nothing():
    """Gradients so faint that AdamW's second moment is denormal, on two threads."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(THREE_UPDATES), how],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for how in ("fresh", "after work")
    }
    assert len(digests) == 1
