"""Makes CT slices from pydicom's compressed, deflated and big-endian test files, with their HU by pydicom.

    python compressed_files.py FOLDER

The first frame of each file keeps its transfer syntax and its bytes, and gets the elements of a CT slice. Colour files are
skipped. Prints a JSON list of the files written to FOLDER.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian


def slice_of(source, file):
    """Writes the first frame of a file and returns its HU, or none for a colour file or one that pydicom cannot read."""
    dataset = pydicom.dcmread(source)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or syntax.is_private or syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        return None
    if "PixelData" not in dataset or dataset.SamplesPerPixel != 1:
        return None
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = CTImageStorage, "2.25.1", "CT"
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.2", "2.25.3"
    made.SpacingBetweenSlices = "1"
    made.ImagePositionPatient, made.ImageOrientationPatient = ["0", "0", "0"], ["1", "0", "0", "0", "1", "0"]
    made.PixelSpacing, made.SamplesPerPixel, made.PhotometricInterpretation = ["1", "1"], 1, "MONOCHROME2"
    for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(made, name, dataset[name].value)
    # Sixteen unsigned bits need a negative intercept to be HU.
    intercept = 0 if made.PixelRepresentation == 1 or made.BitsStored < 16 else -32768
    made.RescaleIntercept, made.RescaleSlope = str(intercept), "1"
    if syntax.is_encapsulated:
        frames = int(dataset.get("NumberOfFrames", 1))
        made.PixelData = encapsulate([next(generate_frames(dataset.PixelData, number_of_frames=frames))])
        made["PixelData"].is_undefined_length = True
    else:
        made.PixelData = dataset.PixelData[: dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8]
    made["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    try:
        order = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
        made.save_as(file, enforce_file_format=True, **order)
        hu = pixel_array(pydicom.dcmread(file)).astype(np.int64) + intercept
    except Exception as error:
        return {"unread": str(error).splitlines()[0]}
    return {"hu": hu.ravel().tolist()}


def main():
    folder = Path(sys.argv[1])
    written = []
    for source in sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm")):
        name = source.name
        try:
            found = slice_of(source, folder / name)
        except (pydicom.errors.InvalidDicomError, AttributeError, EOFError, ValueError, KeyError):
            continue
        if found is not None:
            syntax = pydicom.dcmread(folder / name).file_meta.TransferSyntaxUID
            written.append({"file": name, "transfer_syntax": str(syntax)} | found)
    print(json.dumps(written))


main()
