"""Writes a CT with outlines that run through pixel centres, and prints the pixels that other programs find inside them.

    python contour_edges.py FOLDER

FOLDER/p/ct is the CT and FOLDER/p/mask.dcm the structure set. Voxels are (i, j, k) by region, for plastimatch (scan
conversion with half-open edges) and rt-utils (OpenCV, whose edges are inside).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import plastimatch
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from rt_utils import RTStructBuilder

import clinical_files

# Pixels of 1 mm along the patient's axes, so that centres are exact in 32 bits.
clinical_files.SPACING = (1.0, 1.0, 2.0)
clinical_files.ORIGIN = (-16.0, -20.0, -30.0)
clinical_files.COSINES = numpy.eye(3)

K = 4
LINES = {
    "square": [(5, 6), (12, 6), (12, 11), (5, 11)],
    "between": [(20.5, 6.5), (27.5, 6.5), (27.5, 11.5), (20.5, 11.5)],
    "diamond": [(10, 15), (15, 20), (10, 25), (5, 20)],
    "steps": [(20, 15), (26, 15), (26, 18), (29, 18), (29, 24), (23, 24), (23, 21), (20, 21)],
}


def structures(ct):
    """The structure set, with the references to slices that rt-utils needs."""
    rois = [
        (name, "GTV", [("CLOSED_PLANAR", [clinical_files.place(i, j, K) for i, j in line])])
        for name, line in LINES.items()
    ]
    made = clinical_files.structure_set(ct, rois)

    def reference(slice):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = slice.SOPClassUID, slice.SOPInstanceUID
        return item

    study = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].ContourImageSequence = Sequence([reference(slice) for slice in ct])
    for roi in made.ROIContourSequence:
        for contour in roi.ContourSequence:
            contour.ContourImageSequence = Sequence([reference(ct[K])])
    return made


def by_plastimatch(folder):
    program = pathlib.Path(plastimatch.__file__).parent / "bin" / "plastimatch"
    with tempfile.TemporaryDirectory() as out:
        arguments = ["convert", "--input", folder / "mask.dcm", "--referenced-ct", folder / "ct"]
        arguments += ["--output-prefix", out, "--prefix-format", "nrrd"]
        subprocess.run([program, *arguments], check=True, capture_output=True)
        read = lambda name: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(f"{out}/{name}.nrrd"))
        return {name: clinical_files.voxels(read(name) > 0) for name in LINES}


def by_rt_utils(folder):
    builder = RTStructBuilder.create_from(str(folder / "ct"), str(folder / "mask.dcm"))
    # Indexed j, i, k.
    read = lambda name: builder.get_roi_mask_by_name(name).transpose(2, 0, 1)
    return {name: clinical_files.voxels(read(name)) for name in LINES}


def main():
    folder = pathlib.Path(sys.argv[1]) / "p"
    ct = clinical_files.write_ct(folder / "ct", "p")
    structures(ct).save_as(folder / "mask.dcm", enforce_file_format=True)
    print(json.dumps({"plastimatch": by_plastimatch(folder), "rt_utils": by_rt_utils(folder)}))


if __name__ == "__main__":
    main()
