"""Prints how far PyTorch differs from itself by rounding alone: the basis of the bounds in nodulus-nets' golden tests.

    python tests/golden/rounding.py [THREADS]

networks.py trains each case in double precision. This script runs the same 20 steps in single precision, from the same
weights and from weights that are each moved by up to 1e-7 of themselves (8 draws), and with torch.autocast to bf16. It
prints the largest differences over the runs, relative to the loss and to the norm of a gradient, as the test measures them.
"""

import sys

import torch

import networks

SEEDS = range(1, 9)
# Steps that share a bound.
SPANS = {"0": (0, 1), "1": (1, 2), "2 to 14": (2, 15), "15 to 19": (15, 20)}


def train(build, config, std, dtype, seed=0, autocast=False):
    """Losses, and the first step's gradients; a seed moves the weights."""
    arguments = {k: v for k, v in config.items() if k not in ["architecture", "image_size"]}
    net = build(**arguments).double()
    networks.fill(net)
    if seed:
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in net.parameters():
                move = 2 * torch.rand(parameter.shape, generator=random, dtype=torch.float64) - 1
                parameter *= 1 + 1e-7 * move
    net = net.to(dtype).train()
    image, mask, nodule = (t.to(dtype) for t in networks.images(config))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-8)
    losses, gradients = [], {}
    for step in range(networks.STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = net(image, std) if build is networks.Proposed else net(image)
        value = networks.loss(*(None if t is None else t.to(dtype) for t in found), mask, nodule)
        losses.append(value.item())
        optimiser.zero_grad()
        value.backward()
        if step == 0:
            gradients = {k: networks.digest(p.grad.double()) for k, p in net.named_parameters() if p.grad is not None}
        optimiser.step()
    return losses, gradients


def apart(a, b):
    """Differences of losses by span, and of gradients."""
    (losses, gradients), (exact, exact_gradients) = a, b
    by_step = [abs(x - y) / y for x, y in zip(losses, exact)]
    largest = 0.0
    for name, expected in exact_gradients.items():
        # A gradient that is 0 except for rounding has no correct digits.
        off = max(abs(x - y) for x, y in zip(gradients[name], expected)) - 1e-5
        largest = max(largest, off / expected[0] if off > 0 else 0.0)
    return [max(by_step[first:end]) for first, end in SPANS.values()] + [largest]


def main(threads="1"):
    torch.set_num_threads(int(threads))
    columns = [f"loss, step {span}" for span in SPANS] + ["gradients"]
    print(f"{'':22}{'':26}" + "".join(f"{column:>20}" for column in columns))
    for name, build, config, std in networks.CASES:
        exact = train(build, config, std, torch.float64)
        single = train(build, config, std, torch.float32)
        moved = [train(build, config, std, torch.float32, seed) for seed in SEEDS]
        runs = {
            "f32 from f64": [apart(single, exact)],
            "moved f32 from f64": [apart(run, exact) for run in moved],
            "moved f32 from f32": [apart(run, single) for run in moved],
            "moved f64 from f64": [apart(train(build, config, std, torch.float64, seed), exact) for seed in SEEDS],
            "moved bf16 from f32": [apart(train(build, config, std, torch.float32, seed, True), single) for seed in SEEDS],
        }
        for what, found in runs.items():
            print(f"{name:22}{what:26}" + "".join(f"{max(column):20.1e}" for column in zip(*found)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
