"""Writes patients with a CT and a mask in every format that nodulus reads, and prints the voxels of each mask.

    python clinical_files.py FOLDER

FOLDER/exact/PATIENT has masks on the CT's grid, FOLDER/resample/PATIENT masks on another grid, and FOLDER/refused/PATIENT
masks that do not belong to their CT. highdicom writes segmentations, pydicom structure sets, nibabel and SimpleITK the other
masks. The printed voxels (i, j, k) are those that the masks were made from; for contours, the voxels whose centres have a
non-zero winding number, by numpy; for masks on another grid, the voxels of SimpleITK's nearest-neighbour resampling.
"""

import json
import pathlib
import sys

import highdicom
import nibabel
import numpy
import pydicom
import SimpleITK
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    RTStructureSetStorage,
)

SIZE = (40, 32, 12)
SPACING = (0.7, 0.8, 2.5)
ORIGIN = (-171.3, -180.25, -378.125)
# The patient lies on their front, head first, so i and j run against x and y.
COSINES = numpy.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])


def place(i, j, k):
    """Centre of a voxel, LPS."""
    return numpy.array(ORIGIN) + COSINES @ (numpy.array([i, j, k]) * SPACING)


def uid(*parts):
    return pydicom.uid.generate_uid(entropy_srcs=[str(part) for part in parts])


def write_ct(folder, patient):
    """Writes a CT, and returns its slices from k = 0."""
    folder.mkdir(parents=True)
    rng = numpy.random.default_rng(5)
    slices = []
    for k in range(SIZE[2]):
        slice = Dataset()
        slice.file_meta = FileMetaDataset()
        slice.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice.file_meta.MediaStorageSOPClassUID = CTImageStorage
        slice.SOPClassUID = CTImageStorage
        slice.SOPInstanceUID = uid(patient, "slice", k)
        slice.file_meta.MediaStorageSOPInstanceUID = slice.SOPInstanceUID
        slice.StudyInstanceUID = uid(patient, "study")
        slice.SeriesInstanceUID = uid(patient, "series")
        slice.FrameOfReferenceUID = uid(patient, "frame")
        slice.Modality = "CT"
        slice.PatientID = patient
        slice.PatientName = slice.PatientBirthDate = slice.PatientSex = ""
        slice.AccessionNumber = slice.StudyID = slice.ReferringPhysicianName = ""
        slice.StudyDate = slice.StudyTime = slice.PositionReferenceIndicator = ""
        slice.Manufacturer = "nodulus"
        slice.SeriesNumber, slice.InstanceNumber = 1, k + 1
        slice.ImagePositionPatient = [float(x) for x in place(0, 0, k)]
        slice.ImageOrientationPatient = [*COSINES[:, 0], *COSINES[:, 1]]
        slice.PixelSpacing = [SPACING[1], SPACING[0]]
        slice.SliceThickness = SPACING[2]
        slice.Columns, slice.Rows = SIZE[:2]
        slice.SamplesPerPixel, slice.PhotometricInterpretation = 1, "MONOCHROME2"
        slice.BitsAllocated = slice.BitsStored = 16
        slice.HighBit, slice.PixelRepresentation = 15, 1
        slice.RescaleSlope, slice.RescaleIntercept = 1, 0
        values = rng.integers(-1000, 400, (SIZE[1], SIZE[0]), dtype=numpy.int16)
        slice.PixelData = values.tobytes()
        slice.save_as(folder / f"{k:03}.dcm", enforce_file_format=True)
        slices.append(slice)
    return slices


def labels():
    """Two nodules, 1 and 2; the first has a hole. Indexed k, j, i."""
    k, j, i = numpy.indices(SIZE[::-1])

    def ball(centre, radii):
        parts = [((x - c) / r) ** 2 for x, c, r in zip((i, j, k), centre, radii)]
        return sum(parts) <= 1

    made = numpy.zeros(SIZE[::-1], numpy.uint8)
    made[ball((12, 10, 4), (7, 6, 2.5)) & ~ball((12, 10, 4), (2.5, 2, 1))] = 1
    made[ball((30, 22, 8), (4, 5, 1.5))] = 2
    return made


def voxels(mask):
    return [[int(i), int(j), int(k)] for k, j, i in numpy.argwhere(mask)]


