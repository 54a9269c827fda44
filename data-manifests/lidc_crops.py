"""Lays crops about LIDC-IDRI's nodules back into their scans, for `source = "luna16"` and pipelines/lidc-crops.toml.

    python lidc_crops.py CROPS.parquet lidc-scan-geometry.csv.xz LIDC-XML-FOLDER OUT [N_SCANS]

CROPS.parquet has a row for each slice of a nodule: `series_instance_uid`, `z_index`, `row0` and `col0` (the crop's first
row and column in the scan's slice, negative past its border), `pixel_spacing_mm`, `image_png` (8 bits), and
`hu_at_0` + `hu_per_grey` * grey = HU. The table of scan geometry has the z of every slice (docs/annotations.md).

Writes OUT/scans/<series>.mhd with a compressed .zraw, whole scans of 512 x 512 that are -1000 HU outside the crops, and
OUT/xml/<series>[-n].xml, the readers' XML of these scans, unchanged. -1000 HU over a large part of a slice is what
nodulus finds as "no data" (docs/regions.md): it is learnt from and measured nowhere. N_SCANS writes the first scans only.

Scans with uneven slices are left out, because MetaImage has one spacing, and scans whose crops have a median below air
(-1000 HU), because their line from grey to HU is wrong. Values below -1024 HU, outside a round field of view, become -1024. Pixels and outlines are LIDC-IDRI's (Armato et
al. 2011, doi 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0): cropped, in 8 bits, laid out anew. Cite it; commit none of it.
Needs numpy, pyarrow and Pillow.
"""

import csv
import io
import lzma
import re
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image

SIDE = 512
FILLER_HU = -1000
COLUMNS = ["series_instance_uid", "z_index", "row0", "col0", "pixel_spacing_mm", "hu_at_0", "hu_per_grey", "image_png"]


def main(crops: str, geometry: str, xml_folder: str, out: str, n_scans: str | None = None) -> None:
    csv.field_size_limit(1 << 24)
    with lzma.open(geometry, "rt") as file:
        rows = csv.DictReader(file)
        positions = {row["series_instance_uid"]: sorted(map(float, row["z_positions_mm"].split())) for row in rows}
    slices = slices_by_series(crops)
    wanted = sorted(slices)[: int(n_scans)] if n_scans else sorted(slices)
    scans = Path(out, "scans")
    scans.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    n_uneven = n_wrong = 0
    for series in wanted:
        z = np.array(positions[series])
        steps = np.diff(z)
        if len(steps) == 0 or np.ptp(steps) > 0.01 * np.median(steps) + 1e-3:
            n_uneven += 1
            continue
        crops_hu = [crop_hu(row) for row in slices[series]]
        if np.median(crops_hu) < FILLER_HU:
            n_wrong += 1
            continue
        write_scan(scans / series, slices[series], crops_hu, z[0], float(np.median(steps)), len(z))
        written.append(series)
    n_files = copy_xml(Path(xml_folder), Path(out, "xml"), set(written))
    print(f"{len(written)} scans and {n_files} XML files; left out: {n_uneven} scans with uneven slices, {n_wrong} below air")


def slices_by_series(crops: str) -> dict[str, list[dict]]:
    slices: dict[str, list[dict]] = {}
    for batch in parquet.ParquetFile(crops).iter_batches(2048, columns=COLUMNS):
        for row in batch.to_pylist():
            # A crop without a place in a scan, or without a line from grey to HU, cannot be laid out.
            if row["series_instance_uid"] is not None and row["hu_at_0"] is not None:
                slices.setdefault(row["series_instance_uid"], []).append(row)
    return slices


def crop_hu(row: dict) -> np.ndarray:
    grey = np.asarray(Image.open(io.BytesIO(row["image_png"]))).astype(np.float64)
    return np.clip(np.rint(row["hu_at_0"] + row["hu_per_grey"] * grey), -1024, 3071).astype(np.int16)


def write_scan(
    path: Path, slices: list[dict], crops_hu: list[np.ndarray], first_z: float, step: float, n_slices: int
) -> None:
    voxels = np.full((n_slices, SIDE, SIDE), FILLER_HU, np.int16)
    for row, hu in zip(slices, crops_hu, strict=True):
        first_row, first_column = row["row0"], row["col0"]
        top, left = max(first_row, 0), max(first_column, 0)
        bottom, right = min(first_row + hu.shape[0], SIDE), min(first_column + hu.shape[1], SIDE)
        part = hu[top - first_row : bottom - first_row, left - first_column : right - first_column]
        voxels[row["z_index"], top:bottom, left:right] = part
    raw = zlib.compress(voxels.tobytes(), 6)
    path.with_name(path.name + ".zraw").write_bytes(raw)
    spacing = slices[0]["pixel_spacing_mm"]
    header = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": len(raw),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": f"0 0 {first_z}",
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": f"{spacing} {spacing} {step}",
        "DimSize": f"{SIDE} {SIDE} {n_slices}",
        "ElementType": "MET_SHORT",
        "ElementDataFile": path.name + ".zraw",
    }
    lines = [f"{key} = {value}\n" for key, value in header.items()]
    path.with_name(path.name + ".mhd").write_text("".join(lines))


def copy_xml(folder: Path, out: Path, wanted: set[str]) -> int:
    out.mkdir(parents=True, exist_ok=True)
    n_of_series: dict[str, int] = {}
    for path in sorted(folder.rglob("*.xml")):
        series = re.search(r"<SeriesInstanceUid>\s*([\d.]+)", path.read_text(errors="replace"), re.IGNORECASE)
        if series and series[1] in wanted:
            n = n_of_series[series[1]] = n_of_series.get(series[1], 0) + 1
            shutil.copyfile(path, out / f"{series[1]}{'' if n == 1 else f'-{n}'}.xml")
    return sum(n_of_series.values())


if __name__ == "__main__":
    main(*sys.argv[1:])
