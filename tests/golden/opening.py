"""Writes opening.json: erosion and opening of masks by a ball in millimetres, with SciPy's structuring elements.

Usage: python opening.py
Needs numpy and scipy. What lies outside the image counts as mask in the erosion and as background in the dilation, as in
`crates/nodulus-imaging/src/opening.rs`. Bits are packed k, then j, then i, least significant bit first.
"""

import json
import pathlib

import numpy as np
from scipy import ndimage

CASES = [
    ((12, 10, 8), (1.0, 1.0, 1.0), 1.1),
    ((12, 10, 8), (1.0, 1.0, 1.0), 2.05),
    ((17, 13, 6), (0.7, 0.7, 2.5), 1.3),
    ((17, 13, 6), (0.7, 0.7, 2.5), 2.6),
    ((9, 14, 11), (0.55, 0.8, 1.25), 0.9),
    ((9, 14, 11), (0.55, 0.8, 1.25), 1.75),
    ((20, 16, 1), (0.6, 0.9, 3.0), 1.4),
    ((11, 11, 5), (0.9, 0.5, 0.75), 0.3),
]


def ball(radius, spacing):
    reach = [int(radius // mm) for mm in spacing]
    grid = np.meshgrid(*[np.arange(-r, r + 1) * mm for r, mm in zip(reach, spacing)], indexing="ij")
    return sum(axis**2 for axis in grid) <= radius**2


def bits(mask):
    return np.packbits(mask.ravel(), bitorder="little").tolist()


def case(seed, size, spacing, radius):
    rng = np.random.default_rng(seed)
    # Blobs with bridges and holes.
    noise = ndimage.gaussian_filter(rng.normal(size=size[::-1]), 1.2)
    mask = noise > np.quantile(noise, 0.35)
    element = ball(radius, spacing[::-1])
    eroded = ndimage.binary_erosion(mask, element, border_value=1)
    opened = ndimage.binary_dilation(eroded, element)
    return {
        "size": size, "spacing_mm": spacing, "radius_mm": radius,
        "mask": bits(mask), "eroded": bits(eroded), "opened": bits(opened),
    }


def main():
    cases = [case(seed, *arguments) for seed, arguments in enumerate(CASES)]
    assert sum(any(c["eroded"]) and c["opened"] != c["mask"] for c in cases) >= 6
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