def segmentation(slices, pixels, kind, names, syntax=ExplicitVRLittleEndian):
    descriptions = [
        SegmentDescription(
            segment_number=n,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Nodule,
            algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
        )
        for n, name in enumerate(names, 1)
    ]
    made = Segmentation(
        source_images=slices,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid("segmentation", slices[0].PatientID),
        series_number=2,
        sop_instance_uid=uid("segmentation instance", slices[0].PatientID),
        instance_number=1,
        manufacturer="nodulus",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=RLELossless if syntax == RLELossless else ExplicitVRLittleEndian,
        max_fractional_value=200,
    )
    made.file_meta.TransferSyntaxUID = syntax
    return made


def structure_set(slices, rois, syntax=ImplicitVRLittleEndian):
    """Writes a structure set. A region has a name, an interpreted type, and contours with a geometric type and points."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    made.SOPClassUID = RTStructureSetStorage
    made.SOPInstanceUID = uid("structures", slices[0].PatientID)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.Modality = "RTSTRUCT"
    made.PatientID = slices[0].PatientID
    made.StudyInstanceUID = slices[0].StudyInstanceUID
    made.SeriesInstanceUID = uid("structure series", slices[0].PatientID)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = slices[0].SeriesInstanceUID
    study.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = Sequence([study])
    made.ReferencedFrameOfReferenceSequence = Sequence([frame])
    made.StructureSetROISequence = Sequence()
    made.ROIContourSequence = Sequence()
    made.RTROIObservationsSequence = Sequence()
    for n, (name, interpreted, contours) in enumerate(rois, 1):
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = n, name
        roi.ReferencedFrameOfReferenceUID = slices[0].FrameOfReferenceUID
        drawn.ReferencedROINumber = n
        drawn.ContourSequence = Sequence()
        for kind, points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{x:.6f}" for point in points for x in point]
            drawn.ContourSequence.append(contour)
        observed.ObservationNumber = observed.ReferencedROINumber = n
        observed.RTROIInterpretedType = interpreted
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(drawn)
        made.RTROIObservationsSequence.append(observed)
    return made


def ellipse(centre, radii, n=37):
    """The points of a line, (i, j)."""
    angle = numpy.linspace(0, 2 * numpy.pi, n, endpoint=False) + 0.1
    return numpy.stack(
        [centre[0] + radii[0] * numpy.cos(angle), centre[1] + radii[1] * numpy.sin(angle)], axis=1
    )


def turns(line):
    """Winding number of a line about each pixel's centre, indexed j, i."""
    j, i = numpy.indices(SIZE[1::-1])
    total = numpy.zeros(i.shape)
    for a, b in zip(line, numpy.roll(line, -1, axis=0)):
        ax, ay, bx, by = a[0] - i, a[1] - j, b[0] - i, b[1] - j
        total += numpy.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    return numpy.rint(total / (2 * numpy.pi)).astype(int)


def drawn(lines):
    """The contours of lines, by k, and the voxels inside an odd number of them."""
    contours, mask = [], numpy.zeros(SIZE[::-1], bool)
    for k, line in lines:
        contours.append(("CLOSED_PLANAR", [place(i, j, k) for i, j in line]))
        mask[k] ^= turns(line) % 2 != 0
    return contours, voxels(mask)


def outlines():
    """Two nodules as lines: one with a hole, first as a line of its own, then as a keyhole; the other on three slices."""
    outer, inner = ellipse((12.3, 10.2), (7.1, 6.4)), ellipse((12.6, 9.7), (2.9, 2.2))[::-1]
    keyhole = numpy.concatenate([outer, outer[:1], inner, inner[:1]])
    first = [(3, outer), (3, inner), (4, keyhole)]
    second = [(k, ellipse((30.4, 21.8), (4.3 - 0.4 * k, 5.1))) for k in (6, 7, 8)]
    return {"nodule left": first, "Herd 2": second}


def sitk_image(values, size, spacing, origin, cosines):
    assert values.shape == size[::-1]
    made = SimpleITK.GetImageFromArray(values)
    made.SetSpacing(spacing)
    made.SetOrigin([float(x) for x in origin])
    made.SetDirection(cosines.ravel().tolist())
    return made


