"""Writes the detections of `tests/golden/detections/`: what MONAI and nnDetection write of scans with one bright ball each.

MONAI's own transforms read, orient and resample each scan as the bundle `lung_nodule_ct_detection` does, a box is put about the ball in
the voxels that its network would see, and the bundle's post-processing brings it to the world (MONAI 1.6.1, itk 5.4). nnDetection's boxes
are the voxels of the ball in SimpleITK's array, restored, with the limits one voxel outside, as it trains on them; its JSON is made by
the two lines of docs/detectors.md. The truth is where SimpleITK puts the ball.

Needs monai, torch, itk-io and SimpleITK.
"""

import json
import pathlib
import pickle

import numpy as np
import SimpleITK as sitk
import torch
from monai.apps.detection.transforms.dictionary import AffineBoxToWorldCoordinated, ClipBoxToImaged, ConvertBoxModed
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd

FOLDER = pathlib.Path(__file__).parent / "detections"
RADIUS_MM = 4.0

# Name, size (i, j, k), spacing, direction by rows, origin, centre of the ball in voxels.
SCANS = [
    ("plain.nii.gz", (40, 36, 24), (0.7, 0.7, 1.25), np.diag([1, 1, 1]), (-150.0, -120.0, -300.0), (29, 12, 8)),
    ("reversed.mha", (40, 36, 24), (0.8, 0.8, 1.5), np.diag([-1, -1, -1]), (120.0, 90.0, -40.0), (11, 25, 6)),
    ("coronal.nii.gz", (32, 24, 40), (0.9, 2.0, 0.7), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]), (-80.0, 30.0, 55.0), (8, 15, 12)),
]


def write_scan(name, size, spacing, direction, origin, centre):
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    offsets = [(axis - c) * mm for axis, c, mm in zip((i, j, k), centre, spacing)]
    ball = sum(o**2 for o in offsets) <= RADIUS_MM**2
    image = sitk.GetImageFromArray(np.where(ball, 100, -900).astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction.flatten().astype(float).tolist())
    sitk.WriteImage(image, str(FOLDER / "scans" / name), True)
    return ball, image


def monai_boxes(path, is_lps):
    """A box about the ball, and one at the other end of the scan, as the bundle's post-processing writes them."""
    load = LoadImaged(keys="image", reader="itkreader", affine_lps_to_ras=True, image_only=False)
    pre = [
        load,
        EnsureChannelFirstd(keys="image"),
        Orientationd(keys="image", axcodes="RAS"),
        Spacingd(keys="image", pixdim=(0.703125, 0.703125, 1.25)),
        ScaleIntensityRanged(keys="image", a_min=-1024.0, a_max=300.0, b_min=0.0, b_max=1.0, clip=True),
    ]
    image = Compose(pre)({"image": str(path)})["image"]
    bright = np.argwhere(np.asarray(image[0]) > 0.5)
    ball = [*(bright.min(axis=0)), *(bright.max(axis=0))]
    corner = [1, 1, 1, 4, 4, 4]
    boxes = torch.tensor([corner, ball], dtype=torch.float32)
    post = [
        ClipBoxToImaged(box_keys="box", label_keys="label", box_ref_image_keys="image", remove_empty=True),
        AffineBoxToWorldCoordinated(box_keys="box", box_ref_image_keys="image", affine_lps_to_ras=is_lps),
        ConvertBoxModed(box_keys="box", src_mode="xyzxyz", dst_mode="cccwhd"),
    ]
    found = Compose(post)({"image": image, "box": boxes, "label": torch.tensor([0, 0])})
    return {
        "box": found["box"].numpy().tolist(),
        "label": found["label"].numpy().tolist(),
        "label_scores": [0.0625, 0.96875],
        "image": image.meta["filename_or_obj"].replace(str(FOLDER), "/data"),
    }


def write_pickle(name, ball, image):
    """nnDetection's file of a case: boxes are (z1, y1, z2, y2, x1, x2)."""
    voxels = np.argwhere(ball)
    (z1, y1, x1), (z2, y2, x2) = voxels.min(axis=0) - 1, voxels.max(axis=0) + 1
    boxes = np.array([[0, 0, 4, 4, 0, 4], [z1, y1, z2, y2, x1, x2]], dtype=np.float32)
    result = {
        "pred_boxes": boxes,
        "pred_scores": np.array([0.0625, 0.96875], dtype=np.float32),
        "pred_labels": np.array([0, 0], dtype=np.int64),
        "restore": True,
        "original_size_of_raw_data": np.array(ball.shape),
        "itk_origin": image.GetOrigin(),
        "itk_spacing": image.GetSpacing(),
        "itk_direction": image.GetDirection(),
    }
    path = FOLDER / "nndetection" / f"{name}_boxes.pkl"
    path.write_bytes(pickle.dumps(result))
    return path


def convert(path):
    """The lines of docs/detectors.md."""
    found = pickle.loads(path.read_bytes())
    path.with_suffix(".json").write_text(json.dumps({name: np.asarray(value).tolist() for name, value in found.items()}))


def main():
    for folder in ("scans", "nndetection"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    truth, results = {}, {True: [], False: []}
    for name, size, spacing, direction, origin, centre in SCANS:
        ball, image = write_scan(name, size, spacing, direction, origin, centre)
        truth[name] = image.TransformContinuousIndexToPhysicalPoint([float(c) for c in centre])
        for is_lps, found in results.items():
            found.append(monai_boxes(FOLDER / "scans" / name, is_lps))
        path = write_pickle(name.split(".")[0], ball, image)
        convert(path)
        path.unlink()
    (FOLDER / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    (FOLDER / "monai.json").write_text(json.dumps(results[True], indent=4))
    # The same with `affine_lps_to_ras` off, in the layout of MONAI's tutorial.
    tutorial = [{**found, "score": found["label_scores"]} for found in results[False]]
    tutorial = [{key: value for key, value in found.items() if key != "label_scores"} for found in tutorial]
    (FOLDER / "monai_ras.json").write_text(json.dumps({"validation": tutorial}, indent=4))


main()
