"""Links every point of LIDC's marks to the nearest nodule again, and compares with a store's `nodules`.

Usage: python check_points.py STORE

The store's scans have no images. Prints the sums of n_small and n_non_nodule over the nodules, how many points belong to none, and
how many readers said what. Shares no code with nodulus.
"""

import collections
import glob
import json
import sys

import numpy
import polars

store = sys.argv[1].rstrip("/")


def table(name, columns):
    return polars.concat(
        [polars.read_parquet(path, columns=columns) for path in sorted(glob.glob(f"{store}/{name}/current/*.parquet"))]
    ).to_dicts()


spacing = {row["series_instance_uid"]: (row["spacing_i_mm"], row["spacing_j_mm"])
           for row in table("scans", ["series_instance_uid", "spacing_i_mm", "spacing_j_mm"])}
columns = ["mark_id", "series_instance_uid", "reading_session", "kind", "centroid_i", "centroid_j", "centroid_z_mm", "diameter_mm",
           "irregularities"]
marks = {row["mark_id"]: row for row in table("marks", columns)}


def place(mark):
    i, j = spacing[mark["series_instance_uid"]]
    return numpy.array([mark["centroid_i"] * i, mark["centroid_j"] * j, mark["centroid_z_mm"]])


columns = ["nodule_id", "series_instance_uid", "mark_ids", "n_readers", "n_small", "n_non_nodule", "small_mark_ids",
           "non_nodule_mark_ids"]
nodules = collections.defaultdict(list)
for nodule in table("nodules", columns):
    members = [marks[mark_id] for mark_id in nodule["mark_ids"]]
    nodule["centre"] = numpy.mean([place(mark) for mark in members], 0)
    nodule["diameter"] = numpy.mean([mark["diameter_mm"] for mark in members])
    nodule["outlined"] = {mark["reading_session"] for mark in members}
    nodule["near"] = {"small_nodule": [], "non_nodule": []}
    nodules[nodule["series_instance_uid"]].append(nodule)
left = collections.Counter()
for mark in marks.values():
    if mark["kind"] == "nodule" or mark["centroid_i"] is None or "other_scan" in mark["irregularities"]:
        continue
    own = nodules[mark["series_instance_uid"]]
    apart = [numpy.linalg.norm(nodule["centre"] - place(mark)) for nodule in own]
    near = [n for n, nodule in enumerate(own) if apart[n] < (nodule["diameter"] + 3) / 2]
    if near:
        own[min(near, key=lambda n: apart[n])]["near"][mark["kind"]].append(mark)
    else:
        left[f"{mark['kind']} near none"] += 1
counts = collections.Counter(left)
for nodule in (nodule for own in nodules.values() for nodule in own):
    for kind, column in (("small_nodule", "small_mark_ids"), ("non_nodule", "non_nodule_mark_ids")):
        assert sorted(mark["mark_id"] for mark in nodule["near"][kind]) == nodule[column], nodule["nodule_id"]
    small, other = ({mark["reading_session"] for mark in nodule["near"][kind]} for kind in ("small_nodule", "non_nodule"))
    assert nodule["n_small"] == len(small - nodule["outlined"]), nodule["nodule_id"]
    assert nodule["n_non_nodule"] == len(other - small - nodule["outlined"]), nodule["nodule_id"]
    counts["n_small"] += nodule["n_small"]
    counts["n_non_nodule"] += nodule["n_non_nodule"]
    counts[f"{nodule['n_readers']} outlined, {nodule['n_small']} small, {nodule['n_non_nodule']} no nodule"] += 1
json.dump(counts, sys.stdout, indent=1, sort_keys=True)
print()
