"""The code of docs/python.md runs as it stands, but for the runs of the demo, which take minutes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, Dict

import pytest

from conftest import REPOSITORY


def test_the_code_of_the_page_runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.+?)^```", page, re.S | re.M)
    (tmp_path / "store").mkdir()
    (tmp_path / "store/demo").symlink_to(made / "store")
    monkeypatch.chdir(tmp_path)
    names: Dict[str, Any] = {}
    ran = 0
    for block in blocks:
        needs_torch = "import torch" in block
        if "nodulus.run(" in block or (needs_torch and importlib.util.find_spec("torch") is None):
            continue
        # Two epochs tell as much as twenty, and two workers as much as four.
        block = block.replace("range(20)", "range(2)").replace("num_workers=4", "num_workers=2")
        exec(compile(block, "docs/python.md", "exec"), names)
        ran += 1
    assert ran >= 2
    assert names["region"].hu.shape == (64, 64) and names["stack"].hu.ndim == 3
