"""How far PyTorch parts from itself by rounding alone: what the bounds of src/model/golden.rs are set from.

    python tests/golden/rounding.py [THREADS]

For each case of networks.py, which trains in double precision: the same 20 steps in single precision, from the same
weights and from weights of which each is moved by up to 1e-7 of itself. Prints the largest departures over the runs, of
the loss by itself and of a gradient by its norm, as the test measures them; and those of torch.autocast's bf16.
"""

import sys

import torch

import networks

SEEDS = range(1, 9)
# Steps that have one bound.
SPANS = {"0": (0, 1), "1": (1, 2), "2 to 14": (2, 15), "15 to 19": (15, 20)}


def train(build, config, std, dtype, seed=0, autocast=False):
    """Losses, and the first step's gradients; weights are moved where there is a seed."""
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
    image, mask, nodule = (t.to(dtype) for t in networks.images(config["image_size"]))
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
    """Departures of losses by span, and of gradients."""
    (losses, gradients), (exact, exact_gradients) = a, b
    by_step = [abs(x - y) / y for x, y in zip(losses, exact)]
    largest = 0.0
    for name, expected in exact_gradients.items():
        # A gradient that is 0 but for rounding has no digits.
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
            # A gradient that is 0 but for rounding is none in bf16.
            "bf16 from f32": [apart(train(build, config, std, torch.float32, autocast=True), single)[:-1]],
            "moved f64 from f64": [apart(train(build, config, std, torch.float64, seed), exact) for seed in SEEDS],
        }
        for what, found in runs.items():
            print(f"{name:22}{what:26}" + "".join(f"{max(column):20.1e}" for column in zip(*found)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
