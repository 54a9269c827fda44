"""Counts the nodules of LIDC's marks by single linkage, whole and with chains split, without nodulus.

Usage: python lidc_nodules.py XML_FOLDER SCAN_GEOMETRY.csv.xz SERIESUIDS.csv > lidc_nodules.json

Needs numpy and scipy. Prints the numbers of nodules with at least 1, 2, 3 and 4 marks, for all scans and for those of
SERIESUIDS.csv; and for all scans what is near: readers' marks under 3 mm that belong to no nodule, and the groups that they form
where marks of different readers nearer than 3 mm are joined.
"""

import collections
import glob
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy
from scipy.ndimage import binary_fill_holes

from lidc_xml import children, drawn, points, scan_geometry, text


def outlined(rois, heights, step, pixel):
    """Centre and diameter of an outline: each line filled alone, exclusions removed with their lines."""
    slices, voxels = collections.defaultdict(list), []
    for roi in rois:
        away = abs(heights - float(text(roi, "imageZposition")))
        if away.min() < 0.5 * step:
            slices[int(away.argmin())].append((text(roi, "inclusion") == "TRUE", points(roi, "edgeMap")))
    for k, lines in slices.items():
        low = numpy.min([line.min(0) for _, line in lines], 0) - 1
        shape = numpy.max([line.max(0) for _, line in lines], 0) - low + 2
        mask = numpy.zeros(shape, bool)
        for inclusion, line in sorted(lines, key=lambda one: not one[0]):
            grid = drawn(line, low, shape)
            filled = binary_fill_holes(grid)
            mask = mask | (filled & ~grid) if inclusion else mask & ~filled
        i, j = numpy.nonzero(mask)
        voxels += [numpy.column_stack([(i + low[0]) * pixel, (j + low[1]) * pixel, numpy.full(len(i), heights[k])])]
    voxels = numpy.concatenate(voxels) if voxels else numpy.empty((0, 3))
    return (voxels.mean(0), (6 / numpy.pi * len(voxels) * pixel**2 * step) ** (1 / 3)) if len(voxels) else None


def groups(n, linked):
    group_of = list(range(n))
    for a in range(n):
        for b in range(a + 1, n):
            if linked(a, b):
                old, new = group_of[b], group_of[a]
                group_of = [new if group == old else group for group in group_of]
    found = collections.defaultdict(list)
    for mark, group in enumerate(group_of):
        found[group].append(mark)
    return list(found.values())


def split(marks, members):
    """Joins linked pairs from the nearest on, unless two marks of one session would meet."""
    pairs = []
    for x, a in enumerate(members):
        for b in members[x + 1:]:
            radii = (marks[a][2] + marks[b][2]) / 2
            apart = numpy.linalg.norm(marks[a][1] - marks[b][1])
            if apart < radii:
                pairs.append((apart / radii, a, b))
    parts = [{a} for a in members]
    for _, a, b in sorted(pairs):
        p, q = (next(part for part in parts if mark in part) for mark in (a, b))
        if p is not q and not {marks[m][0] for m in p} & {marks[m][0] for m in q}:
            parts.remove(q)
            p |= q
    return [sorted(part) for part in parts]


folder, geometry, listed = sys.argv[1:]
scans = scan_geometry(geometry)
luna16 = set(open(listed).read().split())
names = ["linkage", "split", "linkage_of_luna16", "split_of_luna16"]
counts = {name: [0] * 4 for name in names}
near = collections.Counter()
seen = set()
for path in sorted(glob.glob(f"{folder}/**/*.xml", recursive=True)):
    root = ElementTree.parse(path).getroot()
    if root.tag.split("}")[-1] != "LidcReadMessage":
        continue
    series = text(children(root, "ResponseHeader")[0], "SeriesInstanceUid")
    if series in seen:
        continue
    seen.add(series)
    heights, pixel = scans[series]
    steps = sorted(numpy.diff(heights))
    step = float(steps[len(steps) // 2])
    marks, small = [], []
    for session, reads in enumerate(children(root, "readingSession")):
        at = [float(element.text) for element in reads.iter() if element.tag.endswith("}imageZposition")]
        if at and min(abs(heights - z).min() for z in at) > 0.05 * step:
            continue
        for nodule in children(reads, "unblindedReadNodule"):
            rois, ratings = children(nodule, "roi"), children(nodule, "characteristics")
            rated = bool(ratings) and any(int(value.text or 0) for value in ratings[0])
            if not rated and [len(children(roi, "edgeMap")) for roi in rois] == [1]:
                i, j = points(rois[0], "edgeMap")[0]
                small.append((session, numpy.array([i * pixel, j * pixel, float(text(rois[0], "imageZposition"))])))
            else:
                found = outlined(rois, heights, step, pixel)
                marks += [(session, *found)] if found else []
    linked = groups(len(marks), lambda a, b: numpy.linalg.norm(marks[a][1] - marks[b][1]) < (marks[a][2] + marks[b][2]) / 2)
    if len({mark[0] for mark in marks}) < 2:
        linked = [[n] for n in range(len(marks))]
    parts = []
    for members in linked:
        parts += [members] if len({marks[m][0] for m in members}) == len(members) else split(marks, members)
    for name, nodules in (("linkage", linked), ("split", parts)):
        for which in [name] + [f"{name}_of_luna16"] * (series in luna16):
            counts[which] = [n + sum(len(m) > least for m in nodules) for least, n in enumerate(counts[which])]
    spheres = [(numpy.mean([marks[m][1] for m in part], 0), numpy.mean([marks[m][2] for m in part])) for part in parts]
    alone = [mark for mark in small if all(numpy.linalg.norm(c - mark[1]) >= (d + 3) / 2 for c, d in spheres)]
    near["small_marks"] += len(small)
    near["small_marks_near_no_nodule"] += len(alone)
    apart = lambda a, b: alone[a][0] != alone[b][0] and numpy.linalg.norm(alone[a][1] - alone[b][1]) < 3
    near["groups_of_small_marks_near_no_nodule"] += len(groups(len(alone), apart))
json.dump({**counts, **near}, sys.stdout, indent=1, sort_keys=True)
print()
