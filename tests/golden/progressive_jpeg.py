"""Makes progressive_jpeg.json: progressive JPEG codestreams by libjpeg-turbo, and the samples that it decodes.

    python tests/golden/progressive_jpeg.py > tests/golden/progressive_jpeg.json

Needs Pillow and NumPy. The image has a flat part, so that runs of ended blocks occur, and a size that no block divides.
"""

import io
import json

import numpy as np
from PIL import Image

ROWS, COLUMNS = 33, 41


def image() -> np.ndarray:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    values = np.hypot(y - 12, x - 15) * 7 + 30 * np.sin(x / 3.0) + (x * y) % 17 * 3
    values[:, 26:] = 90
    return values.clip(0, 255).astype(np.uint8)


def encoded(**options) -> dict:
    buffer = io.BytesIO()
    Image.fromarray(image()).save(buffer, "JPEG", progressive=True, **options)
    samples = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    return {"codestream": buffer.getvalue().hex(), "samples": samples.ravel().tolist()}


streams = [encoded(quality=95), encoded(quality=60), encoded(quality=85, restart_marker_blocks=4)]
print(json.dumps({"rows": ROWS, "columns": COLUMNS, "streams": streams}))
