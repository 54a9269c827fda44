"""Writes krippendorff.json: Krippendorff's ordinal alpha of synthetic ratings by the package `krippendorff`.

Needs krippendorff and numpy. Run here: python krippendorff_alpha.py

`interval`: studentised bootstrap by patient (studentised.py), of the alpha of the package itself.
"""

import json
import pathlib

import krippendorff
import numpy as np

import studentised


def alpha(table):
    return krippendorff.alpha(value_counts=table, level_of_measurement="ordinal")


def table_of(random, n_subjects, n_readers, own, shares):
    rows = []
    for _ in range(n_subjects):
        centre = random.choice(len(shares), p=shares)
        near = np.clip(centre + random.integers(-1, 2, n_readers), 0, len(shares) - 1)
        ratings = np.where(random.random(n_readers) < own, near, random.choice(len(shares), n_readers, p=shares))
        rows.append(np.bincount(ratings, minlength=len(shares)))
    return np.array(rows)


def main():
    random = np.random.default_rng(20260501)
    five = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    tables = [
        table_of(random, 40, 4, 0.7, five),
        table_of(random, 200, 3, 0.2, five),
        table_of(random, 25, 2, 0.9, np.array([0.5, 0.0, 0.3, 0.0, 0.2])),
        np.array([row for n in (2, 3, 4) for row in table_of(random, 20, n, 0.6, five)]),
    ]
    cases = [{"table": t.tolist(), "patients": list(range(len(t))), "alpha": float(alpha(t))} for t in tables]
    # Patients with one to four nodules, some of which one reader rated.
    table = np.array([row for n in (1, 2, 3, 4) for row in table_of(random, 9, n, 0.7, five)])
    patients = np.sort(random.integers(0, 14, len(table)))
    members = [table[patients == patient] for patient in np.unique(patients)]
    members = [m for m in members if (m.sum(axis=1) > 1).any()]

    def statistic(times):
        drawn = lambda row: np.concatenate([np.repeat(m, int(n), axis=0) for m, n in zip(members, row) if n])
        return np.array([alpha(drawn(row)) for row in times])

    ends = studentised.interval(statistic, len(members), random, 4_000)
    cases.append({
        "table": table.tolist(), "patients": patients.tolist(), "alpha": float(alpha(table)), "interval": ends,
    })
    for case in cases:
        case.setdefault("interval", None)
    text = "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n"
    (pathlib.Path(__file__).parent / "krippendorff.json").write_text(text)


if __name__ == "__main__":
    main()
