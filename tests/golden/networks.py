"""Writes networks.json: outputs, losses, gradients and steps of Adam of every network in PyTorch, in double precision.

    python tests/golden/networks.py > tests/golden/networks.json

Needs torch (2.15 made the numbers) and numpy. Parameters and inputs come from `numbers`, which the test repeats; `config` is
the network's section of a pipeline file.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

from comparison_networks import DeepLabV3Plus, ResUNet, ResUNetPlusPlus, UNet
from proposed_network import Proposed

BATCH, STEPS, SAMPLED = 3, 20, 197
PROPOSED = {"architecture": "proposed", "image_size": 64, "width": 2, "classifier_width": 4}

# Name, class, configuration, whether the threshold dynamics are used.
CASES = [
    ("proposed_without_std", Proposed, {**PROPOSED}, False),
    ("proposed", Proposed, {**PROPOSED}, True),
    ("proposed_std", Proposed, {**PROPOSED, "mode": "std"}, True),
    ("proposed_uncombined", Proposed, {**PROPOSED, "combination": False}, True),
    ("unet", UNet, {"architecture": "unet", "image_size": 32, "width": 4}, True),
    ("resunet", ResUNet, {"architecture": "resunet", "image_size": 32, "width": 4}, True),
    ("resunet_plus_plus", ResUNetPlusPlus,
     {"architecture": "resunet_plus_plus", "image_size": 64, "width": 4}, True),
    # Dilations smaller than the side of the deepest features.
    ("deeplab_v3_plus", DeepLabV3Plus,
     {"architecture": "deeplab_v3_plus", "image_size": 64, "width": 4, "dilations": [1, 2, 3]}, True),
    # A slice between its neighbours, and a learnt weight of the boundary; with this width of the classifier, no rectifier's input is so
    # near to 0, and no score so small, that rounding shows.
    ("proposed_slices", Proposed, {**PROPOSED, "classifier_width": 3, "input_slices": 3}, True),
    ("unet_slices", UNet, {"architecture": "unet", "image_size": 32, "input_slices": 3, "width": 4}, True),
    ("proposed_learnt_boundary", Proposed, {**PROPOSED, "classifier_width": 3, "std_learns_boundary": True}, True),
]
PAPER = {
    "proposed": (Proposed, {"width": 64, "classifier_width": 64}),
    "unet": (UNet, {"width": 64}),
    "resunet": (ResUNet, {"width": 64}),
    "resunet_plus_plus": (ResUNetPlusPlus, {"width": 16}),
    "deeplab_v3_plus": (DeepLabV3Plus, {"width": 64}),
}


def numbers(seed: int, n: int) -> np.ndarray:
    """n numbers in -1..1 that any language can make: 32-bit integers, multiplied and mixed."""
    i = np.arange(n, dtype=np.uint64)
    x = (i * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64)


def fill(net):
    """Sets every parameter and running statistic by its rank in the order of names."""
    named = state(net)
    with torch.no_grad():
        for seed, name in enumerate(sorted(named)):
            t = named[name]
            x = numbers(seed, t.numel())
            if name.endswith("running_var") or t.dim() == 1 and name.endswith(".weight"):
                x = 1 + x / 2
            elif t.dim() > 1:
                x = x * np.float32(np.sqrt(3 / np.prod(t.shape[1:])))
            else:
                x = x / 2
            x = np.asarray(x, dtype=np.float32).astype(np.float64)
            t.copy_(torch.from_numpy(x).reshape(t.shape))


def state(net):
    return {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


def digest(t):
    """Norm, and product with the same numbers each time."""
    t = t.detach().flatten()
    return [t.norm().item(), (t @ torch.from_numpy(numbers(7, t.numel()))).item()]


def loss(logits, score, mask, nodule):
    x = torch.sigmoid(logits)
    both, either = (x * mask).sum((1, 2, 3)), (x + mask).sum((1, 2, 3))
    dice = (1 - (2 * both + 1) / (either + 1)).mean()
    value = F.binary_cross_entropy_with_logits(logits, mask) + dice
    if score is not None:
        value = value + F.binary_cross_entropy_with_logits(score, nodule)
    return value


def images(config):
    """Numbers in 0..1, and discs; the first disc is empty."""
    side, slices = config["image_size"], config.get("input_slices", 1)
    values = numbers(1000, BATCH * slices * side**2).reshape(BATCH, slices, side, side)
    image = torch.from_numpy(values / 2 + 0.5)
    at = torch.arange(side)
    mask = torch.stack([
        ((at[:, None] - side // 3 - 5 * n) ** 2 + (at[None, :] - side // 2 + 6 * n) ** 2 < (4 * n) ** 2)[None]
        for n in range(BATCH)
    ]).double()
    return image, mask, torch.tensor([0.0, 1.0, 1.0])


def outputs(u, score):
    scores = None if score is None else score.tolist()
    return {"logits": u.detach().flatten()[::SAMPLED].tolist(), "scores": scores}


def record(build, config, std):
    arguments = {k: v for k, v in config.items() if k not in ["architecture", "image_size"]}
    net = build(**arguments)
    fill(net)
    image, mask, nodule = images(config)

    def run():
        return net(image, std) if build is Proposed else net(image)

    net.eval()
    with torch.no_grad():
        evaluation = outputs(*run())
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-8)
    losses = []
    for step in range(STEPS):
        u, score = run()
        value = loss(u, score, mask, nodule)
        losses.append(value.item())
        optimiser.zero_grad()
        value.backward()
        if step == 0:
            training = outputs(u, score)
            learnt = {k: p.grad for k, p in net.named_parameters() if p.grad is not None}
            gradients = {k: digest(g) for k, g in learnt.items()}
            # Adam's first step has the gradient's sign, which rounding decides if the gradient is near 0.
            at = {k: g.abs().argmax().item() for k, g in learnt.items()}
        optimiser.step()
        if step == 0:
            after = {k: [at.get(k, 0), v.flatten()[at.get(k, 0)].item()] for k, v in state(net).items()}
    return {
        "config": config, "std": std, "evaluation": evaluation, "training": training, "losses": losses,
        "parameters": {k: list(v.shape) for k, v in state(net).items()},
        "gradients": gradients, "after_a_step": after,
    }


def main():
    torch.set_default_dtype(torch.float64)
    found = {
        "paper_parameters": {
            name: sum(p.numel() for p in build(**arguments).parameters())
            for name, (build, arguments) in PAPER.items()
        },
        "cases": {name: record(*rest) for name, *rest in CASES},
    }
    text = json.dumps(found, separators=(",", ":"))
    print(json.dumps(json.loads(text, parse_float=lambda v: float(f"{float(v):.6g}")), separators=(",", ":")))


if __name__ == "__main__":
    main()
