"""Opens the files of scored scans with other programs and compares their content.

    python scored_files.py enhance FOLDER FILE     the slices of a series as one Legacy Converted Enhanced CT
    python scored_files.py check CASES             a JSON file with the expected content of each case's files
    python scored_files.py report FOLDER FILE      points on a series as a measurement report; prints their positions
    python scored_files.py empty_report FILE       a measurement report without nodules

highdicom and, if it is installed, dcmqi's segimage2itkimage open segmentations; highdicom opens reports; pydicom opens
structure sets, pictures and rejection notes, and the voxels inside the lines of structure sets are found by winding
numbers; SimpleITK and nibabel open labels.
"""

import json
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

import highdicom
import nibabel
import numpy
import PIL.Image
import pydicom
import SimpleITK
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.sr.codedict import codes

DCMQI = pathlib.Path(sysconfig.get_path("scripts")) / "segimage2itkimage"


def enhance(folder, file):
    slices = [pydicom.dcmread(path) for path in sorted(pathlib.Path(folder).iterdir())]
    made = LegacyConvertedEnhancedCTImage(
        legacy_datasets=slices,
        series_instance_uid="2.25.77001",
        series_number=2,
        sop_instance_uid="2.25.77002",
        instance_number=1,
    )
    made.save_as(file)


def report(folder, file):
    """A point in the patient with a certainty, a point on a slice, and a polygon, which is not a point."""
    slices = [pydicom.dcmread(path) for path in sorted(pathlib.Path(folder).iterdir())]
    scan = Scan(sorted(pathlib.Path(folder).iterdir()))
    on, row, column = slices[2], 7.25, 11.5
    in_patient = scan.places[4] + scan.matrix @ [20, 10, 0]
    certainty = highdicom.sr.Measurement(
        name=codes.DCM.CertaintyOfFinding, value=62.5, unit=codes.UCUM.Percent
    )

    def group(region, measurements=None):
        return highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=highdicom.sr.TrackingIdentifier(uid="1.2.3", identifier="Herd"),
            referenced_region=region,
            finding_type=codes.SCT.Nodule,
            measurements=measurements,
        )

    kinds, kinds3d = highdicom.sr.GraphicTypeValues, highdicom.sr.GraphicTypeValues3D
    source = highdicom.sr.SourceImageForRegion(on.SOPClassUID, on.SOPInstanceUID)
    square = numpy.array([[1, 1], [5, 1], [5, 5], [1, 1]], float)
    groups = [
        group(
            highdicom.sr.ImageRegion3D(kinds3d.POINT, in_patient[None], on.FrameOfReferenceUID),
            [certainty],
        ),
        group(highdicom.sr.ImageRegion(kinds.POINT, numpy.array([[column, row]]), source)),
        group(highdicom.sr.ImageRegion(kinds.POLYLINE, square, source)),
    ]
    observer = highdicom.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=highdicom.sr.DeviceObserverIdentifyingAttributes(uid="1.2.4"),
    )
    made = highdicom.sr.Comprehensive3DSR(
        evidence=slices,
        content=highdicom.sr.MeasurementReport(
            observation_context=highdicom.sr.ObservationContext(observer_device_context=observer),
            procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
            imaging_measurements=groups,
        )[0],
        series_instance_uid="2.25.77003",
        series_number=3,
        sop_instance_uid="2.25.77004",
        instance_number=1,
        manufacturer="m",
    )
    made.save_as(file)
    axes = numpy.array(on.ImageOrientationPatient, float)
    # In SCOORD, the centre of a slice's first pixel is (0.5, 0.5).
    on_slice = (
        numpy.array(on.ImagePositionPatient, float)
        + axes[:3] * on.PixelSpacing[1] * (column - 0.5)
        + axes[3:] * on.PixelSpacing[0] * (row - 0.5)
    )
    print(json.dumps({"points_mm": [in_patient.tolist(), on_slice.tolist()], "score": 0.625}))


