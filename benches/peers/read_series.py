"""DICOM slices read per second by pydicom and by SimpleITK, from a folder to a volume in HU.

    python benches/peers/read_series.py FOLDER [RUNS]

FOLDER holds the files of one CT series. Prints the median of RUNS runs (10) after one to warm up.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk


def by_pydicom(folder: Path) -> np.ndarray:
    slices = [pydicom.dcmread(file) for file in folder.glob("*.dcm")]
    orientation = np.array([float(v) for v in slices[0].ImageOrientationPatient])
    normal = np.cross(orientation[:3], orientation[3:])
    slices.sort(key=lambda s: np.array([float(v) for v in s.ImagePositionPatient]) @ normal)
    hu = np.empty((len(slices), slices[0].Rows, slices[0].Columns), np.int16)
    for k, s in enumerate(slices):
        np.multiply(s.pixel_array, np.int16(s.RescaleSlope), out=hu[k])
        hu[k] += np.int16(s.RescaleIntercept)
    return hu


def by_simpleitk(folder: Path) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def main() -> None:
    folder = Path(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    versions = {"pydicom": pydicom.__version__, "SimpleITK": sitk.Version.VersionString()}
    volumes = {}
    for name, read in [("pydicom", by_pydicom), ("SimpleITK", by_simpleitk)]:
        times = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            volumes[name] = read(folder)
            times.append(time.perf_counter() - start)
        seconds = statistics.median(times[1:])
        n = len(volumes[name])
        print(f"{name} {versions[name]}: {n} slices in {1e3 * seconds:.1f} ms, {n / seconds:.0f} slices/s")
    assert np.array_equal(volumes["pydicom"], volumes["SimpleITK"])


main()
