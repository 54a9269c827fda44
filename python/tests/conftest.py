"""A small store that the program makes in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, List

import pytest

import nodulus

REPOSITORY = Path(__file__).parents[2]

PIPELINE = """
store = "STORE"

[phantom]
seed = 3
patients = 3
clinical_patients = 3
size = 128
slices = 24

[ingest]
shard_size = 2

[[ingest.cohorts]]
name = "luna16"
source = "luna16"
root = "{store}/phantom/luna16"
annotations = "{store}/phantom/luna16/xml"

[[ingest.cohorts]]
name = "clinical"
source = "volumes"
root = "{store}/phantom/clinical"

[crop]
size = 64
margin_slices = 1

[crop.windows.clinical]
low_hu = 0.0
high_hu = 1000.0

[balance]
assignment = "exact"
folds = 3

[balance.splits.clinical]
validation = 0.0
test = 0.4
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pipeline.toml` and the folder `store`, up to `balance`. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("made")
    pipeline = folder / "pipeline.toml"
    pipeline.write_text(PIPELINE.replace("STORE", str(folder / "store")))
    lines: List[str] = []
    summary = nodulus.run(pipeline, last="balance", progress=lines.append)
    assert summary.status == 0 and not summary.has_failed_cases
    assert [stage["stage"] for stage in summary["stages"]] == ["ingest", "merge", "agree", "crop", "balance"]
    assert any(line.startswith("crop") for line in lines), lines
    return folder


@pytest.fixture(scope="session")
def store(made: Path) -> nodulus.Store:
    return nodulus.open(made / "store")


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of the store, to damage."""
    to = tmp_path / "copy"
    shutil.copytree(made / "store", to, ignore=shutil.ignore_patterns("phantom"))
    return to


@pytest.fixture
def part(copy: Path) -> Callable[[str], Path]:
    """The first file of a table of the copy."""

    def first(table: str) -> Path:
        return sorted((copy / table / "current").glob("*.parquet"))[0]

    return first