class Scan:
    """A CT as pydicom reads it: its frames along the normal, and their positions."""

    def __init__(self, files):
        self.sets = [pydicom.dcmread(file) for file in files]
        self.is_multi_frame = "PerFrameFunctionalGroupsSequence" in self.sets[0]
        if self.is_multi_frame:
            shared = self.sets[0].SharedFunctionalGroupsSequence[0]
            each = self.sets[0].PerFrameFunctionalGroupsSequence
            group = lambda name: getattr(each[0] if name in each[0] else shared, name)[0]
            places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in each]
            axes = group("PlaneOrientationSequence").ImageOrientationPatient
            spacing = group("PixelMeasuresSequence").PixelSpacing
            names = [(self.sets[0].SOPInstanceUID, n + 1) for n in range(len(each))]
        else:
            places = [one.ImagePositionPatient for one in self.sets]
            axes, spacing = self.sets[0].ImageOrientationPatient, self.sets[0].PixelSpacing
            names = [(one.SOPInstanceUID, None) for one in self.sets]
        axes = numpy.array(axes, float)
        normal = numpy.cross(axes[:3], axes[3:])
        places = numpy.array(places, float)
        order = numpy.argsort(places @ normal)
        self.names = [names[n] for n in order]
        self.places = places[order]
        step = (self.places[-1] - self.places[0]) @ normal / (len(order) - 1)
        self.matrix = numpy.stack([axes[:3] * spacing[1], axes[3:] * spacing[0], normal * step], 1)
        self.size = (self.sets[0].Columns, self.sets[0].Rows, len(order))

    def voxel(self, point):
        """Position on the grid (i, j, k) of a point in the patient."""
        return numpy.linalg.solve(self.matrix, numpy.asarray(point, float) - self.places[0])

    def whole_voxel(self, point):
        found = self.voxel(point)
        assert numpy.allclose(found, numpy.rint(found), atol=0.01), found
        return tuple(int(x) for x in numpy.rint(found))


def check_segmentation(case, scan):
    path = case["files"]["seg"]
    seg = highdicom.seg.segread(path)
    assert seg.segmentation_type == highdicom.seg.SegmentationTypeValues.BINARY
    numbers = list(seg.segment_numbers)
    labels = {n: seg.get_segment_description(n).segment_label for n in numbers}
    assert sorted(labels.values()) == sorted(case["voxels"]), labels
    for n in numbers:
        told = seg.get_segment_description(n)
        assert told.segmented_property_category == codes.SCT.MorphologicallyAbnormalStructure
        assert told.segmented_property_type == codes.SCT.Nodule
        assert list(told.primary_anatomic_structures or []) == []
        assert told.anatomic_regions[0] == codes.SCT.Lung
        assert told.algorithm_type == highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        algorithm = told.algorithm_identification
        assert (algorithm.name, algorithm.version) == (case["algorithm"], case["version"])
        assert algorithm.family == codes.cid7162.ArtificialIntelligence
        assert told.tracking_id and told.tracking_uid
    series = seg.ReferencedSeriesSequence
    # The series, and the segmentation that this one replaces.
    assert len(series) == 2
    told = [item.ReferencedSOPInstanceUID for item in series[0].ReferencedInstanceSequence]
    own = list(dict.fromkeys(uid for uid, _ in scan.names))
    classes = {item.ReferencedSOPClassUID for item in series[0].ReferencedInstanceSequence}
    assert classes == {scan.sets[0].SOPClassUID}
    if case["uids_replaced"]:
        assert len(told) == len(own) and not set(told) & set(own)
        assert seg.FrameOfReferenceUID != scan.sets[0].FrameOfReferenceUID
        names = [(told[0], n) if n else (told[k], n) for k, (_, n) in enumerate(scan.names)]
    else:
        assert told == own
        assert series[0].SeriesInstanceUID == scan.sets[0].SeriesInstanceUID
        assert seg.FrameOfReferenceUID == scan.sets[0].FrameOfReferenceUID
        names = scan.names
    # By the source images of each frame.
    if scan.is_multi_frame:
        pixels = seg.get_pixels_by_source_frame(
            names[0][0], [frame for _, frame in names], assert_missing_frames_are_empty=True
        )
    else:
        pixels = seg.get_pixels_by_source_instance(
            [uid for uid, _ in names], assert_missing_frames_are_empty=True
        )
    for at, n in enumerate(numbers):
        found = {(int(i), int(j), int(k)) for k, j, i in numpy.argwhere(pixels[..., at])}
        assert found == case["voxels"][labels[n]], labels[n]
    # By the positions of the frames.
    for n in numbers:
        volume = seg.get_volume(segment_numbers=[n])
        array = volume.array[..., 0] if volume.array.ndim == 4 else volume.array
        points = volume.map_indices_to_reference(numpy.argwhere(array))
        found = {scan.whole_voxel(point) for point in points}
        assert found == case["voxels"][labels[n]], labels[n]
    return labels


