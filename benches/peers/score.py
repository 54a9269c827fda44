"""The nightly job as a script with pydicom, PyTorch and highdicom: the peer of `nodulus score`.

    python benches/peers/score.py INPUT CANDIDATES CHECKPOINT OUTPUT [--threads N] [--batch N]

INPUT holds DICOM series in folders, CANDIDATES is a CSV with LUNA16's columns, CHECKPOINT a folder with
`model.safetensors` and `model.json` of the proposed network. For each series the script reads the slices, predicts a region
about each candidate in every slice within REACH_MM, keeps the connected part nearest to the candidate, measures it, and
writes a DICOM SEG and a row of a CSV. It prints nodules per hour and the peak memory. Give nodulus the same series,
candidates and weights, and limit both to the same cores:

    taskset -c 0,1 nodulus score JOB.toml --threads 2 --json
    taskset -c 0,1 python benches/peers/score.py INPUT CANDIDATES CHECKPOINT OUTPUT --threads 2

where JOB.toml has `outputs = ["seg"]` and settle_seconds = 0. Both do the same work for a candidate whose nodule ends within
REACH_MM; for a larger one nodulus predicts more slices, and this script does not.
"""

import argparse
import csv
import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import torch
from pydicom.sr.codedict import codes
from safetensors.torch import load_file
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))
import networks

REACH_MM = 5.0
WINDOW = (-1000.0, 400.0)


def load(checkpoint):
    config = json.loads((checkpoint / "model.json").read_text())["config"]
    assert config["architecture"] == "proposed", config
    net = networks.Proposed(config["width"], config["classifier_width"])
    missing, unexpected = net.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return net.eval(), config["image_size"]


def series_below(folder):
    found = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in ("", ".dcm"):
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True)
            except pydicom.errors.InvalidDicomError:
                continue
            if header.get("Modality") == "CT":
                found[header.SeriesInstanceUID].append(file)
    return found


def read(files):
    slices = [pydicom.dcmread(file) for file in files]
    orientation = np.array(slices[0].ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    slices.sort(key=lambda s: np.array(s.ImagePositionPatient, float) @ normal)
    hu = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]).astype(np.int16)
    origin = np.array(slices[0].ImagePositionPatient, float)
    gap = (np.array(slices[1].ImagePositionPatient, float) - origin) @ normal
    row, column = map(float, slices[0].PixelSpacing)
    axes = np.stack([orientation[:3], orientation[3:], normal], axis=1)
    return slices, hu, origin, axes, np.array([column, row, gap])


def regions(hu, voxel, spacing, side):
    i, j, k = voxel
    n = max(1, int(np.ceil(REACH_MM / spacing[2])))
    ks = range(max(0, k - n), min(len(hu), k + n + 1))
    padded = np.pad(hu[ks.start:ks.stop], ((0, 0), (side, side), (side, side)), constant_values=-1000)
    j0, i0 = j + side - side // 2, i + side - side // 2
    return ks, padded[:, j0:j0 + side, i0:i0 + side]


def predict(net, images, batch):
    masks, scores = [], []
    low, high = WINDOW
    x = np.clip((images.astype(np.float32) - low) / (high - low), 0, 1)
    with torch.inference_mode():
        for n in range(0, len(x), batch):
            logits, score = net(torch.from_numpy(x[n:n + batch])[:, None], True)
            masks.append(torch.sigmoid(logits)[:, 0].numpy() >= 0.5)
            scores.append(torch.sigmoid(score).numpy())
    return np.concatenate(masks), np.concatenate(scores)


def nodule(mask, voxel, ks, spacing, side, shape):
    """The connected part nearest to the candidate, in the scan."""
    labels, n = ndimage.label(mask, np.ones((3, 3, 3)))
    if n == 0:
        return None
    at = np.argwhere(labels)
    centre = np.array([voxel[2] - ks.start, side // 2, side // 2])
    distance = np.linalg.norm((at - centre) * spacing[::-1], axis=1)
    if distance.min() > REACH_MM:
        return None
    part = labels == labels[tuple(at[distance.argmin()])]
    whole = np.zeros(shape, bool)
    for k, j, i in np.argwhere(part):
        j, i = j + voxel[1] - side // 2, i + voxel[0] - side // 2
        if 0 <= j < shape[1] and 0 <= i < shape[2]:
            whole[k + ks.start, j, i] = True
    return whole


def segmentation(slices, masks, path):
    describe = lambda n: hd.seg.SegmentDescription(
        segment_number=n,
        segment_label=f"Nodule {n}",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="peer", version="1", family=codes.DCM.ArtificialIntelligence
        ),
    )
    hd.seg.Segmentation(
        source_images=slices,
        pixel_array=np.stack(masks, axis=-1).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[describe(n + 1) for n in range(len(masks))],
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="peer",
        manufacturer_model_name="peer",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    ).save_as(path)


def main():
    parser = argparse.ArgumentParser()
    for name in ("input", "candidates", "checkpoint", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    places = defaultdict(list)
    with open(arguments.candidates, newline="") as file:
        for row in csv.DictReader(file):
            places[row["seriesuid"]].append([float(row[f"coord{axis}"]) for axis in "XYZ"])
    net, side = load(arguments.checkpoint)
    rows, n_candidates = [], 0
    for uid, files in series_below(arguments.input).items():
        if not places[uid]:
            continue
        slices, hu, origin, axes, spacing = read(files)
        found = []
        for place in places[uid]:
            voxel = np.rint((axes.T @ (np.array(place) - origin)) / spacing).astype(int)
            if not ((voxel >= 0) & (voxel < hu.shape[::-1])).all():
                continue
            n_candidates += 1
            ks, images = regions(hu, voxel, spacing, side)
            mask, scores = predict(net, images, arguments.batch)
            mask = nodule(mask, voxel, ks, spacing, side, hu.shape)
            found.append((place, float(scores.max()), mask))
        # Of several candidates of one nodule, keep the one with the highest probability.
        kept = []
        for place, probability, mask in sorted(found, key=lambda f: -f[1]):
            if mask is None or not any(other is not None and (mask & other).any() for _, _, other in kept):
                kept.append((place, probability, mask))
        for place, probability, mask in kept:
            volume = 0.0 if mask is None else mask.sum() * spacing.prod()
            mean = None if mask is None else float(hu[mask].mean())
            rows.append([uid, *place, probability, volume, (6 * volume / np.pi) ** (1 / 3), mean])
        masks = [mask for _, _, mask in kept if mask is not None]
        if masks:
            segmentation(slices, masks, arguments.output / f"{uid}.dcm")
    with open(arguments.output / "scores.csv", "w", newline="") as file:
        writer = csv.writer(file)
        names = ["x_mm", "y_mm", "z_mm", "probability", "volume_mm3", "diameter_mm", "mean_hu"]
        writer.writerow(["seriesuid", *names])
        writer.writerows(rows)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"candidates": n_candidates, "nodules": len(rows), "seconds": seconds, "peak_gib": peak,
                      "candidates_per_hour": 3600 * n_candidates / seconds}))


if __name__ == "__main__":
    main()
