"""Writes lung_box.json: the bounding box of the lungs of LIDC-IDRI-0001 and LIDC-IDRI-0003, with SciPy's labels.

Usage: python lung_box.py FOLDER
FOLDER holds both as TCIA delivers them. Needs numpy, scipy and pydicom. docs/drift.md has the rule.
"""

import glob
import json
import pathlib
import sys

import numpy as np
import pydicom
from scipy import ndimage

ALL_NEIGHBOURS = np.ones((3, 3, 3))
FACES = ndimage.generate_binary_structure(3, 1)


def scan(folder):
    slices = [pydicom.dcmread(path) for path in glob.glob(f"{folder}/**/*.dcm", recursive=True)]
    slices = [s for s in slices if s.Modality == "CT"]
    assert len({s.SeriesInstanceUID for s in slices}) == 1
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    volume = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    first = slices[0]
    assert [float(c) for c in first.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    z = [float(s.ImagePositionPatient[2]) for s in slices]
    spacing = [float(np.median(np.diff(z))), *map(float, first.PixelSpacing)]
    return volume, spacing, [float(c) for c in first.ImagePositionPatient][::-1]


def lungs(air):
    """The lungs among coarse voxels of air, (k, j, i)."""
    body, n = ndimage.label(~air, ALL_NEIGHBOURS)
    body = body == 1 + np.argmax(ndimage.sum(~air, body, range(1, n + 1)))
    parts, _ = ndimage.label(air, ALL_NEIGHBOURS)
    kept = []
    for label, (_, j, i) in enumerate(ndimage.find_objects(parts), 1):
        if j.start == 0 or i.start == 0 or j.stop == air.shape[1] or i.stop == air.shape[2]:
            continue
        part = np.pad(parts == label, 1)
        # Each face between the part and another voxel of the scan.
        counts = {True: 0, False: 0}
        for axis in range(3):
            for by in (1, -1):
                near = (np.roll(part, by, axis) & ~part)[1:-1, 1:-1, 1:-1]
                counts[True] += int((near & body).sum())
                counts[False] += int((near & ~body).sum())
        if counts[True] > counts[False]:
            kept.append(part[1:-1, 1:-1, 1:-1])
    largest = max(int(part.sum()) for part in kept)
    return np.any([part for part in kept if part.sum() >= 0.2 * largest], axis=0)


def box(folder):
    volume, spacing, origin = scan(folder)
    step = [max(1, int(np.floor(3 / mm + 0.5))) for mm in spacing]
    mask = lungs(volume[:: step[0], :: step[1], :: step[2]] < -400)
    low, high, cut = [], [], []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        area = np.prod([spacing[a] * step[a] for a in others])
        planes = np.flatnonzero(mask.sum(axis=tuple(others)) * area >= 1000)
        first, last = int(planes[0]), int(planes[-1])
        low.append(origin[axis] + first * step[axis] * spacing[axis])
        high.append(origin[axis] + last * step[axis] * spacing[axis])
        cut.append([first == 0, last == mask.shape[axis] - 1])
    # z, y, x to x, y, z.
    return {"low_mm": low[::-1], "high_mm": high[::-1], "cut": cut[::-1]}


def main():
    patients = ["LIDC-IDRI-0001", "LIDC-IDRI-0003"]
    found = {patient: box(f"{sys.argv[1]}/{patient}") for patient in patients}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