def check_by_dcmqi(case, scan, labels):
    with tempfile.TemporaryDirectory() as folder:
        command = [DCMQI, "--inputDICOM", case["files"]["seg"], "--outputDirectory", folder, "-p", "n", "-t", "nrrd"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        for n, label in labels.items():
            image = SimpleITK.ReadImage(str(pathlib.Path(folder) / f"n-{n}.nrrd"))
            array = SimpleITK.GetArrayFromImage(image)
            points = [
                image.TransformIndexToPhysicalPoint([int(i), int(j), int(k)])
                for k, j, i in numpy.argwhere(array)
            ]
            found = {scan.whole_voxel(point) for point in points}
            assert found == case["voxels"][label], label


def turns(line, size):
    """Winding number of a line about each pixel's centre, indexed j, i."""
    j, i = numpy.indices((size[1], size[0]))
    total = numpy.zeros(i.shape)
    for a, b in zip(line, numpy.roll(line, -1, axis=0)):
        ax, ay, bx, by = a[0] - i, a[1] - j, b[0] - i, b[1] - j
        total += numpy.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    return numpy.rint(total / (2 * numpy.pi)).astype(int)


def check_structure_set(case, scan):
    made = pydicom.dcmread(case["files"]["rtstruct"])
    assert made.Modality == "RTSTRUCT"
    names = {roi.ROINumber: roi.ROIName for roi in made.StructureSetROISequence}
    for drawn in made.ROIContourSequence:
        found = set()
        for contour in drawn.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = numpy.array(contour.ContourData, float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            line = numpy.array([scan.voxel(point) for point in points])
            k = int(numpy.rint(line[0, 2]))
            assert numpy.allclose(line[:, 2], k, atol=0.01)
            image = contour.ContourImageSequence[0]
            uid, frame = scan.names[k]
            assert case["uids_replaced"] or image.ReferencedSOPInstanceUID == uid
            assert image.get("ReferencedFrameNumber") == frame
            turned = turns(line[:, :2], scan.size)
            # Every line winds once, in the same direction.
            assert set(numpy.unique(turned)) <= {0, 1}
            found |= {(int(i), int(j), k) for j, i in numpy.argwhere(turned)}
        assert found == case["voxels"][names[drawn.ReferencedROINumber]]


def check_labels(case, scan):
    image = SimpleITK.ReadImage(case["files"]["nifti"])
    assert image.GetSize() == scan.size
    array = SimpleITK.GetArrayFromImage(image)
    assert (numpy.asarray(nibabel.load(case["files"]["nifti"]).dataobj).T == array).all()
    expected = numpy.zeros(array.shape, array.dtype)
    # The lowest number wins.
    for label in sorted(case["voxels"], key=lambda label: -int(label.split()[1])):
        for i, j, k in case["voxels"][label]:
            expected[k, j, i] = int(label.split()[1])
    assert (array == expected).all()
    far = image.TransformIndexToPhysicalPoint([n - 1 for n in scan.size])
    assert numpy.allclose(scan.voxel(far), numpy.array(scan.size) - 1, atol=0.01)


def code(dataset, keyword="ConceptNameCodeSequence"):
    return dataset[keyword][0].CodeValue if keyword in dataset else None


def check_report(case):
    """A group for each nodule, with the tracking UID and the number of its segment."""
    made = highdicom.sr.srread(case["files"]["sr"])
    assert isinstance(made, highdicom.sr.Comprehensive3DSR)
    seg = highdicom.seg.segread(case["files"]["seg"])
    content = made.content
    assert isinstance(content, highdicom.sr.MeasurementReport)
    regions = content.get_volumetric_roi_measurement_groups()
    others = content.get_image_measurement_groups()
    assert not content.get_planar_roi_measurement_groups()
    segments = {seg.get_segment_description(n).segment_label: n for n in seg.segment_numbers}
    with_voxels = [one for one in case["nodules"] if one["has_voxels"]]
    without = [one for one in case["nodules"] if not one["has_voxels"]]
    assert (len(regions), len(others)) == (len(with_voxels), len(without)) and without
    for nodule, group in zip(with_voxels, regions):
        number = segments[nodule["label"]]
        told = seg.get_segment_description(number)
        items = [one for one in group[0].ContentSequence if code(one) == "121191"]
        assert len(items) == 1
        referenced = items[0].ReferencedSOPSequence[0]
        assert referenced.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert referenced.ReferencedSegmentNumber == number
        assert (group.tracking_uid, group.tracking_identifier) == (told.tracking_uid, told.tracking_id)
        found = content.get_volumetric_roi_measurement_groups(tracking_uid=told.tracking_uid)
        assert len(found) == 1
    for nodule, group in zip(with_voxels + without, regions + others):
        assert group.finding_type == codes.SCT.Nodule
        assert group.finding_sites[0].value == codes.SCT.Lung
        expected = {
            "118565006": (nodule["volume_mm3"], "mm3"),
            "EQ_DIAMETER": (nodule["diameter_mm"], "mm"),
            "103339001": (nodule["long_mm"], "mm"),
            "103340004": (nodule["short_mm"], "mm"),
            "112031": (nodule["mean_hu"], "[hnsf'U]"),
            "111012": (100 * nodule["probability"], "%"),
        }
        if not nodule["has_voxels"]:
            del expected["EQ_DIAMETER"]
        numbers = {one.name.value: (float(one.value), one.unit.value) for one in group.get_measurements()}
        assert numbers == expected, (numbers, expected)
        points = [one for one in group[0].ContentSequence if one.ValueType == "SCOORD3D"]
        assert len(points) == 1 and points[0].GraphicType == "POINT" and code(points[0]) == "128138"
        assert points[0].ReferencedFrameOfReferenceUID == seg.FrameOfReferenceUID
        assert numpy.allclose(points[0].GraphicData, nodule["position_mm"], atol=1e-4)
    evidence = made.CurrentRequestedProcedureEvidenceSequence
    assert [study.StudyInstanceUID for study in evidence] == [made.StudyInstanceUID]
    named = {one.ReferencedSOPInstanceUID for of in evidence[0].ReferencedSeriesSequence for one in of.ReferencedSOPSequence}
    sources = {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == sources | {seg.SOPInstanceUID}
    assert summary(made) == "111242"


def summary(made):
    """Whether the program says that it found something."""
    last = made.ContentSequence[-1]
    assert code(last) == "C0034375" and code(last.ContentSequence[0]) == "111017"
    return code(last.ContentSequence[0], "ConceptCodeSequence")


def empty_report(file):
    made = highdicom.sr.srread(file)
    content = made.content
    assert not content.get_volumetric_roi_measurement_groups()
    assert not content.get_image_measurement_groups()
    assert summary(made) == "111241"


def check_picture(case):
    made = pydicom.dcmread(case["files"]["sc"])
    overlay = numpy.asarray(PIL.Image.open(case["files"]["png"]).convert("RGB"))
    assert (made.pixel_array == overlay).all()
    assert made.BurnedInAnnotation == "NO"


def check_replaced(case):
    """Each object refers to the one that it replaces, and the note to all of them."""
    old = {name: pydicom.dcmread(path) for name, path in case["before"].items()}
    new = {name: pydicom.dcmread(case["files"][name]) for name in old}
    assert set(old) == {"seg", "rtstruct", "sr", "sc"}
    for name, made in new.items():
        before = old[name]
        assert made.SOPInstanceUID != before.SOPInstanceUID
        for keyword in ("SeriesInstanceUID", "SeriesNumber", "StudyInstanceUID", "PatientID", "SOPClassUID"):
            assert made[keyword].value == before[keyword].value, keyword
        assert (before.InstanceNumber, made.InstanceNumber) == (1, 2)
    tracking = [[s.TrackingUID for s in of["seg"].SegmentSequence] for of in (old, new)]
    assert tracking[0] == tracking[1] and len(set(tracking[0])) == len(tracking[0])
    for name in ("seg", "sc"):
        assert new[name].ReferencedImageSequence[0].ReferencedSOPInstanceUID == old[name].SOPInstanceUID
        assert "ReferencedImageSequence" not in old[name]
        hierarchy = new[name].ReferencedSeriesSequence[1]
        assert hierarchy.SeriesInstanceUID == old[name].SeriesInstanceUID
        assert hierarchy.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == old[name].SOPInstanceUID
    predecessor = new["rtstruct"].PredecessorStructureSetSequence
    assert [one.ReferencedSOPInstanceUID for one in predecessor] == [old["rtstruct"].SOPInstanceUID]
    predecessor = new["sr"].PredecessorDocumentsSequence[0]
    assert predecessor.StudyInstanceUID == new["sr"].StudyInstanceUID
    predecessor = predecessor.ReferencedSeriesSequence[0]
    assert predecessor.SeriesInstanceUID == old["sr"].SeriesInstanceUID
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old["sr"].SOPInstanceUID

    note = pydicom.dcmread(case["files"]["rejection"])
    assert (note.Modality, code(note)) == ("KO", "113001")
    assert note.StudyInstanceUID == old["seg"].StudyInstanceUID
    kinds = {"IMAGE": {"seg", "sc"}, "COMPOSITE": {"rtstruct", "sr"}}
    for kind, names in kinds.items():
        found = {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in note.ContentSequence if one.ValueType == kind}
        assert found == {old[name].SOPInstanceUID for name in names}, kind
    listed = {
        (of.SeriesInstanceUID, one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID)
        for of in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for one in of.ReferencedSOPSequence
    }
    assert listed == {(one.SeriesInstanceUID, one.SOPClassUID, one.SOPInstanceUID) for one in old.values()}


def check(cases):
    has_dcmqi = DCMQI.exists()
    for case in json.loads(pathlib.Path(cases).read_text()):
        case["voxels"] = {label: {tuple(v) for v in of} for label, of in case["voxels"].items()}
        scan = Scan(case["ct"])
        labels = check_segmentation(case, scan)
        if has_dcmqi:
            check_by_dcmqi(case, scan, labels)
        check_structure_set(case, scan)
        check_labels(case, scan)
        check_report(case)
        check_picture(case)
        check_replaced(case)
        PIL.Image.open(case["files"]["png"]).load()
        document = json.loads(pathlib.Path(case["files"]["json"]).read_text())
        assert [nodule["number"] for nodule in document["nodules"] if nodule["mask"]]
        for name in ("seg", "rtstruct", "sr", "sc", "rejection"):
            made = pydicom.dcmread(case["files"][name])
            removed = made.get("PatientIdentityRemoved") == "YES"
            assert removed == case["is_deidentified"]
            own = scan.sets[0]
            if not removed:
                for keyword in ("PatientName", "PatientID", "StudyDate", "StudyInstanceUID", "PatientBirthDate"):
                    told, expected = (str(one.get(keyword) or "") for one in (made, own))
                    assert told == expected, keyword
    print(json.dumps({"dcmqi": has_dcmqi}))


if __name__ == "__main__":
    {"enhance": enhance, "check": check, "report": report, "empty_report": empty_report}[sys.argv[1]](*sys.argv[2:])
