"""Computes a store's masks and metrics again with SciPy, and prints how many numbers were compared.

    python delivered_metrics.py STORE

From `rois` and the probabilities of `predictions`: which component of a nodule is delivered (scipy.ndimage.label), the
metrics of each slice in 2D and of each nodule in 3D, and the means of `summary` over slices. The definitions are MedPy's
(hd, assd with connectivity 1) and MONAI's; `tests/golden/metrics.py` compares with both. Fails where a number differs by
more than 1e-6.
"""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy import ndimage

REACH_MM = 5.0
store = Path(sys.argv[1])


def table(name):
    return pl.read_parquet(store / name / "current" / "*.parquet")


def bits(packed, height, width):
    flat = np.unpackbits(np.frombuffer(packed, "u1"), bitorder="little", count=height * width)
    return flat.reshape(height, width).astype(bool)


def at_centre(mask, centre, spacing):
    """The component with the voxel nearest to the centre; arrays, centre and spacing are k, j, i."""
    if not mask.any():
        return mask
    voxels = np.argwhere(mask)
    distances = np.sqrt((((voxels - centre) * spacing) ** 2).sum(axis=1))
    nearest = voxels[np.argmin(distances)]
    holds = (np.abs(nearest - centre) <= 0.5).all()
    if distances.min() > REACH_MM and not holds:
        return np.zeros_like(mask)
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return labels == labels[tuple(nearest)]


def measured(p, r, spacing):
    tp, fp, fn = int((p & r).sum()), int((p & ~r).sum()), int((~p & r).sum())
    if tp + fp + fn == 0:
        return {"outcome": "both_empty"}
    outcome = "missed" if tp + fp == 0 else "spurious" if tp + fn == 0 else "scored"
    found = {"outcome": outcome, "dice": 2 * tp / (2 * tp + fp + fn), "iou": tp / (tp + fp + fn)}
    found["precision"] = tp / (tp + fp) if tp + fp else 0.0
    if tp + fn:
        found["sensitivity"] = tp / (tp + fn)
    if outcome == "scored":
        cross = ndimage.generate_binary_structure(p.ndim, 1)
        a, b = (m & ~ndimage.binary_erosion(m, cross) for m in (p, r))
        there = ndimage.distance_transform_edt(~b, sampling=spacing)[a]
        back = ndimage.distance_transform_edt(~a, sampling=spacing)[b]
        both = np.concatenate([there, back])
        found["hausdorff_mm"] = both.max()
        found["hausdorff_95_mm"] = max(np.percentile(there, 95), np.percentile(back, 95))
        found["assd_mm"] = both.mean()
        found["masd_mm"] = (there.mean() + back.mean()) / 2
        found["surface_dice_1mm"] = (both <= 1.0).mean()
    return found


METRICS = [
    "dice", "iou", "precision", "sensitivity",
    "hausdorff_mm", "hausdorff_95_mm", "assd_mm", "masd_mm", "surface_dice_1mm",
]
compared = {"nodules": 0, "slices": 0, "numbers": 0, "with_specks": 0, "summary": 0}


def same(row, prefix, expected):
    assert row[f"{prefix}outcome"] == expected["outcome"], (row, prefix, expected)
    for name in METRICS:
        value, wanted = row[prefix + name], expected.get(name)
        assert (value is None) == (wanted is None), (prefix + name, row, expected)
        if wanted is not None:
            assert abs(value - wanted) <= 1e-6 * max(1.0, abs(wanted)), (prefix + name, value, wanted)
            compared["numbers"] += 1


rois, predictions = table("rois"), table("predictions")
nodules = {(r["nodule_id"], r["model_id"]): r for r in table("nodule_metrics").iter_rows(named=True)}
slices = {(r["roi_id"], r["model_id"]): r for r in table("slice_metrics").iter_rows(named=True)}
means = {}
joined = predictions.join(rois, on=["roi_id", "nodule_id"], suffix="_roi").sort("slice_index")
for (nodule, model), rows in joined.group_by("nodule_id", "model_id", maintain_order=True):
    rows = list(rows.iter_rows(named=True))
    first = rows[0]
    height, width = first["height"], first["width"]
    spacing = np.array([first[f"spacing_{a}_mm"] for a in "kji"])
    stack = lambda name: np.stack([bits(row[name], height, width) for row in rows])
    own, others = stack("mask_bits_roi"), stack("other_mask_bits")
    delivered, by_other_rule = stack("mask_bits"), stack("other_rule_mask_bits")
    rule = first["component"]
    every, centre = (delivered, by_other_rule) if rule == "all" else (by_other_rule, delivered)
    with_nodule = [k for k, row in enumerate(rows) if row["has_nodule"]]
    middle = np.array([(with_nodule[0] + with_nodule[-1]) / 2, height // 2, width // 2])
    assert (at_centre(every, middle, spacing) == centre).all(), (nodule, model)
    compared["with_specks"] += int((every != centre).any())
    kept = {"": delivered, "all_": every, "centre_": centre}
    kept = {prefix: mask & (own | ~others) for prefix, mask in kept.items()}
    for prefix, mask in kept.items():
        same(nodules[nodule, model], prefix, measured(mask, own, spacing))
        for k, row in enumerate(rows):
            found = measured(mask[k], own[k], spacing[1:])
            same(slices[row["roi_id"], model], prefix, found)
            if prefix == "" and found["outcome"] != "both_empty":
                for name in METRICS:
                    means.setdefault((model, f"slice_{name}"), []).append(found.get(name))
    compared["nodules"] += 1
    compared["slices"] += len(rows)

for row in table("summary").filter(pl.col("subgroup") == "all").iter_rows(named=True):
    values = means.get((row["model_id"], row["metric"]))
    if values is not None:
        defined = [value for value in values if value is not None]
        assert (row["n_total"], row["n_valid"]) == (len(values), len(defined)), row
        assert not defined or abs(row["mean"] - np.mean(defined)) <= 1e-6 * max(1.0, abs(row["mean"])), row
        compared["summary"] += 1
print(json.dumps(compared))
