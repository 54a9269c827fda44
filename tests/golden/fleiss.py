"""Writes fleiss.json: Fleiss' kappa of synthetic ratings by statsmodels and NumPy.

Needs statsmodels and numpy. Run here: python fleiss.py

`equal`: every subject has the same number of ratings, and kappa is by statsmodels. `unequal`: kappa by counting pairs of
ratings one by one, in fractions. `interval`: studentised bootstrap by patient (studentised.py).
"""

import itertools
import json
import pathlib
from fractions import Fraction
from importlib.metadata import version

import numpy as np
from statsmodels.stats.inter_rater import fleiss_kappa

import studentised


def by_pairs(table):
    """Observed and expected agreement, and kappa, without subjects that have one rating."""
    subjects = [[c for c, n in enumerate(row) for _ in range(n)] for row in table if sum(row) > 1]
    shares = []
    for ratings in subjects:
        pairs = list(itertools.combinations(ratings, 2))
        shares.append(Fraction(sum(a == b for a, b in pairs), len(pairs)))
    observed = sum(shares) / len(shares)
    ratings = [rating for subject in subjects for rating in subject]
    parts = [Fraction(ratings.count(c), len(ratings)) for c in set(ratings)]
    expected = sum(part**2 for part in parts)
    return observed, expected, (observed - expected) / (1 - expected)


def entry(table):
    table = [[int(n) for n in row] for row in table]
    observed, expected, kappa = by_pairs(table)
    found = {"observed": float(observed), "expected": float(expected), "kappa": float(kappa)}
    return {"table": table} | found


def subject(random, n, shares, own):
    """Counts of n ratings, each of which is the subject's own category or one at random."""
    mine = random.choice(len(shares), p=shares)
    ratings = np.where(random.random(n) < own, mine, random.choice(len(shares), n, p=shares))
    return np.bincount(ratings, minlength=len(shares))


def kappas(observed, n_subjects, counts):
    """Kappa of each resample from its patients' sums."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    expected = (shares**2).sum(axis=1)
    return (observed / n_subjects - expected) / (1 - expected)


def main():
    random = np.random.default_rng(20260201)
    shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    equal = []
    for n_subjects, n, own in ((12, 2, 0.5), (30, 4, 0.2), (30, 4, 0.8), (80, 3, 0.0), (200, 6, 0.6)):
        found = entry([subject(random, n, shares, own) for _ in range(n_subjects)])
        kappa = float(fleiss_kappa(np.array(found["table"]), method="fleiss"))
        assert abs(kappa - found["kappa"]) < 1e-12, (kappa, found["kappa"])
        equal.append(found | {"kappa": kappa})
    unequal = []
    for n_subjects, own in ((15, 0.3), (60, 0.6), (120, 0.1)):
        counts = random.integers(1, 5, n_subjects)
        unequal.append(entry([subject(random, n, shares, own) for n in counts]))

    numbers = random.integers(2, 5, 90)
    patients = np.sort(random.integers(0, 40, 90))
    table = np.array([subject(random, n, shares, 0.5) for n in numbers])
    same = (table * (table - 1)).sum(axis=1) / (numbers * (numbers - 1))
    found = np.unique(patients)
    of = lambda values: np.array([values[patients == p].sum(axis=0) for p in found])
    observed, n_subjects, counts = of(same), of(np.ones(90)), of(table)
    sums = np.column_stack([observed, n_subjects, counts])
    statistic = studentised.of_sums(sums, lambda s: kappas(s[:, 0], s[:, 1], s[:, 2:]))
    ends = studentised.interval(statistic, len(found), random)
    interval = {"patients": patients.tolist(), "table": table.tolist(), "interval": ends}

    versions = {name: version(name) for name in ("statsmodels", "numpy")}
    lines = lambda entries: "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]"
    document = {
        "made_with": json.dumps(versions), "equal": lines(equal), "unequal": lines(unequal),
        "interval": json.dumps(interval),
    }
    body = ",\n".join(f'"{key}": {value}' for key, value in document.items())
    pathlib.Path(__file__).with_suffix(".json").write_text("{\n" + body + "\n}\n")


if __name__ == "__main__":
    main()
