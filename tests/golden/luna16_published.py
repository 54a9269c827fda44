"""Writes LUNA16's annotations.csv and annotations_excluded.csv from LIDC-IDRI's XML without nodulus.

Usage: python luna16_published.py XML_FOLDER SCAN_GEOMETRY.csv[.xz] SERIESUIDS.csv OUT_FOLDER > luna16_published.json

Needs numpy and scipy, and the columns origin_x_mm, origin_y_mm and direction in the table for x and y; without them the
origin is 0, 0 and the axes are the patient's. The printed JSON has the number of rows of both files, a SHA-256 of the
number of rows of each scan, and one of series, z and diameter of each file's rows in their order.

The rule: a scan's marks are in the order of the file, session by session, nodules before non-nodules. From the last mark
to the first, an outlined mark is merged into the nearest one before it that comes from another session and whose centre is
nearer than the sum of the radii; the earlier mark becomes the mean of both. Each mark is one row: the values that it had
when it was merged, or has at the end. Those that were never merged and hold three or more marks are rows of annotations.csv,
all others of annotations_excluded.csv, in the order of the marks.
"""

import collections
import csv
import decimal
import glob
import hashlib
import json
import lzma
import math
import sys
import xml.etree.ElementTree as ElementTree

import numpy
from scipy.ndimage import label

from lidc_xml import children, points, text


def enclosed(lines, low, shape):
    """What a 4-connected flood from outside all points does not reach, without the points."""
    grid = numpy.zeros(shape, bool)
    for line in lines:
        for i, j in line:
            grid[i - low[0], j - low[1]] = True
    regions, _ = label(~grid)
    return ~grid & (regions != regions[0, 0])


def outlined(rois, first_z, step):
    """Sums over the voxels of an outlined mark: number, i, j, and k on the even grid.

    The listed points of all lines of a slice are drawn together; gaps stay open. What a flood from outside does not reach is the
    mask, without the points; an exclusion then removes the region that a flood from the mean of its points fills, if that is not
    on a point or outside.
    """
    slices = collections.defaultdict(list)
    for roi in rois:
        k = math.floor((float(text(roi, "imageZposition")) - first_z) / step + 0.5)
        line = points(roi, "edgeMap")
        # The mean of the points as the file lists them, rounded half up.
        seed = (2 * line.sum(0) + len(line)) // (2 * len(line))
        slices[k].append((text(roi, "inclusion") == "TRUE", line, seed))
    sums = numpy.zeros(4)
    for k, drawn in slices.items():
        pixels = numpy.concatenate([line for _, line, _ in drawn])
        low = pixels.min(0) - 1
        shape = pixels.max(0) - low + 2
        mask = enclosed([line for _, line, _ in drawn], low, shape)
        regions, _ = label(mask)
        for inclusion, _, seed in drawn:
            inside = not inclusion and (seed >= low).all() and (seed - low < shape).all()
            if inside and regions[tuple(seed - low)]:
                mask[regions == regions[tuple(seed - low)]] = False
        i, j = numpy.nonzero(mask)
        sums += [len(i), (i + low[0]).sum(), (j + low[1]).sum(), k * len(i)]
    return sums


def marks_of(root, geometry):
    """(session, centre, diameter) of each mark, in the order of the file; -1 as the diameter of points."""
    pixel, step, origin, direction = geometry
    size = numpy.array([pixel, pixel, step])
    marks = []

    def place(index):
        return origin + direction @ (numpy.array(index) * size)

    for session, reads in enumerate(children(root, "readingSession")):
        for nodule in children(reads, "unblindedReadNodule"):
            rois, ratings = children(nodule, "roi"), children(nodule, "characteristics")
            rated = bool(ratings) and any(int(value.text or 0) for value in ratings[0])
            if not rated and [len(children(roi, "edgeMap")) for roi in rois] == [1]:
                k = math.floor((float(text(rois[0], "imageZposition")) - origin[2]) / step + 0.5)
                marks.append([session, place([*points(rois[0], "edgeMap")[0], k]), -1.0])
                continue
            n, i, j, k = outlined(rois, origin[2], step)
            diameter = (6 / numpy.pi * n * pixel * pixel * step) ** (1 / 3)
            marks.append([session, place([i / n, j / n, k / n]), diameter])
        for finding in children(reads, "nonNodule"):
            k = math.floor((float(text(finding, "imageZposition")) - origin[2]) / step + 0.5)
            marks.append([session, place([*points(finding, "locus")[0], k]), -1.0])
    return marks


