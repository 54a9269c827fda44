"""Writes froc.json: synthetic findings and detections, and their FROC by LUNA16's evaluation.

The steps are those of `noduleCADEvaluationLUNA16.py` (Setio et al. 2017), rewritten with arrays; like it, they use
scikit-learn's `roc_curve` and NumPy's `interp`. Needs numpy and scikit-learn. Run here: python froc.py
"""

import json
import pathlib

import numpy as np
from sklearn.metrics import roc_curve

RATES = [0.125, 0.25, 0.5, 1, 2, 4, 8]
MOST = 100


def limited(detections):
    """The detections of a scan above the 101st score, if there are more than 100."""
    if len(detections) <= MOST:
        return detections
    above = sorted((d[2] for d in detections), reverse=True)[MOST]
    return [d for d in detections if d[2] > above][:MOST]


def rows(n_scans, findings, detections):
    """(scan, truth, score, missed) of each nodule and each false positive; and the counts."""
    found, detected, false, ignored, repeated = [], 0, 0, 0, 0
    for scan in range(n_scans):
        marks = limited([d for d in detections if d[0] == scan])
        left = set(range(len(marks)))
        # The included ones come before the excluded ones.
        for _, centre, diameter, included in sorted(
            (f for f in findings if f[0] == scan), key=lambda f: not f[3]
        ):
            radius = (10.0 if diameter < 0 else diameter) / 2
            hits = [n for n, m in enumerate(marks) if sum((a - b) ** 2 for a, b in zip(m[1], centre)) < radius**2]
            if included:
                repeated += max(len(hits) - 1, 0)
                left -= set(hits)
                if hits:
                    detected += 1
                    found.append((scan, 1.0, max(marks[n][2] for n in hits), False))
                else:
                    found.append((scan, 1.0, -1e9, True))
            else:
                ignored += len(left & set(hits))
                left -= set(hits)
        false += len(left)
        found += [(scan, 0.0, marks[n][2], False) for n in sorted(left)]
    return found, [detected, false, ignored, repeated]


def account(n_scans, findings, detections):
    """What becomes of the detections, counted apart from `rows`: scans over the limit, detections over it, of these the ones
    that a tie loses, nodules that only those hit, detections that hit a nodule, and that hit several."""
    def hits(detection, finding):
        radius = (10.0 if finding[2] < 0 else finding[2]) / 2
        return sum((a - b) ** 2 for a, b in zip(detection[1], finding[1])) < radius**2

    n_scans_over = n_over = n_tied = n_missed = n_hits = n_shared = 0
    for scan in range(n_scans):
        own = [d for d in detections if d[0] == scan]
        kept = limited(own)
        lost = [d for d in own if d not in kept]
        if len(own) > MOST:
            n_scans_over += 1
            first = sorted(own, key=lambda d: -d[2])[:MOST]
            n_over += len(own) - len(kept)
            n_tied += sum(d not in kept for d in first)
        nodules = [f for f in findings if f[0] == scan and f[3]]
        n_missed += sum(not any(hits(d, f) for d in kept) and any(hits(d, f) for d in lost) for f in nodules)
        n_of = [sum(hits(d, f) for f in nodules) for d in kept]
        n_hits += sum(n > 0 for n in n_of)
        n_shared += sum(n > 1 for n in n_of)
    return [n_scans_over, n_over, n_tied, n_missed, n_hits, n_shared]


def broken_ties(found, n_scans, detected_first):
    """Mean sensitivity where each detection has a confidence of its own, in the order of the rows that is best or worst."""
    kept = sorted((f for f in found if not f[3]), key=lambda f: (-f[2], (f[1] == 1.0) != detected_first))
    ranked = [(f[0], f[1], -float(n), False) for n, f in enumerate(kept)] + [f for f in found if f[3]]
    return float(np.mean(np.interp(RATES, *curve(ranked, n_scans))))


def curve(found, n_scans):
    truth = np.array([f[1] for f in found])
    kept = [f for f in found if not f[3]]
    n_detected = sum(f[1] for f in kept)
    fpr, tpr, _ = roc_curve([f[1] for f in kept], [f[2] for f in kept])
    none_false = truth.sum() == len(truth)
    fps = np.zeros(len(fpr)) if none_false else fpr * (len(kept) - n_detected) / n_scans
    return fps, tpr * n_detected / truth.sum()


def case(random, n_scans, n_nodules, n_others, n_false, spread, step):
    def some(n):
        return [(int(s), [round(float(x), 3) for x in p]) for s, p in
                zip(random.integers(0, n_scans, n), random.uniform(-150, 150, (n, 3)))]

    findings = [(s, p, round(float(random.uniform(3, 25)), 3), True) for s, p in some(n_nodules)]
    findings += [(s, p, -1.0 if random.random() < 0.5 else round(float(random.uniform(3, 20)), 3), False)
                 for s, p in some(n_others)]
    places = []
    for scan, centre, diameter, included in findings:
        for _ in range(int(random.integers(0, 3))):
            near = np.array(centre) + random.normal(0, spread * max(diameter, 5) / 2, 3)
            places.append((scan, [round(float(x), 3) for x in near], random.beta(4, 2)))
    places += [(s, p, random.beta(2, 3)) for s, p in some(n_false)]
    order = random.permutation(len(places))
    detections = [(places[n][0], places[n][1], round(float(np.round(places[n][2] / step) * step), 6)) for n in order]
    found, counts = rows(n_scans, findings, detections)
    fps, sens = curve(found, n_scans)
    by_scan = {}
    for f in found:
        by_scan.setdefault(f[0], []).append(f)
    resampled = []
    for _ in range(4000):
        drawn = [f for s in random.integers(0, n_scans, n_scans) for f in by_scan.get(int(s), [])]
        if sum(f[1] for f in drawn):
            resampled.append(np.interp(RATES, *curve(drawn, n_scans)))
    resampled = np.sort(np.array(resampled), axis=0)
    at = lambda share: resampled[int(np.floor(share * len(resampled)))].tolist()
    return {
        "n_scans": n_scans, "findings": findings, "detections": detections, "counts": counts,
        "account": account(n_scans, findings, detections),
        "ties": [broken_ties(found, n_scans, False), broken_ties(found, n_scans, True)],
        "sensitivity": np.interp(RATES, fps, sens).tolist(), "mean": resampled.mean(axis=0).tolist(),
        "low": at(0.025), "high": at(0.975),
    }


def main():
    random = np.random.default_rng(20260102)
    cases = [
        case(random, 20, 30, 20, 150, 0.4, 1e-6),
        case(random, 40, 60, 60, 100, 0.6, 0.05),
        case(random, 3, 9, 2, 380, 0.4, 1e-6),
        case(random, 30, 40, 10, 12, 0.5, 0.01),
        # Many ties in few scans: the limit of 100 loses detections that tie.
        case(random, 3, 40, 6, 500, 0.5, 0.1),
    ]
    text = "[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n"
    pathlib.Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
