"""The symmetric studentised bootstrap by patient, for the other scripts here.

A statistic is a function of how often each patient was drawn: an array with a row for each resample and a column for
each patient, to one value for each row; NaN where it is undefined.
"""

import numpy as np


def jackknife(statistic, times):
    """Value and standard error of each row; a patient is left out once for each time it was drawn."""
    value = statistic(times)
    squares = np.zeros(len(times))
    for patient in range(times.shape[1]):
        drawn = times[:, patient] > 0
        without = times[drawn].copy()
        without[:, patient] -= 1
        squares[drawn] += times[drawn, patient] * (statistic(without) - value[drawn]) ** 2
    n = times.shape[1]
    return value, np.sqrt((n - 1) / n * squares)


def interval(statistic, n_patients, random, n_resamples=50_000):
    """The ends of the 95% interval."""
    value, error = (found[0] for found in jackknife(statistic, np.ones((1, n_patients))))
    times = random.multinomial(n_patients, np.full(n_patients, 1 / n_patients), n_resamples).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        values, errors = jackknife(statistic, times)
        distances = np.abs(values - value) / errors
    distances[~(errors > 1e-9 * np.abs(values))] = np.inf
    half = np.quantile(distances, 0.95) * error
    return [float(value - half), float(value + half)]


def of_sums(sums, function):
    """The statistic that is a function of sums over patients: `sums` has a row for each patient."""
    return lambda times: function(times @ sums)
