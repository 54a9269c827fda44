"""Writes classifier.json: AUC and Brier score by scikit-learn and ECE by NumPy, of synthetic probabilities,
with their intervals by patient (studentised.py).

Needs numpy and scikit-learn. Run here: python classifier.py
"""

import json
import pathlib

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

import studentised


def case(random, n, n_patients, digits):
    truth = random.random(n) < 0.4
    probability = np.clip(random.beta(2, 3, n) + 0.35 * truth - 0.1, 0, 1).round(digits)
    patient = random.integers(0, n_patients, n)
    edges = np.linspace(0, 1, 11)
    # A bin includes its upper end; 0 belongs to the first bin.
    which = np.clip(np.digitize(probability, edges, right=True), 1, 10)
    ece = sum(
        (which == b).mean() * abs(truth[which == b].mean() - probability[which == b].mean())
        for b in range(1, 11) if (which == b).any()
    )
    members = [np.flatnonzero(patient == p) for p in range(n_patients)]
    members = [m for m in members if len(m)]
    # Pairs of the positive cases of one patient with the negative ones of another.
    pairs = np.array([[
        np.sum((d := probability[a][truth[a]][:, None] - probability[b][~truth[b]]) > 0) + 0.5 * np.sum(d == 0)
        for b in members] for a in members])
    n_true = np.array([truth[m].sum() for m in members])
    n_false = np.array([(~truth[m]).sum() for m in members])
    auc = lambda t: np.einsum("ri,ij,rj->r", t, pairs, t) / ((t @ n_true) * (t @ n_false))
    of_all = float(roc_auc_score(truth, probability))
    assert abs(auc(np.ones((1, len(members))))[0] - of_all) < 1e-12
    squares = np.array([[((truth[m] - probability[m]) ** 2).sum(), len(m)] for m in members])
    bins = np.array([[
        (truth[m] - probability[m])[which[m] == b].sum() for b in range(1, 11)] + [len(m)] for m in members])
    interval = lambda statistic: studentised.interval(statistic, len(members), random, 20_000)
    return {
        "probability": probability.tolist(), "truth": truth.tolist(), "patient": patient.tolist(),
        "auc": of_all, "brier": float(brier_score_loss(truth, probability)), "ece": float(ece),
        "auc_interval": interval(auc),
        "brier_interval": interval(studentised.of_sums(squares, lambda s: s[:, 0] / s[:, 1])),
        "ece_interval": interval(studentised.of_sums(bins, lambda s: np.abs(s[:, :-1]).sum(axis=1) / s[:, -1])),
    }


def main():
    random = np.random.default_rng(20260103)
    cases = [case(random, 200, 25, 6), case(random, 150, 12, 1)]
    text = "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n"
    pathlib.Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
