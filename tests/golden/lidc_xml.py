"""Reads LIDC-IDRI's XML and a table of scan geometry for the scripts beside it, without nodulus. Needs numpy."""

import csv
import lzma

import numpy

csv.field_size_limit(10**9)


def children(element, name):
    return [child for child in element if child.tag.split("}")[-1] == name]


def text(element, name):
    found = children(element, name)
    return (found[0].text or "").strip() if found else ""


def points(element, name):
    return numpy.array([[int(text(p, "xCoord")), int(text(p, "yCoord"))] for p in children(element, name)])


def scan_geometry(path):
    """Heights of slices, ascending, and pixel spacing of each series, from a packed CSV."""
    scans = {}
    with lzma.open(path, "rt") as file:
        for row in csv.DictReader(file):
            heights = numpy.array(sorted({float(z) for z in row["z_positions_mm"].split()}))
            scans[row["series_instance_uid"]] = (heights, float(row["pixel_spacing_mm"]))
    return scans


def line_pixels(line):
    """The pixels of a closed line; gaps and the two ends are joined by straight lines, rounded half up."""
    found = set()
    for a, b in zip(line, numpy.vstack([line[1:], line[:1]])):
        steps = max(1, abs(b - a).max())
        for t in range(steps + 1):
            found.add(tuple(int(v) for v in (2 * (a * (steps - t) + b * t) + steps) // (2 * steps)))
    return found


def drawn(line, low, shape):
    """A grid of this shape, whose first pixel is `low`, with the line's pixels set."""
    grid = numpy.zeros(shape, bool)
    for i, j in line_pixels(line):
        grid[i - low[0], j - low[1]] = True
    return grid