def exact(folder):
    said = {}
    made = labels()
    by_label = [(made == n) for n in (1, 2)]

    def write(patient, save, nodules):
        ct = write_ct(folder / patient / "ct", patient)
        save(ct, folder / patient)
        said[patient] = nodules

    def seg(pixels, kind, names, syntax=ExplicitVRLittleEndian):
        def save(ct, to):
            segmentation(ct, pixels, kind, names, syntax).save_as(to / "mask.dcm")

        return save

    names = ["nodule ä", "nodule b"]
    two = {f"{n} {name}": voxels(mask) for (n, name), mask in zip(enumerate(names, 1), by_label)}
    one = {f"1.{n} nodule": voxels(mask) for n, mask in enumerate(by_label, 1)}
    binary, label_map = SegmentationTypeValues.BINARY, SegmentationTypeValues.LABELMAP
    single = (made > 0).astype(numpy.uint8)
    write("binary", seg(made, binary, names), two)
    write("binary-single", seg(single, binary, ["nodule"]), one)
    write("binary-deflated", seg(made, binary, names, DeflatedExplicitVRLittleEndian), two)
    write("labelmap", seg(made, label_map, names), two)
    write("labelmap-rle", seg(made, label_map, names, RLELossless), two)
    # Segments that share voxels: half of the first nodule is in the second segment too.
    shared = numpy.stack([by_label[0], by_label[1] | (by_label[0] & (numpy.indices(made.shape)[2] < 12))], -1)
    overlapping = {f"{n + 1} {name}": voxels(shared[..., n]) for n, name in enumerate(names)}
    write("binary-shared", seg(shared.astype(numpy.uint8), binary, names), overlapping)
    rng = numpy.random.default_rng(11)
    share = numpy.where(made > 0, rng.uniform(0.3, 1.0, made.shape), 0)
    fractions = numpy.stack([share * mask for mask in by_label], -1)
    stored = numpy.around(fractions * 200) >= 100
    fractional = {f"{n + 1} {name}": voxels(stored[..., n]) for n, name in enumerate(names)}
    write("fractional", seg(fractions, SegmentationTypeValues.FRACTIONAL, names), fractional)
    rle = seg(fractions, SegmentationTypeValues.FRACTIONAL, names, RLELossless)
    write("fractional-rle", rle, fractional)

    rois, contoured = [], {}
    for name, lines in outlines().items():
        contours, contoured[name] = drawn(lines)
        rois.append((name, "", contours))
    rois[1] = (*rois[1][:1], "GTV", rois[1][2])
    lung = ("CLOSED_PLANAR", [place(i, j, 5) for i, j in ellipse((20, 16), (15, 12))])
    rois.append(("Lung", "ORGAN", [lung]))
    isocentre = ("POINT", [place(3, 3, 3)])
    rois.append(("Isocentre", "ISOCENTER", [isocentre]))
    for syntax, name in ((ImplicitVRLittleEndian, "contours"), (ExplicitVRLittleEndian, "contours-explicit")):

        def save(ct, to, syntax=syntax):
            structure_set(ct, rois, syntax).save_as(to / "mask.dcm", enforce_file_format=True)

        write(name, save, contoured)

    plain = {str(n): voxels(mask) for n, mask in enumerate(by_label, 1)}
    lps = sitk_image(made, SIZE, SPACING, ORIGIN, COSINES)
    for name in ("mask.nii.gz", "mask.mha"):
        write(name.replace(".", "-"), lambda ct, to, name=name: SimpleITK.WriteImage(lps, str(to / name)), plain)
    # The same voxels in RAS order, and with the axes swapped.
    for code in ("RAS", "SAR", "PIL"):

        def save(ct, to, code=code):
            SimpleITK.WriteImage(lps, str(to / "lps.nii"))
            image = nibabel.load(to / "lps.nii")
            target = nibabel.orientations.axcodes2ornt(code)
            now = nibabel.orientations.io_orientation(image.affine)
            change = nibabel.orientations.ornt_transform(now, target)
            nibabel.save(image.as_reoriented(change), to / "mask.nii.gz")
            (to / "lps.nii").unlink()

        write(f"order-{code}", save, plain)
    return said


