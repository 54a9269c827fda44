"""Tables by name, and stores and files that are not as they should be."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pyarrow
import pyarrow.parquet
import pytest

import nodulus


def test_tables_are_those_that_the_program_lists(store: nodulus.Store) -> None:
    command = [str(nodulus.program()), "tables", "--store", str(store.path), "--json"]
    listed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert sorted(table["table"] for table in listed) == store.tables() == list(store)
    for table in listed:
        found = store[table["table"]]
        assert (len(found), found.version) == (table["rows"], table["version"])
        assert found.verify() == len(found.files) == table["n_shards"]
        assert found.outdated == []
    assert len(store["rois"].files) > 1


@pytest.mark.parametrize("name", ["scans", "nodules", "marks", "rois", "samples", "reader_agreement", "failures"])
def test_each_library_reads_the_same_rows(store: nodulus.Store, name: str) -> None:
    table = store[name]
    expected = pyarrow.parquet.read_table(str(store.path / name / "current"), partitioning=None)
    arrow = table.to_arrow()
    assert arrow.equals(expected) and arrow.num_rows == len(table)
    polars = table.to_polars()
    assert polars.to_dicts() == arrow.to_pylist()
    assert list(table.to_pandas().columns) == arrow.column_names
    assert len(table.to_pandas()) == len(table)


def test_reading_is_lazy_and_by_column(store: nodulus.Store) -> None:
    import polars

    frame = store["nodules"].scan()
    assert isinstance(frame, polars.LazyFrame)
    of_clinical = frame.filter(polars.col("cohort") == "clinical").select("nodule_id").collect()
    dataset = store["nodules"].dataset()
    rows = dataset.count_rows(filter=pyarrow.compute.field("cohort") == "clinical")
    assert 0 < of_clinical.height == rows < len(store["nodules"])
    assert store["nodules"].to_arrow(["cohort"]).column_names == ["cohort"]
    assert store["nodules"].to_polars(["cohort"]).columns == ["cohort"]
    assert list(store["nodules"].to_pandas(["cohort"]).columns) == ["cohort"]
    for read in (store["nodules"].to_arrow, store["nodules"].to_polars):
        with pytest.raises(nodulus.StoreError, match="no column `cohrt`: did you mean `cohort`"):
            read(["cohrt"])


def test_an_unknown_table_is_told_with_near_names(store: nodulus.Store) -> None:
    with pytest.raises(nodulus.UnknownTableError, match="no table `nodule`: did you mean `nodules`") as error:
        store["nodule"]
    assert isinstance(error.value, KeyError)
    with pytest.raises(nodulus.UnknownTableError, match="no table `xyz`; there are: exclusions, "):
        store.table("xyz")
    assert "nodules" in store and "xyz" not in store


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(nodulus.StoreError, match="does not exist, expected the folder of a store"):
        nodulus.open(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(nodulus.StoreError, match="is a file"):
        nodulus.open(tmp_path / "file")
    with pytest.raises(nodulus.StoreError, match="no store of nodulus: it has no `store.json`"):
        nodulus.open(tmp_path)
    (tmp_path / "store.json").write_text('{"layout": 3}')
    with pytest.raises(nodulus.StoreError, match="layout 3, and this package reads layout 2"):
        nodulus.open(tmp_path)
    for text in ("", "no JSON", "[]"):
        (tmp_path / "store.json").write_text(text)
        with pytest.raises(nodulus.DamagedError):
            nodulus.open(tmp_path)


def test_a_file_of_another_size_is_refused(copy: Path, part: Callable[[str], Path]) -> None:
    file = part("nodules")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(nodulus.DamagedError, match="has .* bytes, expected .*nodulus fsck"):
        nodulus.open(copy)["nodules"]
    file.unlink()
    with pytest.raises(nodulus.DamagedError, match="is missing"):
        nodulus.open(copy)["nodules"]
    assert len(nodulus.open(copy)["marks"]) > 0


def test_a_changed_byte_is_found(copy: Path, part: Callable[[str], Path]) -> None:
    file = part("rois")
    content = bytearray(file.read_bytes())
    # In the middle of the pixels.
    content[len(content) // 3] ^= 1
    file.unlink()
    file.write_bytes(content)
    table = nodulus.open(copy)["rois"]
    for read in (table.verify, table.to_arrow, table.to_pandas, lambda: list(nodulus.open(copy).regions())):
        with pytest.raises(nodulus.DamagedError):
            read()


def test_another_number_of_rows_is_refused(copy: Path, part: Callable[[str], Path]) -> None:
    record = copy / "samples" / "versions" / f"{(copy / 'samples' / 'CURRENT').read_text().strip()}.json"
    text = record.read_text()
    values = json.loads(text)
    del values["record_sha256"]
    values["shards"][0]["parts"][0]["rows"] += 1
    # Without a checksum, as earlier programs wrote records.
    record.write_text(json.dumps(values))
    table = nodulus.open(copy)["samples"]
    with pytest.raises(nodulus.DamagedError, match="rows, expected"):
        table.to_arrow()


def test_damaged_records_are_refused(copy: Path) -> None:
    current = copy / "nodules" / "CURRENT"
    record = copy / "nodules" / "versions" / f"{current.read_text().strip()}.json"
    whole = record.read_bytes()
    for damaged in (whole.replace(b'"rows"', b'"rosw"', 1), whole[:-20], b"{}", whole.replace(b"a", b"b")):
        record.write_bytes(damaged)
        with pytest.raises(nodulus.DamagedError):
            nodulus.open(copy)["nodules"]
    record.unlink()
    with pytest.raises(nodulus.DamagedError, match="is missing"):
        nodulus.open(copy)["nodules"]
    current.write_text("../../elsewhere")
    with pytest.raises(nodulus.DamagedError, match="CURRENT` is damaged"):
        nodulus.open(copy)["nodules"]


def test_tables_of_unlike_versions_are_told(made: Path, copy: Path) -> None:
    # The phantom's folder is that of the original store.
    pipeline = made / "pipeline.toml"
    settings = {
        "crop.margin_slices": 2,
        "ingest.cohorts.0.root": made / "store/phantom/luna16",
        "ingest.cohorts.0.annotations": made / "store/phantom/luna16/xml",
        "ingest.cohorts.1.root": made / "store/phantom/clinical",
    }
    before = nodulus.open(copy)["rois"]
    nodulus.run(pipeline, store=copy, set=settings, first="crop", last="crop", progress=None)
    store = nodulus.open(copy)
    assert store["samples"].outdated == ["rois"]
    with pytest.warns(nodulus.OutdatedWarning, match="`samples` was made from earlier versions of `rois`"):
        store["samples"].to_arrow()
    with pytest.raises(nodulus.StoreError, match="`samples` was made from another version of `rois`.*--from balance"):
        list(store.regions(split="train"))
    # A table keeps the version at which it was opened, whose files the run has taken out of `current`.
    with pytest.raises(nodulus.DamagedError, match="a run has made a new version since"):
        before.to_arrow()
    nodulus.run(pipeline, store=copy, set=settings, first="balance", last="balance", progress=None)
    assert store["samples"].outdated == [] and len(list(store.regions())) > len(before)


def test_a_table_with_a_folder_for_each_day(copy: Path) -> None:
    for day, numbers in (("2026-01-30", [1, 2]), ("2026-01-31", [3])):
        folder = copy / "scores" / f"scored_on={day}"
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.table({"nodule_number": numbers}), str(folder / "part-0.parquet"))
    table = nodulus.open(copy)["scores"]
    rows = [{"nodule_number": n, "scored_on": f"2026-01-{d}"} for n, d in ((1, 30), (2, 30), (3, 31))]
    assert table.to_arrow().to_pylist() == table.to_polars().to_dicts() == rows
    assert (len(table), table.version, table.partition) == (3, None, "scored_on")


def test_a_missing_package_is_named_with_its_extra(store: nodulus.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, package: Any = None) -> Any:
        if name.partition(".")[0] in ("polars", "pandas", "pyarrow"):
            raise ImportError(f"No module named '{name}'")
        return real(name, package)

    table = store["nodules"]
    monkeypatch.setattr(importlib, "import_module", without)
    for read, extra in ((table.to_polars, "polars"), (table.to_pandas, "pandas"), (table.to_arrow, "arrow")):
        with pytest.raises(nodulus.MissingPackageError, match=rf"pip install 'nodulus\[{extra}\]'") as error:
            read()
        assert isinstance(error.value, ImportError)
