"""Writes normalise.json: every 16-bit value normalised by a few windows, in numpy's 32-bit arithmetic.

    pip install numpy
    python normalise.py > normalise.json

x = clip((hu - low) / (high - low), 0, 1). `sha256` is that of all 65,536 results, from -32768 up, as
little-endian 32-bit numbers; `bits` are a few of them, as the integers that have the same bits.
"""

import hashlib
import json

import numpy as np

WINDOWS = [(-1000.0, 400.0), (0.0, 1000.0), (0.0, 255.0), (-1350.5, 150.25)]
SHOWN = [-32768, -1000, -999, -731, -300, -1, 0, 1, 77, 254, 399, 400, 1023, 32767]


def main():
    hu = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16).astype(np.float32)
    cases = []
    for window in WINDOWS:
        low, high = np.float32(window[0]), np.float32(window[1])
        x = np.clip((hu - low) / (high - low), np.float32(0), np.float32(1))
        assert x.dtype == np.float32
        digest = hashlib.sha256(x.astype("<f4").tobytes()).hexdigest()
        bits = {str(v): int(x[v + 32768].view(np.uint32)) for v in SHOWN}
        cases.append({"low_hu": window[0], "high_hu": window[1], "sha256": digest, "bits": bits})
    print(json.dumps(cases, indent=1))


main()
