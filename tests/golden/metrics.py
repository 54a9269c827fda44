"""Writes metrics.json: metrics of synthetic masks by MedPy, MONAI and SciPy.

Needs medpy >= 0.5.2, monai (with torch, on the CPU) and scipy. Run here: python metrics.py

A mask is an ellipsoid with some voxels flipped, in integer arithmetic, so that both languages build the
same mask: with d = 2 * voxel - centre, voxel (i, j, k) is set where
    sum over axes of (d * r1 * r2)^2 <= (r0 * r1 * r2)^2     (r1, r2: the other two axes' radii)
and is then inverted where hash(seed, i, j, k) % 1000 < flips. Centre and radii are in half
voxels.
"""

import json
import pathlib
from importlib.metadata import version

import numpy as np
import torch
from medpy.metric import binary
from monai import metrics as monai
from scipy import ndimage

SHARES = ("precision", "sensitivity", "dice", "iou")


def mask(size, centre, radii, seed, flips):
    """Boolean array [k, j, i]; `size`, `centre` and `radii` along i, j, k."""
    k, j, i = np.indices(size[::-1], dtype=np.int64)
    volume = radii[0] * radii[1] * radii[2]
    total = sum(((2 * x - c) * (volume // r)) ** 2 for x, c, r in zip((i, j, k), centre, radii))
    h = np.full(i.shape, seed, dtype=np.uint32)
    for x in (i, j, k):
        h = (h ^ x.astype(np.uint32)) * np.uint32(0x9E3779B1)
        h ^= h >> np.uint32(15)
    return (total <= volume**2) ^ (h % np.uint32(1000) < flips)


def directed(a, b, spacing):
    """Distances from a's surface to b's, in double precision; arrays and spacing k, j, i."""
    cross = ndimage.generate_binary_structure(a.ndim, 1)
    a, b = (m & ~ndimage.binary_erosion(m, cross) for m in (a, b))
    return ndimage.distance_transform_edt(~b, sampling=spacing)[a]


def score(size, spacing_mm, prediction, reference):
    p, r = mask(size, **prediction), mask(size, **reference)
    tp, fp, fn = int((p & r).sum()), int((p & ~r).sum()), int((~p & r).sum())
    shares = (tp / (tp + fp), tp / (tp + fn), binary.dc(p, r), binary.jc(p, r))
    found = {"true_positive": tp, "false_positive": fp, "false_negative": fn}
    found |= {name: float(value) for name, value in zip(SHARES, shares)}
    zyx = list(spacing_mm[::-1])
    if size[2] == 1:
        p, r, zyx = p[0], r[0], zyx[1:]
    there, back = directed(p, r, zyx), directed(r, p, zyx)
    both = np.concatenate([there, back])
    found["hausdorff_mm"] = float(binary.hd(p, r, voxelspacing=zyx, connectivity=1))
    found["hausdorff_95_mm"] = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    found["assd_mm"] = float(binary.assd(p, r, voxelspacing=zyx, connectivity=1))
    asd = [binary.asd(*pair, voxelspacing=zyx, connectivity=1) for pair in ((p, r), (r, p))]
    found["masd_mm"] = float(np.mean(asd))
    found["surface_dice_1mm"] = float((both <= 1.0).mean())
    # MONAI works in single precision, which its percentile does not survive: that one is taken here
    # from MONAI's own distances in double.
    tp_, tr_ = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (p, r))
    of_monai = {
        "hausdorff_mm": monai.compute_hausdorff_distance(tp_, tr_, True, spacing=zyx),
        "assd_mm": monai.compute_average_surface_distance(
            tp_, tr_, True, symmetric=True, spacing=zyx
        ),
        "surface_dice_1mm": monai.compute_surface_dice(tp_, tr_, [1.0], True, spacing=zyx),
    }
    pair = monai.utils.get_edge_surface_distance(
        tp_[0, 0].bool(), tr_[0, 0].bool(), spacing=zyx, symmetric=True
    )[1]
    of_monai["hausdorff_95_mm"] = max(np.percentile(d.double(), 95) for d in pair)
    for name, value in of_monai.items():
        assert abs(float(value) - found[name]) <= 1e-6, (name, float(value), found[name])
    return found


def main():
    cases = []
    for spacing in ([1.0, 1.0, 1.0], [0.703125, 0.703125, 1.25], [0.5, 0.6, 2.5]):
        for size, pair in (
            ([30, 28, 20], (([29, 27, 19], [16, 14, 10]), ([32, 25, 21], [13, 18, 9]))),
            ([24, 24, 12], (([10, 12, 6], [7, 7, 5]), ([34, 34, 16], [9, 8, 6]))),
            ([20, 20, 16], (([0, 19, 15], [14, 21, 12]), ([6, 22, 30], [17, 9, 20]))),
            ([33, 31, 1], (([30, 29, 0], [21, 17, 1]), ([36, 33, 0], [15, 20, 1]))),
        ):
            for flips in (0, 4, 300):
                masks = [
                    {"centre": c, "radii": r, "seed": 7 * n + flips + size[0], "flips": flips}
                    for n, (c, r) in enumerate(pair)
                ]
                case = {"size": size, "spacing_mm": spacing}
                case |= {"prediction": masks[0], "reference": masks[1]}
                cases.append(case | {"scores": score(**case)})

    versions = {name: version(name) for name in ("medpy", "monai", "scipy", "numpy")}
    lines = lambda entries: "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]"
    document = {
        "made_with": json.dumps(versions), "scores": lines(cases),
    }
    body = ",\n".join(f'"{key}": {value}' for key, value in document.items())
    pathlib.Path(__file__).with_suffix(".json").write_text("{\n" + body + "\n}\n")


if __name__ == "__main__":
    main()
