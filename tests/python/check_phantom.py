"""Reads a phantom with SimpleITK, pydicom and nibabel, and compares it with the rows of `scans`."""

import json
import pathlib
import sys

import nibabel
import numpy
import pydicom
import SimpleITK

root = pathlib.Path(sys.argv[1])
scans = {row["series_instance_uid"]: row for row in map(json.loads, sys.argv[2].splitlines())}


def compare(image, row):
    """Raises if an image differs from its row."""
    assert list(image.GetSize()) == [row["n_columns"], row["n_rows"], row["n_slices"]], row
    spacing = [row["spacing_i_mm"], row["spacing_j_mm"], row["spacing_k_mm"]]
    origin = [row["origin_x_mm"], row["origin_y_mm"], row["origin_z_mm"]]
    numpy.testing.assert_allclose(image.GetSpacing(), spacing, atol=1e-4)
    numpy.testing.assert_allclose(image.GetOrigin(), origin, atol=1e-3)
    numpy.testing.assert_allclose(image.GetDirection(), row["direction"], atol=1e-5)
    voxels = SimpleITK.GetArrayViewFromImage(image)
    assert (int(voxels.min()), int(voxels.max())) == (row["hu_min"], row["hu_max"]), row


scans_compared = 0
for path in sorted((root / "luna16").glob("subset*/*.mhd")):
    compare(SimpleITK.ReadImage(str(path)), scans[path.stem])
    scans_compared += 1

masks_compared = 0
for patient in sorted((root / "clinical").iterdir()):
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(patient / "ct"))
    image = SimpleITK.ReadImage(files)
    uid = pydicom.dcmread(files[0]).SeriesInstanceUID
    compare(image, scans[uid])
    scans_compared += 1
    mask = nibabel.load(patient / "mask.nii.gz")
    assert mask.shape == image.GetSize(), patient
    # NIfTI is RAS, DICOM is LPS.
    corner = numpy.array([n - 1 for n in mask.shape])
    lps = numpy.array(image.TransformContinuousIndexToPhysicalPoint(corner.tolist()))
    ras = nibabel.affines.apply_affine(mask.affine, corner)
    numpy.testing.assert_allclose(ras, lps * [-1, -1, 1], atol=1e-2)
    assert numpy.asarray(mask.dataobj).max() > 0, patient
    masks_compared += 1

print(json.dumps({"scans_compared": scans_compared, "masks_compared": masks_compared}))