def merged(marks):
    """The number of marks that each mark holds at the end; 0 for one that was merged into another."""
    held = [1] * len(marks)
    alive = [n for n, mark in enumerate(marks) if mark[2] >= 0]
    while alive:
        last = alive.pop()
        for before in reversed(alive):
            apart = numpy.linalg.norm(marks[before][1] - marks[last][1])
            if marks[before][0] != marks[last][0] and apart < (marks[before][2] + marks[last][2]) / 2:
                marks[before][1] = (marks[before][1] + marks[last][1]) / 2
                marks[before][2] = (marks[before][2] + marks[last][2]) / 2
                held[before] += held[last]
                held[last] = 0
                break
    return held


def half_up(digits):
    return decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_UP)


def printed(number):
    """A number with at most nine decimals, rounded again half up to ten digits, without zeros at the end."""
    text = f"{half_up(10).create_decimal(f'{number:.9f}'):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def main():
    folder, table, listed, out = sys.argv[1:]
    scans = {}
    with (lzma.open if table.endswith(".xz") else open)(table, "rt") as file:
        for row in csv.DictReader(file):
            heights = sorted({float(z) for z in row["z_positions_mm"].split()})
            steps = sorted(numpy.diff(heights))
            corner = [float(row.get(name) or 0) for name in ("origin_x_mm", "origin_y_mm")]
            direction = row.get("direction") or "1 0 0 0 1 0 0 0 1"
            direction = numpy.array([float(value) for value in direction.split()]).reshape(3, 3)
            origin = numpy.array([*corner, heights[0]])
            pixel = float(half_up(6).create_decimal(row["pixel_spacing_mm"]))
            scans[row["series_instance_uid"]] = pixel, float(steps[len(steps) // 2]), origin, direction
    wanted = set(open(listed).read().split())
    roots = {}
    for path in sorted(glob.glob(f"{folder}/**/*.xml", recursive=True)):
        root = ElementTree.parse(path).getroot()
        if root.tag.split("}")[-1] == "LidcReadMessage":
            series = text(children(root, "ResponseHeader")[0], "SeriesInstanceUid")
            if series in wanted:
                roots.setdefault(series, root)
    names, counts, lines = ["annotations.csv", "annotations_excluded.csv"], {}, ([], [])
    files = [["seriesuid,coordX,coordY,coordZ,diameter_mm\n"] for _ in names]
    for series in sorted(wanted):
        marks = marks_of(roots[series], scans[series]) if series in roots else []
        held = merged(marks)
        counts[series] = [sum(n >= 3 for n in held), sum(n < 3 for n in held)]
        for n, (_, centre, diameter) in zip(held, marks):
            values = [printed(value) for value in (*centre, diameter)]
            files[n < 3].append(",".join([series, *values]) + "\n")
            lines[n < 3].append(f"{series},{values[2]},{values[3]}")
    for name, rows in zip(names, files):
        with open(f"{out}/{name}", "w", newline="") as file:
            file.writelines(rows)
    totals = [sum(count[n] for count in counts.values()) for n in (0, 1)]
    digests = [hashlib.sha256("\n".join(file).encode()).hexdigest() for file in lines]
    text_of_counts = "\n".join(f"{series} {a} {b}" for series, (a, b) in sorted(counts.items()))
    counted = hashlib.sha256(text_of_counts.encode()).hexdigest()
    json.dump({"rows": totals, "rows_of_scans_sha256": counted, "sha256": digests}, sys.stdout, indent=1)
    print()


main()
