"""Writes a reference and a prediction in every format, and prints their metrics by SciPy and SimpleITK.

    python mask_metrics.py FOLDER

The masks are those of clinical_files.py, with the prediction moved by one voxel along i and j. NAME is `reference` or
`prediction`, in FOLDER/NAME.{nii.gz,mha,dcm} and, with slices from front to back, in FOLDER/NAME.coronal.nii.gz.
FOLDER/elsewhere.mha is the prediction moved by half a voxel, FOLDER/other-frame.dcm the same in another frame of reference.
"""

import json
import pathlib
import sys

import nibabel
import numpy
import SimpleITK
from clinical_files import COSINES, ORIGIN, SIZE, SPACING, labels, segmentation, sitk_image, uid, write_ct
from highdicom.seg import SegmentationTypeValues
from scipy import ndimage


def write(folder, name, made, ct):
    image = sitk_image(made, SIZE, SPACING, ORIGIN, COSINES)
    for end in ("nii.gz", "mha"):
        SimpleITK.WriteImage(image, str(folder / f"{name}.{end}"))
    nifti = nibabel.load(folder / f"{name}.nii.gz")
    target = nibabel.orientations.axcodes2ornt("LSA")
    now = nibabel.orientations.io_orientation(nifti.affine)
    coronal = nifti.as_reoriented(nibabel.orientations.ornt_transform(now, target))
    nibabel.save(coronal, folder / f"{name}.coronal.nii.gz")
    drawn = segmentation(ct, made, SegmentationTypeValues.BINARY, ["first", "second"])
    drawn.save_as(folder / f"{name}.dcm")
    return image


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))


def measured(prediction, reference):
    images = []
    for mask in (reference, prediction):
        images.append(sitk_image(mask.astype(numpy.uint8), SIZE, SPACING, ORIGIN, COSINES))
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    surfaces = [surface(mask) for mask in (prediction, reference)]
    maps = [ndimage.distance_transform_edt(~s, sampling=SPACING[::-1]) for s in surfaces]
    there, back = maps[1][surfaces[0]], maps[0][surfaces[1]]
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    volumes = []
    for image in images:
        shape.Execute(image)
        volumes.append(shape.GetPhysicalSize(1))
    both = numpy.concatenate([there, back])
    return {
        "dice": overlap.GetDiceCoefficient(),
        "iou": overlap.GetJaccardCoefficient(),
        "hausdorff_mm": both.max(),
        "hausdorff_95_mm": max(numpy.percentile(there, 95), numpy.percentile(back, 95)),
        "assd_mm": both.mean(),
        "masd_mm": (there.mean() + back.mean()) / 2,
        "surface_dice_1mm": (both <= 1.0).mean(),
        "reference_volume_mm3": volumes[0],
        "predicted_volume_mm3": volumes[1],
    }


folder = pathlib.Path(sys.argv[1])
ct = write_ct(folder / "ct", "p")
reference = labels()
prediction = numpy.roll(reference, (1, 1), (1, 2))
prediction[4:6, 3, 20] = 1
write(folder, "reference", reference, ct)
image = write(folder, "prediction", prediction, ct)
image.SetOrigin([x + 0.35 for x in ORIGIN])
SimpleITK.WriteImage(image, str(folder / "elsewhere.mha"))
for slice in ct:
    slice.FrameOfReferenceUID = uid("another frame")
drawn = segmentation(ct, prediction, SegmentationTypeValues.BINARY, ["first", "second"])
drawn.save_as(folder / "other-frame.dcm")
print(json.dumps({
    "": measured(prediction > 0, reference > 0),
    "1": measured(prediction == 1, reference == 1),
    "2": measured(prediction == 2, reference == 2),
}))
