"""Compares the network in PyTorch and in nodulus on a device, with the same weights, images and threads.

    cargo bench --bench model --no-run          # prints BENCH, the program; --features cudnn for a card
    python benches/peers/model.py FOLDER BENCH [DEVICE [PRECISION]]

DEVICE is `cpu` (default) or `cuda:N`; PRECISION is `f32` or, on a card, `tf32` or `bf16` (in PyTorch torch.autocast), for
both programs. Processes of nodulus and of PyTorch take turns: eager, and TorchScript frozen and optimised for inference, or
torch.compile on a card. Each process does its work a few times and reports its seconds and its peak memory. Prints the
medians, the ratios, and the largest difference between the probabilities of nodulus and of PyTorch.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS, BATCH, TURNS = 2, 10, 3
ROUNDS = {"paper": 3, "tiny": 10}


def work(folder, preset, kind, rounds, device, precision):
    """The work of one process."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))
    import networks

    torch.set_num_threads(THREADS)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    # A card works asynchronously: wait until it has finished.
    wait = (lambda: torch.cuda.synchronize(device)) if device.startswith("cuda") else (lambda: None)
    net = networks.Proposed(*{"paper": (64, 64), "tiny": (8, 16)}[preset])
    missing, unexpected = net.load_state_dict(load_file(folder / preset / "model.safetensors"), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    autocast = torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bf16")

    def network(x):
        with autocast:
            return tuple(found.float() for found in net(x, True))

    side = 128
    p = np.arange(side * side)
    image = np.stack([(p * 37 + n * 11 + p // side) % 101 for n in range(BATCH)]) / np.float32(100)
    host = torch.from_numpy(image.astype(np.float32)).reshape(BATCH, 1, side, side)
    net, x = net.to(device), host.to(device)
    if kind in ("train", "train compiled"):
        net.train()
        forward = torch.compile(network) if "compiled" in kind else network
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-8)
        mask, nodule = (x > 0.9).float(), torch.ones(BATCH, device=device)

        def once():
            optimiser.zero_grad()
            logits, score = forward(host.to(device))
            networks.loss(logits, score, mask, nodule).backward()
            optimiser.step()
            wait()
    else:
        net.eval()
        with torch.inference_mode():
            if kind == "frozen":
                class Whole(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.net = net

                    def forward(self, x):
                        return self.net(x, True)

                traced = torch.jit.trace(Whole().eval(), x)
                run = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
            elif kind == "compiled":
                run = torch.compile(network)
            else:
                run = network

        def once():
            with torch.inference_mode():
                logits, score = run(host.to(device))
                return torch.sigmoid(logits).cpu(), torch.sigmoid(score).cpu(), logits.cpu()

    seconds = []
    for n in range(rounds + 2):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    found = {}
    if kind == "eager":
        probability, _, logits = once()
        own = np.fromfile(folder / preset / "probabilities", np.float32)
        found["difference"] = float(np.abs(probability.numpy().ravel() - own).max())
        found["logit"] = float(logits.abs().max())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds[2:], "peak_kib": peak, **found}))


def main(folder, bench, device="cpu", precision="f32"):
    runs = {}
    environment = dict(os.environ, RAYON_NUM_THREADS=str(THREADS), OMP_NUM_THREADS=str(THREADS))
    found_eager = {}
    for preset, rounds in ROUNDS.items():
        # Makes the checkpoint.
        subprocess.run([bench, folder, preset, "infer", "1"], env=environment, check=True, capture_output=True)
        works = {
            "infer": {"nodulus": "infer", "PyTorch": "eager", "TorchScript, frozen": "frozen"},
            "train": {"nodulus": "train", "PyTorch": "train"},
        }
        if device != "cpu":
            works["infer"] = {"nodulus": "infer", "PyTorch": "eager", "torch.compile": "compiled"}
            works["train"]["torch.compile"] = "train compiled"
        for what, who in works.items():
            for _ in range(TURNS):
                for name, kind in who.items():
                    program = [bench] if name == "nodulus" else [sys.executable, __file__]
                    command = [*program, folder, preset, kind, str(rounds), device, precision]
                    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                    found = json.loads(out.stdout.splitlines()[-1])
                    found_eager = found if kind == "eager" else found_eager
                    seconds, peaks = runs.setdefault((preset, what, name), ([], []))
                    seconds.extend(found["seconds"])
                    peaks.append(found["peak_kib"])
            if what == "infer":
                print(f"{preset} largest difference from PyTorch, eager: {found_eager['difference']:.1e}; "
                      f"largest logit {found_eager['logit']:.1f}", flush=True)
            own, own_peak = (statistics.median(v) for v in runs[preset, what, "nodulus"])
            for name in who:
                median, peak = (statistics.median(v) for v in runs[preset, what, name])
                print(
                    f"{preset} {what:5} {name:20} {median * 1e3:8.1f} ms  {peak / 2**20:5.2f} GiB"
                    f"  time of nodulus / its {own / median:.2f}, memory {own_peak / peak:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    if len(sys.argv) <= 5:
        main(*sys.argv[1:])
    else:
        work(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