def resample(folder):
    said = {}
    ct_grid = sitk_image(numpy.zeros(SIZE[::-1], numpy.uint8), SIZE, SPACING, ORIGIN, COSINES)
    made = sitk_image(labels(), SIZE, SPACING, ORIGIN, COSINES)
    angle = 0.3
    turned = COSINES @ numpy.array(
        [[numpy.cos(angle), -numpy.sin(angle), 0], [numpy.sin(angle), numpy.cos(angle), 0], [0, 0, 1]]
    )
    middle = place(*[n / 2 for n in SIZE])
    for patient, spacing, size, cosines in (
        ("finer", (0.43, 0.47, 1.1), (70, 60, 30), COSINES),
        ("turned", (0.61, 0.59, 2.1), (60, 60, 16), turned),
    ):
        origin = middle - cosines @ (numpy.array(size) * spacing / 2)
        values = numpy.zeros(size[::-1], numpy.uint8)
        other = sitk_image(values, size, spacing, origin, cosines)
        nearest = SimpleITK.sitkNearestNeighbor
        mask = SimpleITK.Resample(made, other, SimpleITK.Transform(), nearest)
        write_ct(folder / patient / "ct", patient)
        SimpleITK.WriteImage(mask, str(folder / patient / "mask.nii.gz"))
        # As it is read back: NIfTI stores positions in 32 bits.
        mask = SimpleITK.ReadImage(str(folder / patient / "mask.nii.gz"))
        back = SimpleITK.GetArrayFromImage(
            SimpleITK.Resample(mask, ct_grid, SimpleITK.Transform(), nearest)
        )
        said[patient] = {str(n): voxels(back == n) for n in (1, 2)}
    # A segmentation of the same patient on a CT with other slices.
    patient = "frames"
    ct = write_ct(folder / patient / "ct", patient)
    for k, slice in enumerate(ct):
        slice.ImagePositionPatient = [float(x) for x in place(0, 0, k * 0.83 + 0.31)]
        slice.PixelSpacing = [SPACING[1] * 0.9, SPACING[0] * 0.9]
        slice.SliceThickness = slice.SpacingBetweenSlices = SPACING[2] * 0.83
    seg = segmentation(ct, labels(), SegmentationTypeValues.BINARY, ["a", "b"])
    seg.save_as(folder / patient / "mask.dcm")
    spacing = (SPACING[0] * 0.9, SPACING[1] * 0.9, SPACING[2] * 0.83)
    own = sitk_image(labels(), SIZE, spacing, place(0, 0, 0.31), COSINES)
    back = SimpleITK.Resample(own, ct_grid, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    back = SimpleITK.GetArrayFromImage(back)
    said[patient] = {f"{n} {name}": voxels(back == n) for n, name in ((1, "a"), (2, "b"))}
    return said


def refused(folder):
    """Parts that each error must contain."""
    said = {}
    binary = SegmentationTypeValues.BINARY

    def write(patient, save, *expected):
        ct = write_ct(folder / patient / "ct", patient)
        save(ct, folder / patient)
        said[patient] = expected

    def other_frame(ct, to):
        for slice in ct:
            slice.FrameOfReferenceUID = uid("elsewhere")
        segmentation(ct, labels(), binary, ["a", "b"]).save_as(to / "mask.dcm")

    def other_series(ct, to):
        for slice in ct:
            slice.SeriesInstanceUID = uid("another series")
        segmentation(ct, labels(), binary, ["a", "b"]).save_as(to / "mask.dcm")

    def between(ct, to):
        for k, slice in enumerate(ct):
            slice.ImagePositionPatient = [float(x) for x in place(0, 0, k + 0.3)]
        segmentation(ct, labels(), binary, ["a", "b"]).save_as(to / "mask.dcm")

    def contours(kind, k, i=12.0):
        def save(ct, to):
            line = [place(x, y, k) for x, y in ellipse((i, 10.0), (3, 3))]
            made = structure_set(ct, [("nodule", "GTV", [(kind, line)])])
            made.save_as(to / "mask.dcm", enforce_file_format=True)

        return save

    def other_grid(ct, to):
        grid = sitk_image(labels(), SIZE, (0.7, 0.81, 2.5), ORIGIN, COSINES)
        SimpleITK.WriteImage(grid, str(to / "mask.nii.gz"))

    def a_slice(ct, to):
        ct[0].save_as(to / "mask.dcm", enforce_file_format=True)

    frames = [str(uid("elsewhere")), str(uid("other-frame", "frame"))]
    write("other-frame", other_frame, "the mask has frame of reference", *frames)
    series = [str(uid("another series")), str(uid("other-series", "series"))]
    write("other-series", other_series, "drawn on series", *series)
    write("between", between, "is on no slice of its image", "spacing [0.7, 0.8, ", "size [40, 32, 12]")
    write("open", contours("OPEN_PLANAR", 4), "`nodule` has a contour of type OPEN_PLANAR")
    write("off-slice", contours("CLOSED_PLANAR", 4.2), "0.5000 mm off the plane of slice 4")
    write("off-image", contours("CLOSED_PLANAR", 4, 1.0), "off the image of [40, 32, 12] voxels")
    write("other-grid", other_grid, "spacing [0.7", "0.81", "0.8, 2.5]", "another grid")
    write("a-slice", a_slice, "SOPClassUID", "expected Segmentation, Label Map Segmentation or RT Structure")
    return said


def main():
    folder = pathlib.Path(sys.argv[1])
    parts = {"exact": exact, "resample": resample, "refused": refused}
    print(json.dumps({name: part(folder / name) for name, part in parts.items()}))


if __name__ == "__main__":
    main()
