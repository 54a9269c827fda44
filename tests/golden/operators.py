"""Writes operators.json: outputs and gradients of operators in PyTorch, in double precision.

Convolutions also with factors, sums and gradients rounded to bf16, compared with torch.autocast.

    python tests/golden/operators.py > tests/golden/operators.json

Needs torch (2.15 made the numbers) and numpy. Inputs are `numbers`, with seeds by position; sizes are odd, and images single.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(seed: int, n: int) -> np.ndarray:
    """n numbers in -1..1, as in networks.py."""
    i = np.arange(n, dtype=np.uint64)
    x = (i * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64)


def tensor(seed, shape):
    return torch.from_numpy(numbers(seed, int(np.prod(shape))).reshape(shape))


def bilinear(*size):
    return lambda x: F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def after(mode):
    def f(a, b, *more):
        options = {} if mode == "nearest" else {"align_corners": False}
        return torch.cat([F.interpolate(a, scale_factor=2, mode=mode, **options), b, *more], 1)
    return f


def convolution(**options):
    return lambda x, w, *b: F.conv2d(x, w, *b, **options)


def norm(x, w, b):
    return F.batch_norm(x, None, None, w, b, training=True)


def fixed_norm(x, w, b):
    n = x.shape[1]
    return F.batch_norm(x, tensor(50, [n]), 1 + tensor(51, [n]) / 2, w, b, training=False)


def threshold_dynamics(scores, steps, boundary, entropy):
    """Minimises the energy of arXiv 2410.20154; gives the last argument of the sigmoid. Without a boundary, it is an input."""
    def f(u, sigma, *weights):
        l1, l2 = (boundary, weights) if boundary is not None else (F.softplus(weights[0]), weights[1:])
        t = torch.arange(-5, 6)
        kernel = torch.exp(-t * t / (2 * F.softplus(sigma) ** 2))
        kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
        prior = F.softplus(l2[0]) * (1 - torch.tensor(scores)).reshape(-1, 1, 1, 1) if l2 else 0
        v = u
        for _ in range(steps):
            x = torch.sigmoid(v)
            smooth = F.conv2d(F.pad(1 - 2 * x, [5] * 4, mode="replicate"), kernel[None, None])
            v = (u - l1 * smooth - prior) / entropy
        return v
    return f


# Name, function, shapes of its inputs.
CASES = [
    ("convolution_3", convolution(padding=1), [[1, 3, 5, 7], [2, 3, 3, 3], [2]]),
    ("convolution_3_half", convolution(padding=1, stride=2), [[2, 2, 7, 5], [3, 2, 3, 3]]),
    ("convolution_7_half", convolution(padding=3, stride=2), [[1, 1, 9, 7], [2, 1, 7, 7]]),
    ("convolution_1_half", convolution(stride=2), [[1, 3, 5, 7], [2, 3, 1, 1], [2]]),
    ("convolution_3_dilated", convolution(padding=5, dilation=5), [[2, 2, 7, 9], [2, 2, 3, 3], [2]]),
    ("depthwise", convolution(padding=1, groups=3), [[1, 3, 5, 7], [3, 1, 3, 3]]),
    ("depthwise_half", convolution(padding=1, stride=2, groups=2), [[2, 2, 7, 5], [2, 1, 3, 3]]),
    ("norm", norm, [[2, 3, 3, 5], [3], [3]]),
    ("norm_relu", lambda *x: F.relu(norm(*x)), [[1, 3, 5, 3], [3], [3]]),
    ("fixed_norm_relu", lambda *x: F.relu(fixed_norm(*x)), [[2, 3, 3, 5], [3], [3]]),
    ("sum_relu", lambda x, w, b, y: F.relu(norm(x, w, b) + y), [[2, 3, 3, 5], [3], [3], [2, 3, 3, 5]]),
    ("sum_of_norms", lambda *x: norm(*x[:3]) + norm(*x[3:]), [[2, 2, 3, 5], [2], [2]] * 2),
    ("mean_score", lambda x, w, b: (x.mean((2, 3)) @ w.T + b).flatten(), [[3, 4, 5, 3], [1, 4], [1]]),
    ("threshold_dynamics", threshold_dynamics([0.8, 0.1], 10, 1.0, 1.0), [[2, 1, 7, 5], [1], [1]]),
    ("threshold_dynamics_plain", threshold_dynamics([], 3, 0.5, 1.5), [[1, 1, 5, 9], [1]]),
    ("up_convolution", lambda x, w, b=None: F.conv_transpose2d(x, w, b, 2), [[1, 3, 5, 7], [3, 2, 2, 2], [2]]),
    ("max_pool_2", lambda x: F.max_pool2d(x, 2), [[1, 2, 5, 7]]),
    ("max_pool_3", lambda x: F.max_pool2d(x, 3, 2, 1), [[1, 2, 5, 7]]),
    ("global_mean", lambda x: x.mean((2, 3), keepdim=True), [[1, 3, 3, 5]]),
    ("gate", lambda x, g: x * torch.sigmoid(g), [[1, 3, 3, 5], [1, 3, 1, 1]]),
    ("multiplication", lambda a, b: a * b, [[1, 2, 3, 5], [1, 2, 3, 5]]),
    ("bilinear_7_11", bilinear(7, 11), [[1, 2, 3, 5]]),
    ("bilinear_2_3", bilinear(2, 3), [[1, 2, 5, 7]]),
    ("bilinear_3_5", bilinear(3, 5), [[1, 2, 1, 1]]),
    ("bilinear_12_20", bilinear(12, 20), [[1, 1, 3, 5]]),
    ("concatenation_nearest", after("nearest"), [[1, 2, 3, 5], [1, 1, 6, 10]]),
    ("concatenation_bilinear", after("bilinear"), [[1, 1, 3, 5], [1, 1, 6, 10], [1, 1, 6, 10]]),
    ("threshold_dynamics_learnt", threshold_dynamics([0.8, 0.1], 10, None, 1.5), [[2, 1, 7, 5], [1], [1], [1]]),
    ("threshold_dynamics_learnt_plain", threshold_dynamics([], 3, None, 1.5), [[1, 1, 5, 9], [1], [1]]),
]


def rounded(x):
    """Rounded to bf16, from f32 as a card sums in f32."""
    return x.detach().float().bfloat16().double()


def in_bf16(f, inputs):
    """Output and gradients of a convolution; its bias is added to the rounded sums."""
    factors = [rounded(x).requires_grad_() for x in inputs[:2]]
    sums = f(*factors)
    gradient = tensor(99, sums.shape)
    sums.backward(rounded(gradient))
    y, gradients = rounded(sums), [rounded(x.grad) for x in factors]
    for bias in inputs[2:]:
        y = y + bias.detach().reshape(-1, 1, 1)
        gradients.append(gradient.sum((0, 2, 3)))
    compare_with_autocast(f, inputs, [y, *gradients])
    return {"output": y.flatten().tolist(), "gradients": [g.flatten().tolist() for g in gradients]}


def compare_with_autocast(f, inputs, expected):
    """torch.autocast rounds biases and their sums too."""
    inputs = [x.detach().float().requires_grad_() for x in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        y = f(*inputs)
    assert y.dtype == torch.bfloat16
    y.float().backward(tensor(99, y.shape).float())
    for found, expected in zip([y, *(x.grad for x in inputs)], expected):
        assert (found.double() - expected).abs().max() <= 2**-7 * expected.abs().max()


def main():
    found = {}
    for name, f, shapes in CASES:
        inputs = [tensor(n, shape).requires_grad_() for n, shape in enumerate(shapes)]
        y = f(*inputs)
        y.backward(tensor(99, y.shape))
        found[name] = {
            "inputs": shapes, "shape": list(y.shape), "output": y.flatten().tolist(),
            "gradients": [x.grad.flatten().tolist() for x in inputs],
        }
        if name.startswith(("convolution", "depthwise", "up_convolution")):
            found[name]["bf16"] = in_bf16(f, inputs)
    text = json.dumps(found, separators=(",", ":"))
    print(json.dumps(json.loads(text, parse_float=lambda v: float(f"{float(v):.7g}")), separators=(",", ":")))


main()
