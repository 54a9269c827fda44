"""Prints how the tests and intervals that nodulus could use behave where nodules share patients.

Needs numpy and scipy. Run here: python choose_statistics.py (about three minutes)

Tests, share of p < 0.05 under no difference and under one: sign flips by patient (what nodulus uses), the clustered
signed-rank test of Datta and Satten 2008, and Wilcoxon's test over nodules. Intervals, coverage of the true mean and
median width: percentile and BCa bootstrap by patient, t with the jackknife's standard error, and the studentised
bootstrap, equal-tailed and symmetric (what nodulus uses). docs/metrics.md has the numbers.
"""

import itertools

import numpy as np
from scipy import stats

SIZES = [1, 1, 2, 3, 6, 9, 1, 4, 2, 11, 1, 2, 5, 1, 3]
MISSED = 0.07
RESAMPLES = 1_000


def cohort(random, kind, n_patients, icc):
    """Values of nodules and the index of each one's patient."""
    patient = np.repeat(np.arange(n_patients), [SIZES[n % len(SIZES)] for n in range(n_patients)])
    n = len(patient)
    z = np.sqrt(icc) * random.normal(size=n_patients)[patient] + np.sqrt(1 - icc) * random.normal(size=n)
    if kind == "like Dice":
        return np.where(random.random(n) < MISSED, 0, 1 / (1 + np.exp(-1.2 - 0.9 * z))), patient
    return {"normal": z, "shifted": z + 0.6, "skewed": np.exp(0.7 * z) - np.exp(0.245),
            "like distance": np.exp(0.7 * z)}[kind], patient


def sign_flips(random, values, patient):
    sums = np.bincount(patient, values)
    if len(sums) <= 12:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(sums))))
        return (np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12 * np.abs(sums).sum()).mean()
    signs = random.integers(0, 2, (2_000, len(sums))) * 2 - 1
    return ((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12).sum() + 1) / 2_001


def datta_satten(values, patient):
    size = np.bincount(patient)
    magnitude = np.abs(values)
    below = (magnitude[None] <= magnitude[:, None]) / 2 + (magnitude[None] < magnitude[:, None]) / 2
    all_of = below @ (1 / size[patient])
    own = np.array([below[n][patient == p].mean() for n, p in enumerate(patient)])
    of_patient = np.bincount(patient, np.sign(values) * (1 + all_of - own) / size[patient])
    return 2 * stats.norm.sf(abs(of_patient.sum()) / np.sqrt((of_patient**2).sum()))


def intervals(random, values, patient):
    s, k = np.bincount(patient, values), np.bincount(patient).astype(float)
    n, mean = len(s), s.sum() / k.sum()
    drawn = random.integers(0, n, (RESAMPLES, n))
    sums, sizes = s[drawn].sum(1), k[drawn].sum(1)
    means = sums / sizes
    left_out = (s.sum() - s) / (k.sum() - k)
    error = np.sqrt((n - 1) / n * ((left_out - mean) ** 2).sum())
    # The bootstrap corrected for bias, accelerated by the jackknife over patients.
    z0 = stats.norm.ppf(np.clip((means < mean).mean(), 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    skew = left_out.mean() - left_out
    a = (skew**3).sum() / (6 * (skew**2).sum() ** 1.5)
    shares = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-1.959964, 1.959964)]
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (sums[:, None] - s[drawn]) / (sizes[:, None] - k[drawn])
        errors = np.sqrt((n - 1) / n * ((without - means[:, None]) ** 2).sum(1))
        t = (means - mean) / errors
    t[~(errors > 0)] = np.inf
    low, high = np.quantile(t, [0.025, 0.975], method="nearest")
    half = np.quantile(np.abs(t), 0.95, method="nearest") * error
    of_t = stats.t.ppf(0.975, n - 1) * error
    return {
        "percentile": np.quantile(means, [0.025, 0.975]), "BCa": np.quantile(means, shares),
        "t": (mean - of_t, mean + of_t), "studentised": (mean - high * error, mean - low * error),
        "symmetric studentised": (mean - half, mean + half),
    }


def main():
    random = np.random.default_rng(20260601)
    print("| differences | ICC | patients | sign flips | Datta-Satten | Wilcoxon over nodules |\n|---|---:|---:|---:|---:|---:|")
    for kind, icc, n in itertools.product(("normal", "skewed", "shifted"), (0, 0.3, 0.6), (6, 11, 30)):
        p = []
        for _ in range(1_000):
            found = cohort(random, kind, n, icc)
            p.append([sign_flips(random, *found), datta_satten(*found), stats.wilcoxon(found[0]).pvalue])
        print(f"| {kind} | {icc} | {n} | " + " | ".join(f"{share:.3f}" for share in (np.array(p) < 0.05).mean(0)) + " |")
    truth = {kind: cohort(random, kind, 600_000, 0)[0].mean() for kind in ("like Dice", "like distance")} | {"normal": 0}
    names = ["percentile", "BCa", "t", "studentised", "symmetric studentised"]
    print(f"\n| values | ICC | patients | {' | '.join(names)} |\n|---|---:|---:|" + "---:|" * len(names))
    for kind, icc, n in itertools.product(("normal", "like Dice", "like distance"), (0.3, 0.6), (4, 5, 6, 11, 30)):
        ends = [intervals(random, *cohort(random, kind, n, icc)) for _ in range(1_000)]
        cells = []
        for name in names:
            low, high = np.array([found[name] for found in ends]).T
            covers = ((low <= truth[kind]) & (truth[kind] <= high)).mean()
            cells.append(f"{covers:.3f} ({np.median(high - low):.2f})")
        print(f"| {kind} | {icc} | {n} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
