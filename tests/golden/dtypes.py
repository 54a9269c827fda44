"""Arrays of every data type as PyTorch writes them, and their values as 32-bit floats by PyTorch itself.

    python dtypes.py

writes dtypes.safetensors and dtypes.json beside this file.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
VALUES = [0.0, -0.0, 1.0, -1.5, 0.1, 6.1e-5, 5.96e-8, 65504.0, -2.718281828459045]

floats = {
    "f16": torch.tensor(VALUES, dtype=torch.float64).to(torch.float16),
    "bf16": torch.tensor([*VALUES, 3e38, 1e-40], dtype=torch.float64).to(torch.bfloat16),
    "f32": torch.tensor([*VALUES, 3e38, 1e-45], dtype=torch.float32),
    "f64": torch.tensor([*VALUES, 3e38, 1e-300, 1 / 3], dtype=torch.float64),
    "f64.matrix": torch.arange(6, dtype=torch.float64).reshape(2, 3) / 7,
}
others = {
    "norm.num_batches_tracked": torch.tensor(7),
    "num_batches_tracked": torch.tensor(7),
    "indices": torch.tensor([1, 2]),
    "flags": torch.tensor([True]),
}
save_file({**floats, **others}, HERE / "dtypes.safetensors")
bits = {name: t.float().flatten().view(torch.int32).to(torch.int64) & 0xFFFFFFFF for name, t in floats.items()}
golden = {"torch": torch.__version__, "floats": {name: b.tolist() for name, b in bits.items()}}
(HERE / "dtypes.json").write_text(json.dumps(golden, indent=1) + "\n")
