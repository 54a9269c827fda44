"""Times HD95 and ASSD by MedPy and MONAI for `benches/metrics.rs`, which starts it.

    python benches/peers/metrics.py FOLDER

FOLDER holds the masks `PAIR-0.raw` and `PAIR-1.raw`, one byte for each voxel, i fastest. Each line of JSON on standard input
is a round. The answer is a line with names, seconds and ASSD, for the complete masks and for the box of both.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from medpy.metric import binary
from monai import metrics

warnings.filterwarnings("ignore")


def medpy(a, b, spacing):
    binary.hd95(a, b, voxelspacing=spacing)
    return float(binary.assd(a, b, voxelspacing=spacing))


def monai(a, b, spacing):
    a, b = (torch.from_numpy(m[None, None]) for m in (a, b))
    metrics.compute_hausdorff_distance(a, b, True, percentile=95, spacing=spacing)
    return float(metrics.compute_average_surface_distance(a, b, True, symmetric=True, spacing=spacing))


def main():
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        ask = json.loads(line)
        shape, spacing = ask["size"][::-1], ask["spacing_mm"][::-1]
        masks = [np.fromfile(folder / f"{ask['pair']}-{n}.raw", np.uint8).reshape(shape) > 0 for n in (0, 1)]
        if shape[0] == 1:
            masks, spacing = [m[0] for m in masks], spacing[1:]
        places = np.argwhere(masks[0] | masks[1])
        box = tuple(slice(low, high + 1) for low, high in zip(places.min(0), places.max(0)))
        answers = []
        for where, pair in (("whole", masks), ("cropped", [np.ascontiguousarray(m[box]) for m in masks])):
            for name, run in (("MedPy", medpy), ("MONAI", monai)):
                package = name.lower()
                start = time.perf_counter()
                assd = run(*pair, spacing)
                answers.append([f"{name} {version(package)}, {where}", time.perf_counter() - start, assd])
        print(json.dumps(answers), flush=True)


main()
