"""Masks of any model, measured by `nodulus evaluate`: made with numpy, and held against numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

import nodulus
from conftest import PIPELINE, REPOSITORY

Masks = Dict[str, NDArray[numpy.bool_]]

# A network of nodulus to compare with: its masks matter to nobody here.
TRAINED = """
[train.model]
preset = "tiny"
image_size = 64

[[train.phases]]
name = "finetune"
cohorts = ["clinical"]

[train.phases.schedule]
epochs = 1
std = false

[infer]
splits = ["test"]
cohorts = ["clinical"]
component = "all"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pipeline.toml` and the folder `store`, up to `infer`."""
    folder = tmp_path_factory.mktemp("trained")
    text = PIPELINE.replace("STORE", str(folder / "store")) + TRAINED
    (folder / "pipeline.toml").write_text(text)
    nodulus.run(folder / "pipeline.toml", last="infer", progress=None)
    return folder


def threshold(region: nodulus.Region) -> NDArray[numpy.bool_]:
    """What is brighter than half of the window within 12 pixels of the centre."""
    j, i = numpy.indices(region.hu.shape)
    middle = [n // 2 for n in region.hu.shape]
    near = (j - middle[0]) ** 2 + (i - middle[1]) ** 2 <= 144
    marked: NDArray[numpy.bool_] = (region.normalised() >= numpy.float32(0.5)) & near
    return marked


def evaluate(folder: Path, models: Dict[str, Path]) -> nodulus.Summary:
    named = [{"model": model, "path": path} for model, path in models.items()]
    return nodulus.run(
        folder / "pipeline.toml", first="evaluate", last="evaluate", set={"evaluate.predictions": named}, progress=None
    )


def test_the_masks_of_any_model_are_measured_as_numpy_measures_them(trained: Path, tmp_path: Path) -> None:
    store = nodulus.open(trained / "store")
    tested: List[nodulus.RegionStack] = list(store.stacks(cohort="clinical", split="test"))
    slices = [region for stack in tested for region in stack.slices]
    own: Masks = {region.roi_id: region.mask for region in slices}
    simple: Masks = {region.roi_id: threshold(region) for region in slices}
    sure = {region.roi_id: float(region.mask.any()) for region in slices}
    assert nodulus.write_predictions(tmp_path / "own.parquet", own, probabilities=sure) == len(slices)
    nodulus.write_predictions(tmp_path / "simple.parquet", simple)
    summary = evaluate(trained, {"reference": tmp_path / "own.parquet", "threshold": tmp_path / "simple.parquet"})
    assert summary.status == 0, summary
    told = [text for text in summary["warnings"] if "may be of patients that the weights learnt from" in text]
    assert any("`threshold`" in text for text in told) and any("`reference`" in text for text in told)

    metrics = nodulus.open(trained / "store")["nodule_metrics"].to_pandas()
    of_model = {model: rows.set_index("nodule_id") for model, rows in metrics.groupby("model_id")}
    assert set(of_model["threshold"].index) == {stack.nodule_id for stack in tested} == set(of_model["reference"].index)
    assert (of_model["reference"]["dice"] == 1).all() and (of_model["reference"]["hausdorff_mm"] == 0).all()
    rois = store["rois"].to_pandas(["nodule_id", "padded"])
    # A mask ends where the scan does, which a region does not tell.
    whole = [stack for stack in tested if not rois[rois["nodule_id"] == stack.nodule_id]["padded"].any()]
    assert len(whole) > 0
    for stack in whole:
        predicted = numpy.stack([simple[region.roi_id] for region in stack.slices])
        predicted &= ~numpy.stack([region.no_data for region in stack.slices])
        # Voxels of the scan's other nodules are no error.
        predicted &= stack.mask | ~stack.other_mask
        dice = 2 * (predicted & stack.mask).sum() / (predicted.sum() + stack.mask.sum())
        row = of_model["threshold"].loc[stack.nodule_id]
        assert row["dice"] == row["all_dice"] == pytest.approx(dice, abs=1e-12)
        volume = predicted.sum() * numpy.prod(stack.slices[0].spacing_kji_mm)
        assert row["predicted_volume_mm3"] == pytest.approx(volume, rel=1e-12)
    rows = nodulus.open(trained / "store")["summary"].to_pandas()
    auc = rows[(rows["model_id"] == "reference") & (rows["metric"] == "classifier_auc")]
    assert auc["mean"].tolist() == [1.0]
    compared = nodulus.open(trained / "store")["comparisons"].to_pandas()
    assert {"reference", "threshold"} <= set(compared["model_id"]) | set(compared["baseline_id"])
    # The rows of a store of masks are the file's.
    masks = nodulus.open(trained / "store")["outside_predictions"].to_pandas()
    assert sorted(masks["roi_id"]) == sorted([*own, *simple])


def test_what_does_not_fit_the_store_is_refused_with_its_file(trained: Path, tmp_path: Path) -> None:
    store = nodulus.open(trained / "store")
    regions = list(store.regions(cohort="clinical", split="test"))
    masks: Masks = {region.roi_id: region.mask for region in regions}
    path = tmp_path / "masks.parquet"
    first = regions[0].roi_id

    nodulus.write_predictions(path, {**masks, "n-unknown": regions[0].mask})
    with pytest.raises(nodulus.RunError, match=r"masks.parquet`: 1 of \d+ slices are not in `rois`, the first is `n-unknown`"):
        evaluate(trained, {"m": path})
    nodulus.write_predictions(path, {**masks, first: masks[first][:-1]})
    with pytest.raises(nodulus.RunError, match=rf"`mask_bits` of slice `{first}` has 504 bytes, expected 512 for 64 × 64 pixels"):
        evaluate(trained, {"m": path})
    with pytest.raises(nodulus.RunError, match="there is nothing at .*missing.parquet"):
        evaluate(trained, {"m": tmp_path / "missing.parquet"})
    train = {region.roi_id: region.mask for region in store.regions(cohort="clinical", split="train")}
    nodulus.write_predictions(path, train)
    with pytest.raises(nodulus.RunError, match="none of its .* nodules is one of those that `predictions` has"):
        evaluate(trained, {"m": path})


