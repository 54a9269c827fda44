"""Writes classifier.json: AUC and Brier score by scikit-learn and ECE by NumPy, of synthetic probabilities.

Needs numpy and scikit-learn. Run here: python classifier.py
"""

import json
import pathlib

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score


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
    auc = []
    members = [np.flatnonzero(patient == p) for p in range(n_patients)]
    members = [m for m in members if len(m)]
    for _ in range(20_000):
        drawn = np.concatenate([members[k] for k in random.integers(0, len(members), len(members))])
        auc.append(roc_auc_score(truth[drawn], probability[drawn]))
    return {
        "probability": probability.tolist(), "truth": truth.tolist(), "patient": patient.tolist(),
        "auc": float(roc_auc_score(truth, probability)), "brier": float(brier_score_loss(truth, probability)),
        "ece": float(ece), "auc_interval": np.percentile(auc, [2.5, 97.5]).tolist(),
    }


def main():
    random = np.random.default_rng(20260103)
    cases = [case(random, 200, 25, 6), case(random, 150, 12, 1)]
    text = "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n"
    pathlib.Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
