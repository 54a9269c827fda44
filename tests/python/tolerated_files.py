"""Writes patients whose files have a fault that other programs read past, and prints what nodulus must make of each.

    python tolerated_files.py FOLDER

FOLDER/GROUP/PATIENT has a CT and a mask; the files of a group are read with the same settings. Printed are, by group, the
settings, and by patient its nodules' voxels (i, j, k) by the reader's id and the names in `irregularities`, or the parts of
an error. Each mask is also read with a peer, and what the peer reads is checked to be the same: nibabel, SimpleITK, pynrrd,
highdicom, pydicom.
"""

import gzip
import json
import pathlib
import sys

import highdicom
import nibabel
import nrrd
import numpy
import pydicom
import SimpleITK
from highdicom.seg import SegmentationTypeValues
from pydicom.uid import ExplicitVRLittleEndian

import clinical_files
from clinical_files import COSINES, ORIGIN, SIZE, SPACING, drawn, ellipse, labels, place, sitk_image, voxels

MADE = labels()
PLAIN = {str(n): voxels(MADE == n) for n in (1, 2)}
# Voxels to positions in RAS, as NIfTI has them.
AFFINE = numpy.eye(4)
AFFINE[:3, :3] = COSINES * SPACING
AFFINE[:3, 3] = ORIGIN
AFFINE = numpy.diag([-1.0, -1.0, 1.0, 1.0]) @ AFFINE


class Group:
    def __init__(self, folder, name, settings=""):
        self.folder, self.said = folder / name, {}
        self.settings = settings

    def write(self, patient, save, nodules, irregularities=(), refused=(), ct=None):
        folder = self.folder / patient
        slices = (ct or clinical_files.write_ct)(folder / "ct", patient)
        save(slices, folder)
        self.said[patient] = {
            "nodules": nodules,
            "irregularities": sorted(irregularities),
            "refused": list(refused),
        }


def nifti(values, affine=None, kind=nibabel.Nifti1Image, codes=(1, 1)):
    made = kind(values.transpose(2, 1, 0), AFFINE if affine is None else affine)
    made.header.set_xyzt_units("mm")
    made.header["sform_code"], made.header["qform_code"] = codes
    return made


def same(path, expected=MADE):
    """Checks what nibabel reads."""
    found = numpy.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
    assert (numpy.around(found) == expected).all(), path


def save_nifti(made, change=None, check=True):
    def save(_, folder):
        path = folder / "mask.nii.gz"
        nibabel.save(made, path)
        if change:
            path.write_bytes(change(path.read_bytes()))
        if check:
            same(path)

    return save


