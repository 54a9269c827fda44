"""Writes edge_cases.json: pairs of small masks that are hard for metrics, with the metrics of other programs.

Needs medpy >= 0.5.2, monai (with torch), SimpleITK, surface-distance and scipy. Run here: python edge_cases.py

Masks are unions of boxes, from `start` on and `size` large along i, j, k, of which some are cut out. Numbers are SciPy's
in double precision (distances between the centres of surface voxels); MedPy, MONAI and SimpleITK must agree to 1e-6 with
each that they define alike. `deepmind` has the distances of surface-distance, which measures the surface between voxels:
they are not compared, but shown in docs/metrics.md.
"""

import json
import pathlib
import warnings

import numpy as np
import SimpleITK as sitk
import surface_distance
import torch
from medpy.metric import binary
from monai import metrics as monai
from scipy import ndimage
from scipy.spatial import ConvexHull

warnings.filterwarnings("ignore")
SPACINGS = ([1.0, 1.0, 1.0], [2.5, 0.7, 0.5])

# name, size, boxes of the prediction, boxes of the reference: (start, size, set)
BLOCK = ((4, 3, 2), (5, 6, 4), True)
PAIRS = [
    ("identical", (14, 13, 9), [BLOCK], [BLOCK]),
    ("shifted_i", (14, 13, 9), [((5, 3, 2), (5, 6, 4), True)], [BLOCK]),
    ("shifted_j", (14, 13, 9), [((4, 4, 2), (5, 6, 4), True)], [BLOCK]),
    ("shifted_k", (14, 13, 9), [((4, 3, 3), (5, 6, 4), True)], [BLOCK]),
    ("one_voxel_each", (14, 13, 9), [((2, 3, 1), (1, 1, 1), True)], [((9, 5, 6), (1, 1, 1), True)]),
    ("one_voxel_in_block", (14, 13, 9), [((6, 5, 3), (1, 1, 1), True)], [BLOCK]),
    ("touching_the_border", (8, 7, 6), [((0, 0, 0), (5, 7, 6), True)], [((3, 0, 0), (5, 7, 6), True)]),
    ("whole_image", (6, 5, 4), [((0, 0, 0), (6, 5, 4), True)], [((1, 1, 1), (4, 3, 2), True)]),
    ("holes", (14, 13, 9), [BLOCK, ((6, 5, 3), (1, 2, 2), False)], [BLOCK]),
    ("hole_in_both", (14, 13, 9), [BLOCK, ((6, 5, 3), (1, 2, 2), False)],
     [BLOCK, ((5, 5, 3), (2, 1, 1), False)]),
    ("two_parts", (14, 13, 9), [BLOCK, ((12, 11, 8), (2, 2, 1), True)], [BLOCK]),
    ("apart", (14, 13, 9), [((0, 0, 0), (3, 3, 3), True)], [((10, 9, 6), (4, 4, 3), True)]),
    ("empty_prediction", (14, 13, 9), [], [BLOCK]),
    ("empty_reference", (14, 13, 9), [BLOCK], []),
    ("both_empty", (14, 13, 9), [], []),
]


def mask(size, boxes):
    found = np.zeros(size[::-1], bool)
    for start, extent, value in boxes:
        i, j, k = (slice(s, s + n) for s, n in zip(start, extent))
        found[k, j, i] = value
    return found


def surface(a):
    return a & ~ndimage.binary_erosion(a, ndimage.generate_binary_structure(a.ndim, 1))


def agree(name, tool, found, expected):
    # Relative above 1, because SimpleITK and MONAI store distances in 32 bits.
    assert abs(float(found) - expected) <= 1e-6 * max(expected, 1.0), (name, tool, float(found), expected)


def by_simpleitk(p, r, spacing):
    """Overlaps, and distances between contours by the signed Maurer map of a padded image."""
    images = []
    for m in (p, r):
        image = sitk.GetImageFromArray(np.pad(m, 1).astype(np.uint8))
        image.SetSpacing(spacing)
        images.append(image)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(images[1], images[0])
    contours = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    maps = [np.abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(
        c, insideIsPositive=False, squaredDistance=False, useImageSpacing=True))) for c in contours]
    sets = [sitk.GetArrayFromImage(c) > 0 for c in contours]
    there, back = maps[1][sets[0]].astype(float), maps[0][sets[1]].astype(float)
    return overlap.GetDiceCoefficient(), overlap.GetJaccardCoefficient(), there, back


def axes(m, spacing):
    """Long and short axis: every pair of edge middles, and a fine cut through the hull."""
    best = (0.0, 0.0)
    for plane in m:
        j, i = np.nonzero(plane)
        if not len(i):
            continue
        steps = np.array([(-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5)])
        points = (np.stack([i, j], 1)[:, None, :] + steps).reshape(-1, 2) * spacing[:2]
        points = np.unique(points, axis=0)
        difference = points[:, None] - points[None]
        length = np.sqrt((difference**2).sum(-1))
        equations = ConvexHull(points).equations
        for a, b in zip(*np.nonzero(length >= length.max() - 1e-9)):
            along = difference[a, b] / length[a, b]
            across = np.array([-along[1], along[0]])
            widest = 0.0
            for through in points[ConvexHull(points).vertices]:
                # Of a line through + t across the part within every half plane n x + c <= 0.
                low, high = -np.inf, np.inf
                for *normal, offset in equations:
                    rate, at = np.dot(normal, across), np.dot(normal, through) + offset
                    if abs(rate) < 1e-12:
                        continue
                    if rate > 0:
                        high = min(high, -at / rate)
                    else:
                        low = max(low, -at / rate)
                widest = max(widest, high - low)
            best = max(best, (round(length[a, b], 12), widest))
    return best


