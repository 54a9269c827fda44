"""Writes statistics_by_patient.json: sign-flip tests by SciPy, and a mean with its studentised interval by patient.

Needs numpy and scipy. Run here: python statistics_by_patient.py
"""

import json
import pathlib
from importlib.metadata import version

import numpy as np
from scipy import stats

import studentised


def main():
    random = np.random.default_rng(20260101)
    differ = lambda x, axis: np.sum(x, axis=axis)
    paired = []
    for n, step, shift in ((6, 0, 0.1), (7, 0.5, 0.3), (11, 0, 0.3), (13, 0.5, 0.2), (20, 0, 0.4), (20, 0.25, 0.2),
                           (21, 0, 0.4), (60, 0, 0.2), (60, 0.5, 0.3)):
        d = random.normal(shift, 1, n).round(4)
        if step:
            d = (d / step).round() * step
        exact = n <= 20
        test = stats.permutation_test(
            (d,), differ, permutation_type="samples", vectorized=True, batch=20_000, rng=random,
            n_resamples=np.inf if exact else 999_999,
        )
        paired.append({"sums": d.tolist(), "is_exact": exact, "p": float(test.pvalue)})

    # Values of patients with one to six nodules.
    values = random.beta(8, 2, 60).round(4)
    patients = np.sort(random.integers(0, 17, 60))
    sums = np.array([[values[patients == p].sum(), (patients == p).sum()] for p in np.unique(patients)])
    mean = studentised.of_sums(sums, lambda s: s[:, 0] / s[:, 1])
    summary = {
        "values": values.tolist(), "patients": patients.tolist(), "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)), "median": float(np.median(values)),
        "interval": studentised.interval(mean, len(sums), random, 200_000),
    }
    versions = {name: version(name) for name in ("scipy", "numpy")}
    tests = "[\n" + ",\n".join(json.dumps(test) for test in paired) + "\n]"
    document = {"made_with": json.dumps(versions), "paired": tests, "summary": json.dumps(summary)}
    text = ",\n".join(f'"{key}": {value}' for key, value in document.items())
    pathlib.Path(__file__).with_suffix(".json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