def labelled(folder):
    """Masks of labels that are read without a setting."""
    group = Group(folder, "labels")
    noise = MADE.astype(numpy.float32) * numpy.float32(0.99999994)
    group.write("noise", save_nifti(nifti(noise)), PLAIN, ["float_noise"])
    group.write("zeros", save_nifti(nifti(MADE), lambda data: data + bytes(4096)), PLAIN, ["extra_bytes"])
    repack = lambda data: gzip.compress(gzip.decompress(data) + b"\7" * 100)
    group.write("extra", save_nifti(nifti(MADE), repack), PLAIN, ["extra_bytes"])
    group.write("version-2", save_nifti(nifti(MADE, kind=nibabel.Nifti2Image)), PLAIN)
    moved = AFFINE.copy()
    moved[0, 3] += 0.02
    group.write("off-grid", save_nifti(nifti(MADE, moved)), PLAIN, ["off_grid"])
    sheared = AFFINE.copy()
    sheared[0, 1] += 4e-4
    group.write("sheared", save_nifti(nifti(MADE, sheared, codes=(1, 0))), PLAIN, ["off_grid", "sheared"])

    def slicer(layers, segments, space="left-posterior-superior", crop=None, **options):
        """A `.seg.nrrd`; `layers` are indexed k, j, i."""

        def save(_, to):
            start, stop = crop or ((0, 0, 0), SIZE)
            cut = [layer[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]] for layer in layers]
            sign = numpy.array([-1, -1, 1]) if space.startswith("right") else numpy.ones(3)
            directions = [sign * COSINES[:, a] * SPACING[a] for a in range(3)]
            header = {"space": space, "space origin": sign * place(*start), "encoding": "gzip", **options}
            if len(cut) == 1:
                values = cut[0].transpose(2, 1, 0)
                header.update({"space directions": directions, "kinds": ["domain"] * 3})
            else:
                values = numpy.stack(cut).transpose(0, 3, 2, 1)
                header.update({"space directions": [[numpy.nan] * 3, *directions], "kinds": ["list"] + ["domain"] * 3})
            for n, (name, layer, value) in enumerate(segments):
                header[f"Segment{n}_ID"] = f"Segment_{n}"
                header[f"Segment{n}_Name"] = name
                header[f"Segment{n}_Layer"] = str(layer)
                header[f"Segment{n}_LabelValue"] = str(value)
            nrrd.write(str(to / "mask.seg.nrrd"), values, header)
            found, _ = nrrd.read(str(to / "mask.seg.nrrd"))
            assert (found == values).all()
            if len(cut) == 1:
                image = SimpleITK.ReadImage(str(to / "mask.seg.nrrd"))
                assert numpy.allclose(image.GetOrigin(), place(*start), atol=1e-4)

        return save

    group.write("nrrd", slicer([MADE], []), PLAIN)
    group.write("nrrd-ras", slicer([MADE], [], "right-anterior-superior", encoding="raw"), PLAIN)
    shared = (MADE == 1) & (numpy.indices(MADE.shape)[2] < 12)
    layers = [MADE, shared.astype(numpy.uint8) * 3]
    names = [("nodule a", 0, 1), ("b", 0, 2), ("part", 1, 3)]
    expected = {"1 nodule a": PLAIN["1"], "2 b": PLAIN["2"], "3 part": voxels(shared)}
    group.write("layers", slicer(layers, names), expected)
    k, j, i = (numpy.flatnonzero(MADE.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    crop = ((i[0], j[0], k[0]), (i[-1] + 1, j[-1] + 1, k[-1] + 1))
    one = (MADE > 0).astype(numpy.uint8)
    expected = {f"1.{n} nodule": PLAIN[str(n)] for n in (1, 2)}
    group.write("cropped", slicer([one], [("nodule", 0, 1)], crop=crop), expected)

    def padded(ct, to):
        made = clinical_files.segmentation(ct, MADE, SegmentationTypeValues.BINARY, ["a", "b"])
        made.PixelData += bytes(4)
        made.save_as(to / "mask.dcm")
        pixels = highdicom.seg.segread(to / "mask.dcm").get_volume(combine_segments=True)
        assert all((pixels.array == n).sum() == (MADE == n).sum() for n in (1, 2))

    group.write("seg-padding", padded, {"1 a": PLAIN["1"], "2 b": PLAIN["2"]}, ["extra_bytes"])
    return group


def settled(folder):
    """Masks that a setting admits."""
    group = Group(
        folder,
        "settings",
        "masks = { unplaced = true, nan_background = true, resample = true, off_plane = 0.4 }",
    )

    def without_codes(data):
        data = bytearray(gzip.decompress(data))
        # nibabel sets a code for an affine; here are qform_code and sform_code.
        data[252:256] = bytes(4)
        return gzip.compress(data)

    group.write("unplaced", save_nifti(nifti(MADE), without_codes), PLAIN, ["unplaced"])
    nan = numpy.where(MADE > 0, MADE, numpy.nan).astype(numpy.float32)
    group.write("nan", save_nifti(nifti(nan), check=False), PLAIN, ["nan_replaced"])
    contours, expected = drawn([(4, ellipse((12.3, 10.2), (7.1, 6.4)))])
    lifted = [(kind, [point + numpy.array([0, 0, 0.3 * SPACING[2]]) for point in points]) for kind, points in contours]

    def off_plane(ct, to):
        clinical_files.structure_set(ct, [("nodule", "GTV", lifted)]).save_as(to / "mask.dcm", enforce_file_format=True)

    group.write("off-plane", off_plane, {"nodule": expected}, ["off_plane"])
    # A mask that reaches past the image by so little that few of its voxels are lost.
    padded = numpy.pad(MADE, ((0, 0), (0, 0), (2, 0)))
    padded[3:5, 8:12, 0] = 1
    beyond = AFFINE.copy()
    beyond[:3, 3] = (AFFINE @ [-2, 0, 0, 1])[:3]
    group.write("edge", save_nifti(nifti(padded, beyond), check=False), PLAIN, ["part_lost", "resampled"])
    far = AFFINE.copy()
    far[0, 3] += 12.3
    save = save_nifti(nifti(MADE, far))
    group.write("far", save, {}, refused=["of its voxels outside the image", "`masks.most_lost`"])
    other = nifti(MADE, numpy.diag([0.7, 0.8, 2.6, 1.0]))
    save = save_nifti(other, without_codes)
    group.write("unplaced-size", save, {}, refused=["does not place its voxels, and has", "2.6"])
    return group


def outlined(folder):
    """Outlines that are read without a setting."""
    group = Group(folder, "outlines")

    def save(rois, change=None):
        def write(ct, to):
            made = clinical_files.structure_set(ct, rois)
            if change:
                change(made)
            made.save_as(to / "mask.dcm", enforce_file_format=True)
            pydicom.dcmread(to / "mask.dcm")

        return write

    outer, inner = ellipse((12.3, 10.2), (7.1, 6.4)), ellipse((12.6, 9.7), (2.9, 2.2))
    ring, expected = drawn([(4, outer), (4, inner)])
    only = {"nodule": expected}
    turned = [(kind, numpy.roll(points, 5, axis=0)[::-1]) for kind, points in ring]
    group.write("twice", save([("nodule", "GTV", [*ring, *turned])]), only, ["duplicate_contour"])
    xor = [("CLOSEDPLANAR_XOR", points) for _, points in ring]
    group.write("xor", save([("nodule", "GTV", xor)]), only)
    marker = ("marker", "", [("POINT", [place(3, 3, 3)])])
    group.write("marker", save([("nodule", "", ring), marker]), only)
    with_point = [*ring, ("POINT", [place(12, 10, 4)])]
    group.write("point", save([("nodule", "GTV", with_point)]), only, ["point_contour"])
    lung = ("Body", "EXTERNAL", [("CLOSED_PLANAR", [place(x, y, 5) for x, y in ellipse((20, 16), (15, 12))])])

    def wrong_count(made):
        made.ROIContourSequence[1].ContourSequence[0].NumberOfContourPoints = 3

    group.write("body-count", save([("nodule", "GTV", ring), lung], wrong_count), only)

    def wrong_numbers(made):
        made.ROIContourSequence[1].ContourSequence[0].ContourData = ["1", "2"]

    group.write("body-numbers", save([("nodule", "GTV", ring), lung], wrong_numbers), only)

    def other_frame(made):
        for roi in made.StructureSetROISequence:
            roi.ReferencedFrameOfReferenceUID = clinical_files.uid("elsewhere")

    group.write("frame", save([("nodule", "GTV", ring)], other_frame), only, ["other_frame"])

    def own_count(made):
        made.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 3

    refused = ["region 1 `nodule` cannot be used", "3 for each of 3 points"]
    group.write("own-count", save([("nodule", "GTV", ring)], own_count), {}, refused=refused)
    past = [("CLOSED_PLANAR", [place(x, y, 14) for x, y in outer])]
    refused = ["7.5000 mm past the last of the image's 12 slices"]
    group.write("past", save([("nodule", "GTV", past), ]), {}, refused=refused)
    return group


def named(folder):
    """Regions with names in sets of ISO 2022, written by pydicom."""
    group = Group(folder, "names", 'masks = { rois = ["結節*", "결절*", "结节*", "узел*", "nodule*"] }')
    for patient, sets, name in [
        ("japanese", ["", "ISO 2022 IR 87"], "結節 1"),
        ("kanji-kana", ["ISO 2022 IR 13", "ISO 2022 IR 87"], "結節 ﾊｲ"),
        ("korean", ["", "ISO 2022 IR 149"], "결절 1"),
        ("chinese", ["", "ISO 2022 IR 58"], "结节 1"),
        ("gb18030", "GB18030", "结节 左"),
        ("gbk", "GBK", "结节 左"),
        ("utf-8", "ISO_IR 192", "結節 左 ß"),
        ("cyrillic", "ISO_IR 144", "узел 1"),
        ("cyrillic-extended", ["ISO 2022 IR 100", "ISO 2022 IR 144"], "узел 1"),
        ("jis-x-0212", ["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "結節 丂"),
        ("latin", "ISO_IR 100", "nodule ß"),
    ]:
        contours, expected = drawn([(4, ellipse((12.3, 10.2), (7.1, 6.4)))])
        body = ("結体" if "結" in name else "body", "", contours)

        def save(ct, to, patient=patient, sets=sets, name=name, body=body, contours=contours):
            made = clinical_files.structure_set(ct, [(name, "ORGAN", contours), body], ExplicitVRLittleEndian)
            made.SpecificCharacterSet = sets
            path = to / "mask.dcm"
            if patient == "chinese":
                # pydicom writes this set without its escape sequence, and keeps the sequence when it reads it.
                raw = b"\x1b$)A" + name.encode("gb2312")
                made.StructureSetROISequence[0].ROIName = "X" * len(raw)
                made.save_as(path, enforce_file_format=True)
                path.write_bytes(path.read_bytes().replace(b"X" * len(raw), raw))
            else:
                made.save_as(path, enforce_file_format=True)
            found = pydicom.dcmread(path).StructureSetROISequence[0].ROIName
            assert found.endswith(name), found

        group.write(patient, save, {name: expected})
    return group


def images(folder):
    """CTs in image files with values that are no HU."""
    group = Group(folder, "images", 'image = "{patient}/ct/ct.*"')

    def ct(values, name="ct.nii.gz", made=None):
        def write(to, _):
            to.mkdir(parents=True)
            if name.endswith("nrrd"):
                directions = [COSINES[:, a] * SPACING[a] for a in range(3)]
                header = {"space": "LPS", "space directions": directions, "space origin": ORIGIN}
                nrrd.write(str(to / name), values.transpose(2, 1, 0), header)
            else:
                nibabel.save(nifti(values), to / name)

        return write

    rng = numpy.random.default_rng(3)
    hu = rng.integers(-1000, 400, SIZE[::-1]).astype(numpy.float32)
    mask = save_nifti(nifti(MADE))
    n = hu.size
    group.write("fraction", mask, PLAIN, [f"rounded_hu: {n}"], ct=ct(hu + numpy.float32(0.25)))
    nan = hu.copy()
    nan[:, :4] = numpy.nan
    group.write("nan", mask, PLAIN, [f"nan_replaced: {4 * SIZE[0] * SIZE[2]}"], ct=ct(nan))
    metal = hu.copy()
    metal[3, 4, 5] = 40000
    group.write("metal", mask, PLAIN, ["clamped_hu: 1"], ct=ct(metal))
    group.write("noise", mask, PLAIN, [f"float_noise: {n}"], ct=ct(hu + numpy.float32(1e-4)))
    group.write("nrrd", mask, PLAIN, ct=ct(hu.astype(numpy.int16), "ct.nrrd"))
    return group


def main():
    folder = pathlib.Path(sys.argv[1])
    groups = [part(folder) for part in (labelled, settled, outlined, named, images)]
    print(json.dumps({g.folder.name: {"settings": g.settings, "patients": g.said} for g in groups}))


if __name__ == "__main__":
    main()
