"""Regions against the program's own export, and against numpy's normalisation."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, List

import numpy
import pyarrow.parquet
import pytest

import nodulus
from conftest import REPOSITORY
from nodulus import _regions


@pytest.fixture(scope="session")
def exported(store: nodulus.Store, tmp_path_factory: pytest.TempPathFactory) -> List[Any]:
    """What `nodulus export rois --to npz` writes of each nodule."""
    out = tmp_path_factory.mktemp("npz") / "out"
    command = [str(nodulus.program()), "export", "rois", "--store", str(store.path), "--to", "npz", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    files = sorted(out.glob("*.npz"))
    assert files
    return [numpy.load(file) for file in files]


def test_stacks_are_the_export_to_the_byte(store: nodulus.Store, exported: List[Any]) -> None:
    stacks = {stack.nodule_id: stack for stack in store.stacks()}
    assert len(stacks) == len(exported)
    for npz in exported:
        stack = stacks[str(npz["nodule_id"])]
        first = stack.slices[0]
        assert stack.hu.dtype == numpy.int16 and stack.hu.tobytes() == npz["hu"].tobytes()
        for name, found in (("mask", stack.mask), ("other_mask", stack.other_mask)):
            assert found.dtype == numpy.bool_ and found.shape == npz[name].shape
            assert found.astype(numpy.uint8).tobytes() == npz[name].tobytes()
        assert [region.slice_index for region in stack.slices] == npz["slice_index"].tolist()
        assert first.window_hu == tuple(npz["window_hu"])
        assert first.spacing_kji_mm == tuple(npz["spacing_kji_mm"])
        assert first.origin_xyz_mm == tuple(npz["origin_xyz_mm"])
        assert numpy.array_equal(first.direction, npz["direction"])
        assert (first.split or "") == str(npz["split"])
        assert (first.cohort, first.patient_id) == (str(npz["cohort"]), str(npz["patient_id"]))
        assert stack.normalised().dtype == numpy.float32 and stack.normalised().shape == stack.hu.shape


def test_the_export_by_split_has_the_same_nodules(store: nodulus.Store, exported: List[Any]) -> None:
    for split in ("train", "test"):
        expected = sorted(str(npz["nodule_id"]) for npz in exported if str(npz["split"]) == split)
        assert expected and sorted(stack.nodule_id for stack in store.stacks(split=split)) == expected


def test_every_value_normalises_to_the_programs_bits() -> None:
    # The program is held against the same file.
    golden = json.loads((REPOSITORY / "tests/golden/normalise.json").read_text())
    hu = numpy.arange(-(2**15), 2**15, dtype=numpy.int16)
    assert len(golden) > 1
    for case in golden:
        found = nodulus.normalise(hu, case["low_hu"], case["high_hu"])
        assert found.dtype == numpy.float32
        assert hashlib.sha256(found.astype("<f4").tobytes()).hexdigest() == case["sha256"]


def test_selections_are_those_of_the_tables(store: nodulus.Store) -> None:
    rois = store["rois"].to_pandas(["roi_id", "nodule_id", "cohort", "patient_id"])
    samples = store["samples"].to_pandas()
    everything = list(store.regions())
    assert [region.roi_id for region in everything] == rois["roi_id"].tolist()

    def ids(**arguments: Any) -> List[str]:
        return sorted(region.roi_id for region in store.regions(**arguments))

    for split in ("train", "validation", "test"):
        of_split = samples[samples["split"] == split]
        if len(of_split) == 0:
            continue
        assert ids(split=split, slices="samples") == sorted(of_split["roi_id"])
        assert ids(split=split) == sorted(rois[rois["nodule_id"].isin(of_split["nodule_id"])]["roi_id"])
    assert ids(slices="samples") == sorted(samples["roi_id"])
    assert ids(fold=[0, 2], slices="samples") == sorted(samples[samples["fold"].isin([0, 2])]["roi_id"])
    assert ids(cohort="clinical") == sorted(rois[rois["cohort"] == "clinical"]["roi_id"])
    patient = rois["patient_id"].iloc[0]
    assert ids(patient=[patient]) == sorted(rois[rois["patient_id"] == patient]["roi_id"])
    roles = dict(zip(samples["roi_id"], samples["role"]))
    assert all(region.role == roles.get(region.roi_id) for region in everything)
    assert {region.role for region in everything} >= {"nodule", "adjacent_empty"}


def test_a_mistyped_value_chooses_nothing_with_a_word(store: nodulus.Store) -> None:
    wrong: List[Any] = [({"split": "trian"}, "train"), ({"cohort": "clinicl"}, "clinical"), ({"patient": "CLINIC-01"}, "CLINIC-001")]
    for arguments, near in wrong:
        with pytest.raises(nodulus.StoreError, match=f"did you mean .*`{near}`"):
            store.regions(**arguments)
    with pytest.raises(nodulus.StoreError, match="no region has the fold `9`"):
        store.regions(fold=9)
    with pytest.raises(ValueError, match="expected 'all' or 'samples'"):
        store.regions(slices="some")  # type: ignore[arg-type]


def test_targets_follow_the_rule_of_other_nodules(store: nodulus.Store) -> None:
    import dataclasses

    region = next(store.regions())
    mask, others, no_data = (numpy.zeros((1, 4), bool) for _ in range(3))
    mask[0, :2], others[0, 1:3], no_data[0, 3] = True, True, True
    for rule, target, ignored in (
        ("include", [True, True, True, False], [False, False, False, True]),
        ("ignore", [True, True, False, False], [False, False, True, True]),
    ):
        made = dataclasses.replace(region, mask=mask, other_mask=others, no_data=no_data, neighbours=rule)
        assert made.target().tolist() == [target] and made.ignored().tolist() == [ignored]
    # Arrays are the caller's own.
    region.hu[0, 0] += 1
    assert region.mask.flags.writeable


def test_one_row_group_is_read_at_a_time(store: nodulus.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: List[int] = []
    real = _regions._read

    def counted(file: Any, rois: Any, part: Any, group: int, columns: Any) -> Any:
        if "hu" in columns:
            read.append(group)
        return real(file, rois, part, group, columns)

    monkeypatch.setattr(_regions, "_read", counted)
    regions = store.regions()
    assert read == []
    next(regions)
    assert read == [0]
    n_groups = sum(pyarrow.parquet.ParquetFile(str(file)).num_row_groups for file in store["rois"].files)
    list(regions)
    assert len(read) == n_groups > 1
    # Row groups without a chosen row are not decoded.
    read.clear()
    list(store.regions(patient=next(store.regions()).patient_id))
    assert 0 < len(read) <= n_groups


def test_bytes_that_are_no_image_are_refused(store: nodulus.Store) -> None:
    row = store["rois"].to_arrow().slice(0, 1).to_pylist()[0]
    selection = _regions.Selection.of(None, None, None, None, "all", None)
    assert _regions._region(row, selection).split is None
    for name in ("hu", "mask_bits", "other_mask_bits", "no_data_bits"):
        with pytest.raises(nodulus.DamagedError, match=f"`{name}` has .* bytes, expected"):
            _regions._region({**row, name: row[name][:-1]}, selection)
    with pytest.raises(nodulus.DamagedError, match="`reader_counts` has 1 bytes"):
        _regions._region({**row, "reader_counts": b"1"}, selection)
    assert not _regions._region({**row, "reader_counts": b""}, selection).reader_counts.any()
    assert Path(store["rois"].files[0]).exists()


def test_slices_that_make_no_region_are_refused(store: nodulus.Store) -> None:
    first = next(store.stacks()).slices
    with pytest.raises(nodulus.StoreError, match="do not make one region"):
        list(_regions.stacked([first[0], first[2]]))
    assert list(_regions.stacked([])) == []
