"""Writes resample.json: windows of a slice that lie between its pixels, resampled by SimpleITK.

    pip install SimpleITK numpy
    python resample.py > resample.json

The slice has 23 columns and 19 rows. Pixel p of a window lies at centre + (p - size // 2) * step, in
pixels of the slice; size, step and centre are along i, j. `linear` are HU before rounding with -1000
outside, `nearest` is a mask with 0 outside; both row by row.
"""

import json

import numpy as np
import SimpleITK as sitk

COLUMNS, ROWS = 23, 19
SPACING = (0.703125, 0.65)
CASES = [
    # Finer and coarser than the slice, inside it.
    {"size": (8, 6), "step": (0.37, 0.61), "centre": (11.0, 9.0)},
    {"size": (6, 8), "step": (1.7, 1.3), "centre": (10.0, 8.0)},
    # Past each border, by less than half a pixel and by more.
    {"size": (16, 16), "step": (0.83, 0.89), "centre": (5.0, 5.0)},
    {"size": (16, 16), "step": (0.83, 0.89), "centre": (18.0, 14.0)},
    {"size": (32, 32), "step": (1.13, 0.97), "centre": (11.0, 9.0)},
    # On the pixels themselves.
    {"size": (8, 8), "step": (1.0, 1.0), "centre": (21.0, 3.0)},
]


def slices():
    j, i = np.indices((ROWS, COLUMNS))
    image = ((i * 7919 + j * 104729) % 4093 - 1024).astype(np.float64)
    mask = ((i * 5 + j * 3) % 7 < 3).astype(np.uint8)
    for array in (image, mask):
        made = sitk.GetImageFromArray(array)
        made.SetSpacing(SPACING)
        yield made


def resample(image, case, interpolator, default):
    size, step, centre = case["size"], case["step"], case["centre"]
    filter = sitk.ResampleImageFilter()
    filter.SetSize(size)
    filter.SetOutputSpacing([s * f for s, f in zip(SPACING, step)])
    origin = [(c - (n // 2) * f) * s for c, n, f, s in zip(centre, size, step, SPACING)]
    filter.SetOutputOrigin(origin)
    filter.SetInterpolator(interpolator)
    filter.SetDefaultPixelValue(default)
    return sitk.GetArrayFromImage(filter.Execute(image)).ravel().tolist()


def main():
    image, mask = slices()
    cases = []
    for case in CASES:
        linear = resample(image, case, sitk.sitkLinear, -1000.0)
        nearest = resample(mask, case, sitk.sitkNearestNeighbor, 0)
        cases.append(case | {"linear": [round(v, 9) for v in linear], "nearest": nearest})
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    print(f"[\n{rows}\n]")


main()
