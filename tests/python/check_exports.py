"""Reads the exports of `nodulus export rois` with the packages that they are made for, and compares the four formats with
each other and with the scans; prints what was compared.

Arguments: the folder of the exports (nifti, npz, tensor, Dataset501_Nodules), the rows of `scans` as JSON lines, and the
cohorts' root folders as JSON.
"""

import csv
import glob
import json
import os
import sys

import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import SimpleITK as sitk

folder, scans, roots = sys.argv[1:]
roots = json.loads(roots)
scans = {scan["series_instance_uid"]: scan for scan in map(json.loads, scans.splitlines()) if scan["cohort"] in roots}


def rows(name):
    with open(os.path.join(folder, name, "nodules.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def image(path):
    """A scan as SimpleITK reads it: a file, or a folder with a DICOM series."""
    if os.path.isdir(path):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(path))
        return reader.Execute()
    return sitk.ReadImage(path)


def check_nifti():
    """Each voxel equals the scan's voxel at the same patient position, and both readers agree on positions."""
    compared, regions, read = 0, {}, {}
    for row in rows("nifti"):
        names = [os.path.join(folder, "nifti", f"{row['nodule_id']}_{kind}.nii.gz") for kind in ("hu", "mask")]
        hu, mask = map(sitk.ReadImage, names)
        assert (hu.GetPixelID(), mask.GetPixelID()) == (sitk.sitkInt16, sitk.sitkUInt8)
        assert hu.GetSize() == mask.GetSize() and hu.GetDirection() == mask.GetDirection()
        assert hu.GetOrigin() == mask.GetOrigin() and hu.GetSpacing() == mask.GetSpacing()
        affine = nibabel.load(names[0]).affine
        voxels, labels = sitk.GetArrayFromImage(hu), sitk.GetArrayFromImage(mask)
        assert set(np.unique(labels)) <= {0, 1, 2} and (labels == 1).sum() == int(row["n_mask_voxels"]) > 0
        scan = scans[row["series_instance_uid"]]
        if scan["path"] not in read:
            read[scan["path"]] = image(os.path.join(roots[scan["cohort"]], scan["path"]))
        ct = read[scan["path"]]
        here = 0
        for index in [np.array(index) for index in np.ndindex(hu.GetSize()) if sum(index) % 7 == 0]:
            point = hu.TransformIndexToPhysicalPoint([int(v) for v in index])
            assert np.allclose(affine[:3, :3] @ index + affine[:3, 3], [-point[0], -point[1], point[2]], atol=1e-3)
            place = ct.TransformPhysicalPointToContinuousIndex(point)
            nearest = [round(v) for v in place]
            assert np.allclose(place, nearest, atol=1e-2), place
            value = voxels[tuple(index[::-1])]
            if all(0 <= v < n for v, n in zip(nearest, ct.GetSize())):
                assert value == ct[nearest], (index, value, ct[nearest])
                here += 1
            else:
                assert value == -1000, value
        assert here > 0
        compared += here
        regions[row["nodule_id"]] = (voxels, labels, hu)
    return compared, regions


def check_npz(regions):
    for row in rows("npz"):
        voxels, labels, hu = regions[row["nodule_id"]]
        with np.load(os.path.join(folder, "npz", row["nodule_id"] + ".npz"), allow_pickle=False) as arrays:
            assert arrays["hu"].dtype == np.int16 and np.array_equal(arrays["hu"], voxels)
            assert np.array_equal(arrays["mask"], labels == 1)
            assert np.array_equal((arrays["other_mask"] == 1) & (arrays["mask"] == 0), labels == 2)
            assert np.allclose(arrays["spacing_kji_mm"], hu.GetSpacing()[::-1])
            assert np.allclose(arrays["origin_xyz_mm"], hu.GetOrigin(), atol=1e-3)
            assert np.allclose(arrays["direction"].ravel(), hu.GetDirection(), atol=1e-5)
            assert arrays["slice_index"][0] == int(row["first_slice_index"])
            assert len(arrays["slice_index"]) == len(voxels)
            for name in ("nodule_id", "cohort", "patient_id", "series_instance_uid", "split"):
                assert arrays[name].shape == () and str(arrays[name]) == row[name], name
            assert np.allclose(arrays["window_hu"], [float(row["norm_low_hu"]), float(row["norm_high_hu"])])


def check_tensors(regions):
    paths = sorted(glob.glob(os.path.join(folder, "tensor", "part-*.parquet")))
    compared = 0
    for path in paths:
        table = pq.read_table(path)
        for name, value in (("hu", pa.int16()), ("mask", pa.uint8()), ("other_mask", pa.uint8())):
            kind = table.schema.field(name).type
            assert isinstance(kind, pa.FixedShapeTensorType), kind
            assert kind.value_type == value and kind.dim_names == ["j", "i"], kind
        hu, mask, other = (
            table[name].combine_chunks().to_numpy_ndarray() for name in ("hu", "mask", "other_mask")
        )
        ids = table["nodule_id"].to_pylist()
        for nodule in dict.fromkeys(ids):
            voxels, labels, _ = regions[nodule]
            rows_of = [n for n, found in enumerate(ids) if found == nodule]
            assert np.array_equal(hu[rows_of], voxels) and np.array_equal(mask[rows_of], labels == 1)
            assert np.array_equal((other[rows_of] == 1) & (mask[rows_of] == 0), labels == 2)
            assert table["has_nodule"].take(rows_of).to_pylist() == (labels == 1).any(axis=(1, 2)).tolist()
            compared += 1
    assert compared == len(regions)


def check_nnunet(regions):
    """Checks the rules of nnU-Net's `verify_dataset_integrity`, and that a patient is on one side of every fold."""
    root = os.path.join(folder, "Dataset501_Nodules")
    with open(os.path.join(root, "dataset.json"), encoding="utf-8") as file:
        dataset = json.load(file)
    assert {"labels", "channel_names", "numTraining", "file_ending"} <= dataset.keys()
    ending = dataset["file_ending"]

    def names(kind, end):
        found = os.listdir(os.path.join(root, kind))
        assert all(name.endswith(end) for name in found), found
        return {name[: -len(end)] for name in found}

    training = names("imagesTr", "_0000" + ending)
    assert len(training) == dataset["numTraining"] > 0 and names("labelsTr", ending) == training
    test = names("imagesTs", "_0000" + ending)
    assert names("labelsTs", ending) == test and not test & training
    labels = sorted(dataset["labels"].values())
    assert labels == list(range(len(labels))) and len(dataset["channel_names"]) == 1
    by_id = {row["nodule_id"]: row for row in rows("Dataset501_Nodules")}
    assert by_id.keys() == training | test
    for case in training | test:
        end = "Tr" if case in training else "Ts"
        hu = sitk.ReadImage(os.path.join(root, f"images{end}", f"{case}_0000{ending}"))
        label = sitk.ReadImage(os.path.join(root, f"labels{end}", case + ending))
        assert hu.GetSize() == label.GetSize() and np.allclose(hu.GetSpacing(), label.GetSpacing())
        assert np.allclose(hu.GetOrigin(), label.GetOrigin()) and np.allclose(hu.GetDirection(), label.GetDirection())
        found = sitk.GetArrayFromImage(label)
        assert set(np.unique(found)) <= set(labels)
        assert np.array_equal(found > 0, regions[case][1] > 0)
        assert (by_id[case]["split"] == "test") == (case in test)
    with open(os.path.join(root, "splits_final.json"), encoding="utf-8") as file:
        folds = json.load(file)
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(training)
    for fold in folds:
        assert set(fold["train"]) | set(fold["val"]) == training and not set(fold["train"]) & set(fold["val"])
        patients = [{by_id[case]["patient_id"] for case in fold[side]} for side in ("train", "val")]
        assert not patients[0] & patients[1], fold
    return len(training), len(test), len(folds)


voxels_compared, found = check_nifti()
check_npz(found)
check_tensors(found)
n_training, n_test, n_folds = check_nnunet(found)
print(
    json.dumps(
        {
            "nodules": len(found),
            "voxels_compared": voxels_compared,
            "training": n_training,
            "test": n_test,
            "folds": n_folds,
        }
    )
)
