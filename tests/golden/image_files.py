"""Writes image_files.json: small image files by other programs, with their content as those programs read it.

    pip install SimpleITK nibabel numpy
    python image_files.py > image_files.json

Positions are LPS, in millimetres.
"""

import json
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

SIZE = (4, 3, 2)
SPACING = (0.7, 0.8, 2.5)
ORIGIN = (-195.3, -180.25, 40.125)
CORNERS = [(0, 0, 0), (3, 0, 0), (0, 2, 0), (0, 0, 1), (3, 2, 1)]


def rotation():
    """A rotation about two axes, with the third axis reversed."""
    a, b = 0.3, -0.2
    about_z = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    return np.array(about_z) @ np.array(about_x) @ np.diag([1, 1, -1])


def values(kind):
    lowest = 0 if np.dtype(kind).kind == "u" else -1000
    return (lowest + 7 * np.arange(24).reshape(SIZE[::-1])).astype(kind)


def image(kind):
    made = sitk.GetImageFromArray(values(kind))
    made.SetSpacing(SPACING)
    made.SetOrigin(ORIGIN)
    made.SetDirection(rotation().ravel().tolist())
    return made


def case(name, folder, read):
    """Files of a name with its own image, corners' positions and values (i fastest)."""
    paths = sorted(folder.glob(name.split(".")[0] + ".*"))
    found = read(str(folder / name))
    return {
        "name": name,
        "files": {path.name: path.read_bytes().hex() for path in paths},
        "corners_mm": found[0],
        "values": found[1],
    }


def by_sitk(path):
    found = sitk.ReadImage(path)
    corners = [list(found.TransformIndexToPhysicalPoint(corner)) for corner in CORNERS]
    return corners, sitk.GetArrayFromImage(found).ravel().tolist()


def by_nibabel(path):
    found = nibabel.load(path)
    ras = nibabel.affines.apply_affine(found.affine, CORNERS)
    corners = (ras * [-1, -1, 1]).tolist()
    return corners, np.asarray(found.dataobj).transpose(2, 1, 0).ravel().astype(int).tolist()


def nifti(path, code, kind):
    """By nibabel, with only a qform or only an sform."""
    affine = np.diag([-1, -1, 1, 1.0])
    affine[:3, :3] = affine[:3, :3] @ rotation() @ np.diag(SPACING)
    affine[:3, 3] = np.array(ORIGIN) * [-1, -1, 1]
    made = nibabel.Nifti1Image(values(kind).transpose(2, 1, 0), None)
    made.set_qform(affine if code == "qform" else None, 1 if code == "qform" else 0)
    made.set_sform(affine if code == "sform" else None, 1 if code == "sform" else 0)
    made.header["pixdim"][1:4] = SPACING
    made.to_filename(path)


folder = Path(tempfile.mkdtemp())
for name, kind, compressed in [
    ("short.mhd", "int16", False),
    ("packed.mhd", "int16", True),
    ("local.mha", "int16", True),
    ("byte.mhd", "uint8", False),
    ("float.mhd", "float32", True),
]:
    sitk.WriteImage(image(kind), str(folder / name), useCompression=compressed)
sitk.WriteImage(image("uint8"), str(folder / "itk.nii"))
sitk.WriteImage(image("uint16"), str(folder / "itkpacked.nii.gz"))
nifti(folder / "qform.nii.gz", "qform", "uint8")
nifti(folder / "sform.nii", "sform", "uint16")
metaimage = ["short.mhd", "packed.mhd", "local.mha", "byte.mhd", "float.mhd"]
print(json.dumps({
    "SimpleITK": sitk.Version.VersionString(),
    "nibabel": nibabel.__version__,
    "corners": CORNERS,
    "metaimage": [case(name, folder, by_sitk) for name in metaimage],
    "nifti": [case(name, folder, by_sitk) for name in ["itk.nii", "itkpacked.nii.gz"]]
    + [case(name, folder, by_nibabel) for name in ["qform.nii.gz", "sform.nii"]],
}, indent=1))
