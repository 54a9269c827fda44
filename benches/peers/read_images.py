"""Reads image files with SimpleITK and nibabel, for `cargo bench --bench image_files`.

Each line of input is `READER PATH`. The answer is the number of seconds from the path to an array of voxels in memory.
"""

import sys
import time

import nibabel
import numpy as np
import SimpleITK as sitk


def by_nibabel(path: str) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


READERS = {"SimpleITK": sitk.ReadImage, "nibabel": by_nibabel}

print("SimpleITK", sitk.Version.VersionString(), "nibabel", nibabel.__version__, flush=True)
for line in sys.stdin:
    reader, path = line.rstrip("\n").split(" ", 1)
    start = time.perf_counter()
    volume = READERS[reader](path)
    print(time.perf_counter() - start, flush=True)
    del volume