def test_files_are_packed_as_the_tables_are(store: nodulus.Store, tmp_path: Path) -> None:
    path = tmp_path / "masks.parquet"

    def pairs() -> Iterator[Tuple[str, Any]]:
        for region in store.regions():
            yield region.roi_id, region.mask.astype(numpy.uint8)

    n = nodulus.write_predictions(path, pairs(), probabilities={next(store.regions()).roi_id: 1})
    found = pyarrow.parquet.read_table(str(path))
    rois = store["rois"].to_arrow(["roi_id", "mask_bits"])
    assert n == len(rois) > 128
    assert found.select(["roi_id", "mask_bits"]).to_pylist() == rois.to_pylist()
    assert found["nodule_probability"].to_pylist() == [1.0] + [None] * (n - 1)
    assert pyarrow.parquet.ParquetFile(str(path)).metadata.row_group(0).num_rows == 128


def test_masks_that_are_none_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "masks.parquet"
    good = numpy.zeros((4, 4), bool)
    wrong: List[Tuple[Any, Any, str]] = [
        ({}, None, "there is no mask"),
        ([("a", good), ("a", good)], None, "slice `a` comes twice"),
        ({"a": good[0]}, None, r"slice `a` has the shape \(4,\), expected \[j, i\]"),
        ({"a": good.astype(float)}, None, "slice `a` is float64, expected bool or integers 0 and 1"),
        ({"a": numpy.full((4, 4), 255, numpy.uint8)}, None, "slice `a` has the value 255, expected 0 and 1"),
        ({"a": good}, {"a": 1.5}, "the probability of slice `a` is 1.5"),
        ({"a": good}, {"a": float("nan")}, "the probability of slice `a` is nan"),
        ({"a": good}, {"b": 0.5}, "1 slices have a probability and no mask, the first is `b`"),
    ]
    for masks, probabilities, message in wrong:
        with pytest.raises(ValueError, match=message):
            nodulus.write_predictions(path, masks, probabilities=probabilities)
        assert list(tmp_path.iterdir()) == []
    assert nodulus.write_predictions(path, {"a": good}) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_example_runs_where_pytorch_is_and_says_so_where_it_is_not(trained: Path, tmp_path: Path) -> None:
    settings = {"EXAMPLE_PIPELINE": trained / "pipeline.toml", "EXAMPLE_EPOCHS": 1, "EXAMPLE_PREDICTIONS": tmp_path / "unet.parquet"}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples/python/unet.py")],
        env={**os.environ, **{name: str(value) for name, value in settings.items()}},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("SKIPPED: "):
        assert not os.environ.get("NODULUS_REQUIRE_PYTORCH"), done.stdout
        assert "PyTorch, which is not installed: pip install" in done.stdout
        pytest.skip(done.stdout.strip())
    models = {line.split()[0] for line in done.stdout.splitlines() if " dice " in line}
    assert {"unet", "proposed"} <= models, done.stdout
