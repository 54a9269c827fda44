"""DICOM slices read per second by pydicom and by SimpleITK, from a folder to a volume in HU.

    python benches/peers/read_series.py FOLDER [RUNS]
    python benches/peers/read_series.py --compress FOLDER COPIES

FOLDER holds the files of one CT series. Prints the median of RUNS runs (default 10) after one to warm up, for complete
series and for headers alone by pydicom. --compress writes the series to COPIES/SYNTAX in each transfer syntax that GDCM,
and thus SimpleITK, reads.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid

SYNTAXES = {
    "rle": uid.RLELossless,
    "jpeg-lossless": uid.JPEGLosslessSV1,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg-2000": uid.JPEG2000Lossless,
}


def headers_by_pydicom(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in folder.glob("*.dcm")]


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


def compress(folder: Path, copies: Path) -> None:
    for name, syntax in SYNTAXES.items():
        (copies / name).mkdir(parents=True)
        for file in folder.glob("*.dcm"):
            slice_ = pydicom.dcmread(file)
            if syntax == uid.JPEGLosslessSV1:
                import imagecodecs

                # pydicom has no encoder for it. The bits are the same as those of unsigned words.
                words = slice_.pixel_array.view(np.uint16)
                frame = imagecodecs.ljpeg_encode(words, bitspersample=16)
                slice_.PixelData = pydicom.encaps.encapsulate([frame])
                slice_["PixelData"].VR = "OB"
                slice_["PixelData"].is_undefined_length = True
                slice_.file_meta.TransferSyntaxUID = syntax
            else:
                slice_.compress(syntax, generate_instance_uid=False)
            slice_.save_as(copies / name / file.name)


def main() -> None:
    if sys.argv[1] == "--compress":
        return compress(Path(sys.argv[2]), Path(sys.argv[3]))
    folder = Path(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    versions = {"pydicom": pydicom.__version__, "SimpleITK": sitk.Version.VersionString()}
    readers = {
        "pydicom, headers": headers_by_pydicom,
        "pydicom": by_pydicom,
        "SimpleITK": by_simpleitk,
    }
    volumes = {}
    for name, read in readers.items():
        times = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            volumes[name] = read(folder)
            times.append(time.perf_counter() - start)
        seconds = statistics.median(times[1:])
        n = len(volumes[name])
        version = versions[name.split(",")[0]]
        print(f"{name} {version}: {n} slices in {1e3 * seconds:.1f} ms, {n / seconds:.0f} slices/s")
    assert np.array_equal(volumes["pydicom"], volumes["SimpleITK"])


main()
