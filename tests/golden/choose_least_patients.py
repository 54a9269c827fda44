"""How wide the symmetric studentised 95% interval of a mean Dice is with few patients, which decides for how many it is given
(docs/metrics.md). The cohorts are those of `crates/nodulus-metrics/examples/error_rates/cohorts.rs`, drawn anew.

    python tests/golden/choose_least_patients.py   (about eight minutes on one core)
"""

import numpy as np

SIZES = np.array([1, 1, 2, 3, 6, 9, 1, 4, 2, 11, 1, 2, 5, 1, 3])
MISSED, RESAMPLES, RANK, COHORTS = 0.07, 1_999, 1_900, 4_000
random = np.random.default_rng(0)


def dice(z, is_missed):
    return np.where(is_missed, 0, 1 / (1 + np.exp(-1.2 - 0.9 * z)))


def cohort(n_patients, icc):
    """Sum and number of the values of each patient."""
    sums = np.zeros((n_patients, 2))
    for patient, n in enumerate(SIZES[np.arange(n_patients) % len(SIZES)]):
        z = np.sqrt(icc) * random.standard_normal() + np.sqrt(1 - icc) * random.standard_normal(n)
        sums[patient] = dice(z, random.random(n) < MISSED).sum(), n
    return sums


def estimates(sums, times):
    """The mean and its jackknife error, of resamples that draw each patient `times` times."""
    total = times @ sums
    value = total[:, 0] / total[:, 1]
    rest = total[:, None, :] - sums[None]
    with np.errstate(all="ignore"):
        without = rest[..., 0] / rest[..., 1]
    # A patient that is drawn alone leaves nothing: the error is undefined.
    without = np.where(rest[..., 1] > 0.5, without, np.nan)
    squares = np.where(times > 0, (without - value[:, None]) ** 2, 0) * times
    n = sums.shape[0]
    return value, np.sqrt(squares.sum(1) * (n - 1) / n)


def interval(sums):
    n = sums.shape[0]
    [value], [error] = estimates(sums, np.ones((1, n)))
    values, errors = estimates(sums, random.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float))
    is_usable = np.isfinite(errors) & (errors > 1e-9 * np.abs(values))
    distances = np.where(is_usable, np.abs(values - value) / np.where(is_usable, errors, 1), np.inf)
    half = np.sort(distances)[RANK - 1] * error
    return np.clip([value - half, value + half], 0, 1) if np.isfinite(half) else None


def true_mean():
    z = np.linspace(-8, 8, 16_001)
    density = np.exp(-z * z / 2)
    return (1 - MISSED) * (density * dice(z, False)).sum() / density.sum()


if __name__ == "__main__":
    mean = true_mean()
    print("| ICC | patients | coverage | median width | 95% are narrower than | wider than 0.9 | 0 to 1 |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for icc in (0, 0.3, 0.6):
        for n_patients in (6, 7, 8, 11, 30):
            found = [interval(cohort(n_patients, icc)) for _ in range(COHORTS)]
            found = np.array([ends for ends in found if ends is not None])
            covers = ((found[:, 0] <= mean) & (mean <= found[:, 1])).sum() / COHORTS
            widths = found[:, 1] - found[:, 0]
            numbers = [covers, *np.quantile(widths, [0.5, 0.95]), (widths > 0.9).sum() / COHORTS, (widths >= 1).sum() / COHORTS]
            print(f"| {icc} | {n_patients} |", " | ".join(f"{number:.3f}" for number in numbers), "|", flush=True)
