"""Counts the ratings of every nodule from the marks, and their agreement, and compares them with a store's tables.

Usage: python check_ratings.py STORE

Prints the numbers of nodules, of nodules with tied calcification, of each texture type and of each reading of malignancy,
and the largest difference of Krippendorff's alpha. Shares no code with nodulus; alpha is that of the package
`krippendorff`.
"""

import collections
import glob
import json
import statistics
import sys

import krippendorff
import numpy
import polars

ORDINAL = ["subtlety", "sphericity", "margin", "lobulation", "spiculation", "texture", "malignancy"]
NOMINAL = {"internal_structure": 4, "calcification": 6}
store = sys.argv[1].rstrip("/")


def table(name):
    return polars.concat([polars.read_parquet(path) for path in sorted(glob.glob(f"{store}/{name}/current/*.parquet"))])


def close(found, expected):
    return (found is None) == (expected is None) and (found is None or abs(found - expected) < 1e-12)


columns = ["mark_id", "reading_session", "n_voxels", *ORDINAL, *NOMINAL]
marks = {row["mark_id"]: row for row in table("marks").select(columns).to_dicts()}
nodules = table("nodules")
assert not {"nodule_type", "calcification_sd", "internal_structure_median"} & set(nodules.columns)
readings = {rating: [] for rating in ORDINAL}
summary = collections.Counter()
for nodule in nodules.drop("mask_bits", "union_mask_bits").to_dicts():
    summary["nodules"] += 1
    given = [marks[mark] for mark in nodule["mark_ids"]]
    for rating, n_categories in [*((rating, 5) for rating in ORDINAL), *NOMINAL.items()]:
        values = [mark[rating] for mark in given if mark[rating] is not None and 1 <= mark[rating] <= n_categories]
        where = (nodule["nodule_id"], rating, values)
        counts = [values.count(category + 1) for category in range(n_categories)]
        assert [nodule[f"{rating}_n_{category + 1}"] for category in range(n_categories)] == counts, where
        assert nodule[f"{rating}_n"] == len(values), where
        if rating in NOMINAL:
            modes = statistics.multimode(values)
            assert nodule[f"{rating}_n_modes"] == len(modes), where
            assert nodule[rating] == (modes[0] if len(modes) == 1 else None), where
            summary[f"{rating} tied"] += len(modes) > 1
        else:
            assert close(nodule[rating], statistics.fmean(values) if values else None), where
            assert close(nodule[f"{rating}_median"], statistics.median(values) if values else None), where
            assert close(nodule[f"{rating}_sd"], statistics.stdev(values) if len(values) > 1 else None), where
    textures = sorted(mark["texture"] for mark in given if mark["texture"] is not None)
    expected = None
    if textures:
        expected = {1: "ground_glass", 5: "solid"}.get(statistics.median(textures), "part_solid")
    assert nodule["texture_type"] == expected, (nodule["nodule_id"], textures)
    summary[f"texture {expected}"] += 1
    low, high = (sum(nodule[f"malignancy_n_{n}"] for n in pair) for pair in ((1, 2), (4, 5)))
    half = nodule["malignancy_n"] / 2
    summary["benign" if low > half else "malignant" if high > half else "uncertain"] += 1
    # A reader rates once: with the largest of several marks.
    for rating in ORDINAL:
        counts = [0] * 5
        for session in {mark["reading_session"] for mark in given}:
            own = [mark for mark in given if mark["reading_session"] == session and mark[rating] is not None]
            if own:
                largest = min(own, key=lambda mark: (-(mark["n_voxels"] or 0), mark["mark_id"]))
                counts[largest[rating] - 1] += 1
        readings[rating].append(counts)
worst = 0.0
for row in table("rating_agreement").to_dicts():
    if row["scale"] == "nominal":
        assert row["rating"] in NOMINAL and row["krippendorff_alpha"] is None, row
        continue
    counts = numpy.array(readings[row["rating"]])
    alpha = krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal")
    worst = max(worst, abs(alpha - row["krippendorff_alpha"]))
    assert row["alpha_ci_low"] < alpha < row["alpha_ci_high"], row
assert worst < 1e-12, worst
off_scale = table("marks").filter(polars.col("internal_structure") > 4)
assert off_scale["irregularities"].list.contains("rating_off_scale").all()
summary["off scale"] = len(off_scale)
print(json.dumps(summary))
