"""Writes CT series of less common kinds, with the HU that pydicom and SimpleITK read.

    python tests/python/dicom_kinds.py FOLDER

Writes each series into its own folder below FOLDER and prints a JSON list. SimpleITK reads an Enhanced CT as one file.
"""

import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence

COLUMNS, ROWS, SLICES = 48, 40, 6
# Tilted about x: neither axial nor the identity.
ORIENTATION = [1.0, 0.0, 0.0, 0.0, 0.8, 0.6]
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])
SPACING = [0.7, 0.6]  # Rows, columns.
GAP = 1.25
ORIGIN = np.array([-80.5, 33.0, 412.25])


def stored() -> np.ndarray:
    rng = np.random.default_rng(5)
    values = rng.integers(-1500, 2500, (SLICES, ROWS, COLUMNS), dtype=np.int16)
    values[:, 0, 0] = -2000
    return values


def base(sop_class: str, syntax: str = uid.ExplicitVRLittleEndian) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid.generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.3"
    ds.Modality, ds.PatientID, ds.ImageType = "CT", "P", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    return ds


def place(ds: Dataset, k: int) -> None:
    ds.ImagePositionPatient = (ORIGIN + k * GAP * NORMAL).tolist()
    ds.ImageOrientationPatient = ORIENTATION
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = SPACING, 2.0, GAP


def rescale(ds: Dataset, intercept: float, slope: float = 1.0) -> None:
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = intercept, slope, "HU"


def item(**attributes) -> Sequence:
    ds = Dataset()
    for name, value in attributes.items():
        setattr(ds, name, value)
    return Sequence([ds])


def single(folder: Path, photometric: str, padding: int) -> np.ndarray:
    values = stored()
    hu = []
    for k in range(SLICES):
        ds = base(uid.CTImageStorage)
        place(ds, k)
        rescale(ds, -1024.0)
        ds.PhotometricInterpretation = photometric
        ds.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
        ds.InstanceNumber = SLICES - k
        ds.PixelData = values[k].tobytes()
        ds.save_as(folder / f"{k}.dcm", enforce_file_format=True)
        ds = pydicom.dcmread(folder / f"{k}.dcm")
        hu.append(apply_modality_lut(ds.pixel_array, ds))
    return np.stack(hu)


def multi(folder: Path, sop_class: str, order: list[int], intercepts: list[float], name: str = "e") -> None:
    """One file with the slices in the order of `order`; common attributes are in the shared functional groups."""
    ds = base(sop_class)
    ds.NumberOfFrames = len(order)
    ds.PixelPresentation, ds.VolumetricProperties = "MONOCHROME", "VOLUME"
    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=ORIENTATION)
    shared.PixelMeasuresSequence = item(PixelSpacing=SPACING, SliceThickness=2.0, SpacingBetweenSlices=GAP)
    one = len(set(intercepts)) == 1
    lut = lambda k: item(RescaleIntercept=intercepts[k], RescaleSlope=1.0, RescaleType="HU")
    if one:
        shared.PixelValueTransformationSequence = lut(0)
    frames = []
    for at, k in enumerate(order):
        frame = Dataset()
        frame.FrameContentSequence = item(StackID="1", InStackPositionNumber=at + 1, DimensionIndexValues=[1, at + 1])
        frame.PlanePositionSequence = item(ImagePositionPatient=(ORIGIN + k * GAP * NORMAL).tolist())
        if not one:
            frame.PixelValueTransformationSequence = lut(k)
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.PixelData = np.stack([stored()[k] for k in order]).tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(folder / name, enforce_file_format=True)


def faulty(folder: Path, change) -> np.ndarray:
    """A series whose files have a fault that no voxel depends on; `change` gives the bytes of a file."""
    values = stored() % 4096  # 12 bits.
    hu = []
    for k in range(SLICES):
        ds = base(uid.CTImageStorage)
        place(ds, k)
        rescale(ds, -1024.0)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        ds.KVP, ds.ConvolutionKernel, ds.Modality = "120", "B30f", "CT"
        ds.PixelData = values[k].astype("<u2").tobytes()
        file = folder / f"{k}.dcm"
        file.write_bytes(change(ds))
        ds = pydicom.dcmread(file, force=True)
        hu.append(apply_modality_lut(ds.pixel_array, ds))
    return np.stack(hu)


