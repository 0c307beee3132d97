"""The page about Python runs as it is written, and what it says of results is so."""

import re
from pathlib import Path

import hornbook

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_page_about_python_runs(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    real = hornbook.run

    def small(recipe, directory, overrides):
        return real(recipe, directory, settings | overrides | {"pretraining.steps": 4})

    monkeypatch.setattr(hornbook, "run", small, raising=False)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(block, names)
    assert names["table"].num_rows > 0
    assert isinstance(names["text"], str)
    assert names["bits"] > 0
    assert names["out"].logits.shape == (2, 16, 300)
    assert len(names["out"].hidden_states) == 3
    assert names["tokenizer"].decode(names["ids"]) == "double(double(x))"
    assert "A paragraph with words" in hornbook.extract(names["page"])
    assert (tmp_path / "runs/x-hf/model.safetensors").exists()
