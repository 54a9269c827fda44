"""Counts every mark of LIDC-IDRI's XML without nodulus.

Usage: python lidc_marks.py XML_FOLDER SCAN_GEOMETRY.csv.xz SERIESUIDS.csv > lidc_marks.json

Needs numpy and scipy. A mark's mask is what a 4-connected flood from outside an inclusion's line does not reach, without the
line, united over the inclusions of a slice, minus each exclusion with its line. `voxels_sha256` is over the sorted lines
"SERIES SESSION VOXELS" of all outlined marks. `luna16` counts the series of SERIESUIDS.csv alone.
"""

import collections
import glob
import hashlib
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy
from scipy.ndimage import binary_fill_holes

from lidc_xml import children, drawn, points, scan_geometry, text

folder, geometry, listed = sys.argv[1:]
scans = scan_geometry(geometry)
luna16 = set(open(listed).read().split())


def outlined(rois, heights):
    """Voxels of a mark, and its irregularities."""
    unusual, voxels, slices = set(), 0, collections.defaultdict(list)
    for roi in rois:
        z = float(text(roi, "imageZposition"))
        k = int(abs(heights - z).argmin())
        if abs(heights[k] - z) >= 0.5 * step_of(heights):
            unusual.add("off_slice")
            continue
        slices[k].append((text(roi, "inclusion") == "TRUE", points(roi, "edgeMap")))
    for lines in slices.values():
        low = numpy.min([line.min(0) for _, line in lines], 0) - 1
        shape = numpy.max([line.max(0) for _, line in lines], 0) - low + 2
        mask = numpy.zeros(shape, bool)
        if sum(inclusion for inclusion, _ in lines) > 1:
            unusual.add("several_inclusions")
        for inclusion, line in sorted(lines, key=lambda one: not one[0]):
            grid = drawn(line, low, shape)
            inside = binary_fill_holes(grid) & ~grid
            mask = mask | inside if inclusion else mask & ~(inside | grid)
            if len(line) <= 2:
                unusual.add("point_contour")
            if inclusion and not inside.any():
                unusual.add("no_interior")
            if abs(line[0] - line[-1]).max() > 1:
                unusual.add("open_contour")
            if len(line) > 1 and abs(numpy.diff(line, axis=0)).max() > 1:
                unusual.add("contour_gap")
        voxels += int(mask.sum())
    return voxels, unusual


def step_of(heights):
    steps = sorted(numpy.diff(heights))
    return steps[len(steps) // 2]


counts = {"all": collections.Counter(), "luna16": collections.Counter()}
lines, diameters, files, seen = [], 0.0, collections.Counter(), set()
for path in sorted(glob.glob(f"{folder}/**/*.xml", recursive=True)):
    root = ElementTree.parse(path).getroot()
    if root.tag.split("}")[-1] != "LidcReadMessage":
        files["chest_x_ray"] += 1
        continue
    series = text(children(root, "ResponseHeader")[0], "SeriesInstanceUid")
    if series in seen:
        files["repeated_reads"] += 1
        continue
    files["read"] += 1
    seen.add(series)
    heights, pixel_mm = scans[series]
    found = collections.Counter()
    for session, reads in enumerate(children(root, "readingSession")):
        nodules = children(reads, "unblindedReadNodule")
        # None of the heights is that of a slice: the session reads another scan.
        read_at = [float(element.text) for element in reads.iter() if element.tag.endswith("}imageZposition")]
        away = [float(abs(heights - z).min()) for z in read_at]
        is_other = bool(away) and min(away) > 0.05 * float(step_of(heights))
        found["sessions"] += int(not is_other)
        ids = collections.Counter(text(nodule, "noduleID") for nodule in nodules)
        for nodule in nodules:
            rois, ratings = children(nodule, "roi"), children(nodule, "characteristics")
            rated = bool(ratings) and any(int(value.text or 0) for value in ratings[0])
            unusual = {"duplicate_id"} if ids[text(nodule, "noduleID")] > 1 else set()
            unusual |= {"other_scan"} if is_other else set()
            scales = {"internalStructure": 4, "calcification": 6}
            given = [(v.tag.split("}")[-1], int(v.text or 0)) for v in ratings[0]] if ratings else []
            if any(not 0 <= value <= scales.get(name, 5) for name, value in given):
                unusual.add("rating_off_scale")
            if not rated and [len(children(roi, "edgeMap")) for roi in rois] == [1]:
                found["small_nodule"] += 1
                z = float(text(rois[0], "imageZposition"))
                if abs(heights - z).min() >= 0.5 * step_of(heights):
                    unusual.add("off_slice")
            else:
                found["nodule"] += 1
                found["unrated"] += not rated
                voxels, more = outlined(rois, heights)
                unusual |= more
                found["voxels"] += voxels
                lines.append(f"{series} {session} {voxels}")
                if series in luna16:
                    volume = voxels * pixel_mm**2 * step_of(heights)
                    diameters += (6 / numpy.pi * volume) ** (1 / 3)
            found.update(unusual)
        for finding in children(reads, "nonNodule"):
            found["non_nodule"] += 1
            found["other_scan"] += int(is_other)
            if abs(heights - float(text(finding, "imageZposition"))).min() >= 0.5 * step_of(heights):
                found["off_slice"] += 1
    counts["all"] += found
    if series in luna16:
        counts["luna16"] += found
digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
result = {
    "files": files,
    **counts,
    "luna16_sum_of_diameters_mm": float(diameters),
    "voxels_sha256": digest,
}
json.dump(result, sys.stdout, indent=1, sort_keys=True)
print()