def case(name, size, boxes, spacing, flat):
    arrays = [mask(size, b) for b in boxes]
    if flat:
        # The middle slice of the block, and the slice of each lone voxel.
        arrays = [a.any(axis=0, keepdims=True) for a in arrays]
    sizes = [[float(a.sum() * np.prod(spacing)), *axes(a, spacing)] for a in arrays]
    zyx = spacing[::-1]
    p, r = arrays
    if flat:
        p, r, zyx = p[0], r[0], zyx[1:]
    entry = {"name": name, "flat": flat, "size": size, "spacing_mm": spacing,
             "prediction": boxes[0], "reference": boxes[1]}
    tp, fp, fn = int((p & r).sum()), int((p & ~r).sum()), int((~p & r).sum())
    scores = dict.fromkeys(("precision", "sensitivity", "dice", "iou", "hausdorff_mm", "hausdorff_95_mm", "assd_mm",
                            "masd_mm", "surface_dice_1mm"))
    if r.any() or p.any():
        scores |= {"dice": 2 * tp / (2 * tp + fp + fn), "iou": tp / (tp + fp + fn),
                   "precision": tp / (tp + fp) if p.any() else 0.0, "sensitivity": tp / (tp + fn) if r.any() else None}
        agree(name, "MedPy dice", binary.dc(p, r), scores["dice"])
    entry["deepmind"] = None
    if r.any() and p.any():
        there = ndimage.distance_transform_edt(~surface(r), sampling=zyx)[surface(p)]
        back = ndimage.distance_transform_edt(~surface(p), sampling=zyx)[surface(r)]
        both = np.concatenate([there, back])
        percentile = lambda d: float(np.percentile(d, 95))
        scores |= {
            "hausdorff_mm": float(both.max()), "hausdorff_95_mm": max(percentile(there), percentile(back)),
            "assd_mm": float(both.mean()), "masd_mm": float((there.mean() + back.mean()) / 2),
            "surface_dice_1mm": float((both <= 1.0).mean()),
        }
        at = dict(voxelspacing=zyx, connectivity=1)
        agree(name, "MedPy jc", binary.jc(p, r), scores["iou"])
        agree(name, "MedPy precision", binary.precision(p, r), scores["precision"])
        agree(name, "MedPy recall", binary.recall(p, r), scores["sensitivity"])
        agree(name, "MedPy hd", binary.hd(p, r, **at), scores["hausdorff_mm"])
        agree(name, "MedPy assd", binary.assd(p, r, **at), scores["assd_mm"])
        agree(name, "MedPy asd", (binary.asd(p, r, **at) + binary.asd(r, p, **at)) / 2, scores["masd_mm"])
        agree(name, "MedPy hd95 pools", binary.hd95(p, r, **at), percentile(both))
        t_p, t_r = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (p, r))
        there_back = dict(include_background=True, spacing=zyx)
        agree(name, "MONAI dice", monai.compute_dice(t_p, t_r), scores["dice"])
        agree(name, "MONAI iou", monai.compute_iou(t_p, t_r), scores["iou"])
        agree(name, "MONAI hd", monai.compute_hausdorff_distance(t_p, t_r, **there_back), scores["hausdorff_mm"])
        found = monai.compute_average_surface_distance(t_p, t_r, symmetric=True, **there_back)
        agree(name, "MONAI assd", found, scores["assd_mm"])
        agree(name, "MONAI nsd", monai.compute_surface_dice(t_p, t_r, [1.0], **there_back), scores["surface_dice_1mm"])
        found = monai.compute_hausdorff_distance(t_p, t_r, percentile=95, **there_back)
        assert abs(float(found) - scores["hausdorff_95_mm"]) < 1e-5, (name, "MONAI hd95")  # single precision
        dice, iou, s_there, s_back = by_simpleitk(p, r, zyx[::-1])
        agree(name, "SimpleITK dice", dice, scores["dice"])
        agree(name, "SimpleITK iou", iou, scores["iou"])
        agree(name, "SimpleITK hd", max(s_there.max(), s_back.max()), scores["hausdorff_mm"])
        agree(name, "SimpleITK assd", np.concatenate([s_there, s_back]).mean(), scores["assd_mm"])
        agree(name, "SimpleITK hd95", max(percentile(s_there), percentile(s_back)), scores["hausdorff_95_mm"])
        found = surface_distance.compute_surface_distances(r, p, zyx)
        entry["deepmind"] = {
            "hausdorff_mm": float(surface_distance.compute_robust_hausdorff(found, 100)),
            "hausdorff_95_mm": float(surface_distance.compute_robust_hausdorff(found, 95)),
            "surface_dice_1mm": float(surface_distance.compute_surface_dice_at_tolerance(found, 1.0)),
        }
    return entry | {"counts": [tp, fp, fn], "scores": scores, "sizes": sizes}


def main():
    cases = [
        case(name, list(size), [list(prediction), list(reference)], spacing, flat)
        for name, size, prediction, reference in PAIRS
        for spacing in SPACINGS
        for flat in (False, True)
    ]
    text = "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n"
    pathlib.Path(__file__).with_suffix(".json").write_text(text)
    for c in cases:
        if c["name"] in ("shifted_i", "one_voxel_in_block") and not c["flat"]:
            print(c["name"], c["spacing_mm"], {k: round(c["scores"][k], 3) for k in c["deepmind"]}, c["deepmind"])


if __name__ == "__main__":
    main()
