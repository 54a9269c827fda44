"""Writes stability.json: population stability indices by NumPy and SciPy.

Needs numpy and scipy. Run here: python stability.py

Histograms are by numpy.digitize. The index is by numpy's logarithms over the bins in which either histogram has values, with
half a value added to each; the limit is by scipy.stats.chi2.
"""

import json
import pathlib

import numpy as np
from scipy.stats import chi2

VOLUMES = [14, 34, 65, 113, 268, 524, 1767, 4189, 14137]


def counts(values, edges):
    return np.bincount(np.digitize(values, edges), minlength=len(edges) + 1)


def case(edges, reference, found):
    reference, found = np.round(reference, 4), np.round(found, 4)
    expected, actual = counts(reference, edges), counts(found, edges)
    used = expected + actual > 0
    q = (expected[used] + 0.5) / (expected.sum() + 0.5 * used.sum())
    p = (actual[used] + 0.5) / (actual.sum() + 0.5 * used.sum())
    return {
        "edges": [float(edge) for edge in edges],
        "reference": reference.tolist(),
        "found": found.tolist(),
        "reference_counts": expected.tolist(),
        "found_counts": actual.tolist(),
        "psi": float(((p - q) * np.log(p / q)).sum()),
        "limit": float(chi2.ppf(0.95, used.sum() - 1) * (1 / len(reference) + 1 / len(found))),
    }


def main():
    random = np.random.default_rng(20261124)
    tenths = np.arange(1, 10) / 10
    cases = [
        case(tenths, random.beta(5, 2, 60), random.beta(5, 2, 25)),
        case(tenths, random.beta(5, 2, 60), random.beta(2, 5, 40)),
        case(VOLUMES, random.lognormal(5, 1.2, 80), random.lognormal(6, 1.2, 30)),
        case(VOLUMES, random.lognormal(5, 1.2, 80), np.zeros(20)),
        case([-400, -100, 0, 100], random.normal(-50, 120, 50), random.normal(-50, 120, 50)),
        case([0.0], random.normal(0, 1, 40), random.normal(1, 1, 40)),
    ]
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
