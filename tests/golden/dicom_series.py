"""Geometry and HU of CT series by pydicom and by SimpleITK.

    python tests/golden/dicom_series.py FOLDER... > tests/golden/dicom_series.json

Each FOLDER holds one CT series somewhere below it and is named by its patient.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

# Voxels (i, j, k) as fractions of the size: asymmetric, so that swapped or reversed axes differ.
SAMPLES = [(0.0, 0.0, 0.0), (0.31, 0.47, 0.12), (0.62, 0.38, 0.55), (0.25, 0.71, 0.83), (0.999, 0.5, 0.999)]


def summary(hu: np.ndarray) -> dict:
    """Of HU, indexed k, j, i."""
    assert hu.min() >= -32768 and hu.max() <= 32767
    hu = np.ascontiguousarray(hu.astype("<i2"))
    nk, nj, ni = hu.shape
    samples = [[int(a * ni), int(b * nj), int(c * nk)] for a, b, c in SAMPLES]
    return {
        "size": [ni, nj, nk],
        "hu_min": int(hu.min()),
        "hu_max": int(hu.max()),
        "hu_sum": int(hu.sum(dtype=np.int64)),
        "hu_sha256": hashlib.sha256(hu.tobytes()).hexdigest(),
        "samples": [{"ijk": [i, j, k], "hu": int(hu[k, j, i])} for i, j, k in samples],
    }


def by_pydicom(files: list[Path]) -> dict:
    slices = [pydicom.dcmread(file) for file in files]
    orientation = np.array([float(v) for v in slices[0].ImageOrientationPatient])
    normal = np.cross(orientation[:3], orientation[3:])
    position = lambda s: np.array([float(v) for v in s.ImagePositionPatient])
    slices.sort(key=lambda s: position(s) @ normal)
    hu = np.stack([s.pixel_array * int(s.RescaleSlope) + int(s.RescaleIntercept) for s in slices])
    heights = np.array([position(s) @ normal for s in slices])
    rows_mm, columns_mm = (float(v) for v in slices[0].PixelSpacing)
    return summary(hu) | {
        "spacing_mm": [columns_mm, rows_mm, float(np.median(np.diff(heights)))],
        "origin_mm": position(slices[0]).tolist(),
        "direction": np.stack([orientation[:3], orientation[3:], normal], axis=1).ravel().tolist(),
        "slice_z_mm": [float(position(s)[2]) for s in slices],
        "sop_instance_uids_sha256": hashlib.sha256(
            "\n".join(s.SOPInstanceUID for s in slices).encode()
        ).hexdigest(),
        "slice_thickness_mm": float(slices[0].SliceThickness),
        "kvp": float(slices[0].KVP),
        "tube_current": float(slices[0].XRayTubeCurrent),
        "manufacturer": slices[0].Manufacturer,
        "model": slices[0].ManufacturerModelName,
        "kernel": slices[0].ConvolutionKernel,
        "transfer_syntax": slices[0].file_meta.TransferSyntaxUID,
    }


def by_simpleitk(folder: Path) -> dict:
    reader = sitk.ImageSeriesReader()
    [series] = reader.GetGDCMSeriesIDs(str(folder))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series))
    image = reader.Execute()
    return summary(sitk.GetArrayFromImage(image)) | {
        "spacing_mm": list(image.GetSpacing()),
        "origin_mm": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
    }


def main() -> None:
    result = {"pydicom": pydicom.__version__, "simpleitk": sitk.Version.VersionString(), "scans": {}}
    for root in map(Path, sys.argv[1:]):
        files = sorted(root.rglob("*.dcm"))
        [folder] = {file.parent for file in files}
        result["scans"][root.name] = {
            "pydicom": by_pydicom(files),
            "simpleitk": by_simpleitk(folder),
        }
    json.dump(result, sys.stdout, indent=1)
    print()


main()