def encoded(ds: Dataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def with_elements(**attributes):
    def change(ds: Dataset) -> bytes:
        for name, value in attributes.items():
            if isinstance(value, tuple):
                ds.add_new(name, *value)
            else:
                setattr(ds, name, value)
        return encoded(ds)

    return change


def excess(ds: Dataset) -> bytes:
    ds.PixelData += b"\x07\x00"
    return encoded(ds)


def rounded(decimals: int):
    """Positions and a gap that no decimal number of that length is, as scanners write them."""

    def change(ds: Dataset) -> bytes:
        at = np.array([float(v) for v in ds.ImagePositionPatient])
        k = round(float((at - ORIGIN) @ NORMAL) / GAP)
        ds.ImagePositionPatient = [f"{v:.{decimals}f}" for v in ORIGIN + k * 0.6253 * NORMAL]
        return encoded(ds)

    return change


def slice_number(ds: Dataset) -> int:
    at = np.array([float(v) for v in ds.ImagePositionPatient])
    return round(float((at - ORIGIN) @ NORMAL) / GAP)


def varying(ds: Dataset) -> bytes:
    """One scan, whose scanner and archive write these attributes slice by slice."""
    k = slice_number(ds)
    ds.AcquisitionTime, ds.ContentTime, ds.SeriesTime = f"1200{2 * k:02d}", f"1201{k:02d}", f"1202{k:02d}"
    ds.XRayTubeCurrent, ds.Exposure, ds.ExposureTime = 200 + 7 * (k * k % 5), 90 + k, 500 + k // 3
    ds.WindowCenter, ds.WindowWidth, ds.TableHeight = 40 + k, 400 - k, "150"
    ds.ImageComments, ds.ScanOptions = f"slice {k}", "HELIX"
    return encoded(ds)


def in_pairs(ds: Dataset) -> bytes:
    """An axial scan: each rotation makes two slices, and the tube turns back after each."""
    k = slice_number(ds)
    ds.AcquisitionTime, ds.AcquisitionNumber = f"1200{k // 2:02d}", k // 2 + 1
    ds.SeriesTime, ds.RotationDirection = f"1200{k // 2:02d}", "CW" if k // 2 % 2 else "CC"
    ds.TableHeight, ds.SoftwareVersions = 150 + k // 2 % 2, ["a", "b"][k // 3]
    return encoded(ds)


# What pydicom and SimpleITK read past.
FAULTS = {
    "varying": varying,
    "in-pairs": in_pairs,
    "two-voltages": with_elements(KVP=["80", "140"]),
    "unknown-vr": with_elements(PixelSpacing=("UN", b"0.7\\0.6 "), ConvolutionKernel=("UN", b"B30f")),
    "float-voltage": with_elements(KVP=("FL", 120.0)),
    "frames-01": with_elements(NumberOfFrames="01"),
    "excess-bytes": excess,
    "no-preamble": lambda ds: encoded(ds)[132:],
    "axes-0.9999": with_elements(ImageOrientationPatient=[0.9999, 0, 0, 0, 0.79992, 0.59994]),
    "rounded-3": rounded(3),
}


def by_pydicom(folder: Path) -> np.ndarray:
    """HU of multi-frame files, by the position of each frame along the normal."""
    found = {}
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        pixels = ds.pixel_array.reshape(-1, ROWS, COLUMNS)
        shared = ds.SharedFunctionalGroupsSequence[0]
        for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
            group = frame if "PixelValueTransformationSequence" in frame else shared
            position = np.array([float(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient])
            found[float(position @ NORMAL)] = apply_modality_lut(pixels[n], group.PixelValueTransformationSequence[0])
    return np.stack([found[height] for height in sorted(found)])


def by_simpleitk(folder: Path) -> dict:
    files = sorted(folder.iterdir())
    if len(files) == 1:
        image = sitk.ReadImage(str(files[0]))
    else:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
    return {
        "size": list(image.GetSize()),
        "spacing_mm": list(image.GetSpacing()),
        "origin_mm": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
        "simpleitk": sitk.GetArrayFromImage(image).astype(int).ravel().tolist(),
    }


def main() -> None:
    root = Path(sys.argv[1])
    kinds = []

    def add(name: str, make, read=None, itk: bool = True) -> None:
        folder = root / name
        folder.mkdir()
        made = make(folder)
        hu = made if read is None else read(folder)
        kinds.append(
            {"folder": str(folder), "pydicom": hu.astype(int).ravel().tolist()}
            | (by_simpleitk(folder) if itk else {})
        )

    add("monochrome1", lambda f: single(f, "MONOCHROME1", 63536))
    add("monochrome2", lambda f: single(f, "MONOCHROME2", -2000))
    alike, each = [-1024.0] * SLICES, [-1024.0 + k for k in range(SLICES)]
    along, mixed = list(range(SLICES)), [3, 0, 5, 1, 4, 2]
    enhanced, legacy = uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage
    add("enhanced", lambda f: multi(f, enhanced, along, alike), by_pydicom)
    add("legacy", lambda f: multi(f, legacy, along, alike), by_pydicom)

    def compressed(syntax):
        def make(folder: Path) -> None:
            multi(folder, enhanced, along, alike)
            ds = pydicom.dcmread(folder / "e")
            ds.compress(syntax)
            ds.save_as(folder / "e")

        return make

    add("enhanced-rle", compressed(uid.RLELossless), by_pydicom)
    add("enhanced-jpeg-ls", compressed(uid.JPEGLSLossless), by_pydicom)
    add("enhanced-jpeg-2000", compressed(uid.JPEG2000Lossless), by_pydicom)
    # SimpleITK takes frames in file order, and one rescaling for all of them.
    add("enhanced-mixed", lambda f: multi(f, enhanced, mixed, each), by_pydicom, itk=False)

    def two_files(folder: Path) -> None:
        multi(folder, enhanced, mixed[:3], alike, "a")
        multi(folder, enhanced, mixed[3:], alike, "b")

    add("enhanced-two-files", two_files, by_pydicom, itk=False)
    for name, change in FAULTS.items():
        # GDCM asks for a preamble.
        add(name, lambda f, change=change: faulty(f, change), itk=name != "no-preamble")
    print(json.dumps(kinds))


main()
