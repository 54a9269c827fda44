"""The proposed network in PyTorch, in double precision: outputs, losses, gradients, one step of Adam.

    python tests/golden/network.py > tests/golden/network.json

Written from the paper's description and torchvision's names, not from the Rust code. Parameters and
inputs are made by `numbers`, which the test makes again.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIZE, WIDTH, CLASSIFIER_WIDTH, BATCH = 64, 2, 4, 3
DILATIONS = [1, 5, 10, 15]


def numbers(seed: int, n: int) -> np.ndarray:
    """n numbers in -1..1 that any language can make: 32-bit integers, multiplied and mixed."""
    i = np.arange(n, dtype=np.uint64)
    x = (i * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64)


def conv(i, o, k, stride=1, dilation=1, bias=False):
    return nn.Conv2d(i, o, k, stride, dilation * (k // 2), dilation, bias=bias)


class Bottleneck(nn.Module):
    def __init__(self, i, width, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(i, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or i != 4 * width:
            self.downsample = nn.Sequential(conv(i, 4 * width, 1, stride), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w)
        i = w
        for n, (depth, stride) in enumerate([(3, 1), (4, 2), (6, 2), (3, 2)]):
            blocks = []
            for b in range(depth):
                blocks.append(Bottleneck(i, w << n, stride if b == 0 else 1))
                i = 4 * (w << n)
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(i, 1)

    def forward(self, x):
        c1 = F.relu(self.bn1(self.conv1(x)))
        c2 = self.layer1(F.max_pool2d(c1, 3, 2, 1))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return [c1, c2, c3, c4], self.fc(self.layer4(c4).mean((2, 3))).squeeze(1)


class Separable(nn.Module):
    """Depthwise and pointwise convolution under the names of the module that holds them."""

    @staticmethod
    def add(module, i, o, stride, bias):
        module.depthwise = nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False)
        module.pointwise = conv(i, o, 1, bias=bias)


class Main(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(i)
        Separable.add(self, i, o, stride, False)
        self.bn2, self.conv = nn.BatchNorm2d(o), conv(o, o, 3)

    def forward(self, x):
        x = self.pointwise(self.depthwise(F.relu(self.bn1(x))))
        return self.conv(F.relu(self.bn2(x)))


class StemMain(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.conv1, self.bn, self.conv2 = conv(1, o, 3), nn.BatchNorm2d(o), conv(o, o, 3)

    def forward(self, x):
        return self.conv2(F.relu(self.bn(self.conv1(x))))


class Skip(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv, self.bn = conv(i, o, 1, stride), nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn(self.conv(x))


class Branch(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.conv, self.bn = conv(c, c, 3, 1, dilation), nn.BatchNorm2d(c)

    def forward(self, x):
        return self.bn(self.conv(x))


class Aspp(nn.Module):
    def __init__(self, c):
        super().__init__()
        for n, dilation in enumerate(DILATIONS):
            self.add_module(str(n), Branch(c, dilation))
        self.out = conv(c, c, 1, bias=True)

    def forward(self, x):
        return self.out(sum(self.get_submodule(str(n))(x) for n in range(len(DILATIONS))))


class Combine(nn.Module):
    def __init__(self, s, c):
        super().__init__()
        self.classifier, self.merge = conv(c, c, 1, bias=True), conv(s + c, s, 1, bias=True)
        Separable.add(self, s, s, 1, True)

    def forward(self, s, c):
        x = self.merge(torch.cat([s, self.classifier(c)], 1))
        return self.pointwise(self.depthwise(x))


class Block(nn.Module):
    def __init__(self, i, o, stride=1, combine=None, aspp=False, out=False):
        super().__init__()
        self.main = StemMain(o) if i == 1 else Main(i, o, stride)
        self.skip = Skip(i, o, stride)
        if combine is not None:
            self.combine = Combine(o, combine)
        if aspp:
            self.aspp = Aspp(o)
        if out:
            self.out = conv(o, 1, 1, bias=True)

    def unit(self, x):
        return self.main(x) + self.skip(x)


class Segmenter(nn.Module):
    def __init__(self, w, c):
        super().__init__()
        self.s1 = Block(1, w)
        self.s2 = Block(w, 2 * w, 2, c)
        self.s3 = Block(2 * w, 4 * w, 2, 4 * c)
        self.s4 = Block(4 * w, 8 * w, 2, 8 * c)
        self.s5 = Block(8 * w, 16 * w, 2, 16 * c, aspp=True)
        self.s6 = Block(24 * w, 8 * w)
        self.s7 = Block(12 * w, 4 * w)
        self.s8 = Block(6 * w, 2 * w)
        self.s9 = Block(3 * w, w, aspp=True, out=True)

    def forward(self, x, features):
        x = self.s1.unit(x)
        skips = []
        for block, feature in zip([self.s2, self.s3, self.s4, self.s5], features):
            skips.append(x)
            x = block.combine(block.unit(x), feature)
        x = self.s5.aspp(x)
        for block in [self.s6, self.s7, self.s8, self.s9]:
            up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block.unit(torch.cat([up, skips.pop()], 1))
        return self.s9.out(self.s9.aspp(x))


class Std(nn.Module):
    """Soft threshold dynamics; parameters before softplus."""

    def __init__(self, steps=10, radius=5):
        super().__init__()
        self.sigma, self.l2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.steps, self.radius = steps, radius

    def forward(self, u, c):
        sigma, l2 = F.softplus(self.sigma), F.softplus(self.l2)
        at = torch.arange(-self.radius, self.radius + 1)
        g = torch.exp(-(at**2) / (2 * sigma**2))
        kernel = torch.outer(g, g) / g.sum() ** 2
        x = torch.sigmoid(u)
        for _ in range(self.steps):
            z = F.pad(1 - 2 * x, [self.radius] * 4, mode="replicate")
            v = u - F.conv2d(z, kernel[None, None]) - l2 * (1 - c)[:, None, None, None]
            x = torch.sigmoid(v)
        return v


class Proposed(nn.Module):
    def __init__(self, width=WIDTH, classifier_width=CLASSIFIER_WIDTH):
        super().__init__()
        self.classifier, self.segmenter = ResNet(classifier_width), Segmenter(width, classifier_width)
        self.std = Std()

    def forward(self, x, std):
        features, score = self.classifier(x)
        u = self.segmenter(x, features)
        if not std:
            return u, score
        return self.std(u, torch.sigmoid(score).detach()), score


def fill(net):
    """Sets every parameter and running statistic by its place in the order of names."""
    named = dict(net.named_parameters()) | dict(net.named_buffers())
    names = sorted(name for name in named if not name.endswith("num_batches_tracked"))
    with torch.no_grad():
        for seed, name in enumerate(names):
            t = named[name]
            x = numbers(seed, t.numel())
            if name.endswith("running_var") or t.dim() == 1 and name.endswith(".weight"):
                x = 1 + x / 2
            elif t.dim() > 1:
                x = x * np.float32(np.sqrt(3 / np.prod(t.shape[1:])))
            else:
                x = x / 2
            t.copy_(torch.from_numpy(np.asarray(x, dtype=np.float32).astype(np.float64)).reshape(t.shape))
    return names


def loss(logits, score, mask, nodule):
    x = torch.sigmoid(logits)
    both, either = (x * mask).sum((1, 2, 3)), (x + mask).sum((1, 2, 3))
    dice = (1 - (2 * both + 1) / (either + 1)).mean()
    return (
        F.binary_cross_entropy_with_logits(logits, mask) + dice
        + F.binary_cross_entropy_with_logits(score, nodule)
    )


def main():
    torch.set_default_dtype(torch.float64)
    image = torch.from_numpy(numbers(1000, BATCH * SIZE**2).reshape(BATCH, 1, SIZE, SIZE) / 2 + 0.5)
    at = torch.arange(SIZE)
    mask = torch.stack([
        ((at[:, None] - 20 - 5 * n) ** 2 + (at[None, :] - 40 + 6 * n) ** 2 < (4 * n) ** 2)[None]
        for n in range(BATCH)
    ]).double()
    nodule = torch.tensor([0.0, 1.0, 1.0])
    found = {}
    for name, std in [("plain", False), ("std_prior", True)]:
        net = Proposed()
        names = fill(net)
        net.eval()
        with torch.no_grad():
            u, score = net(image, std)
        case = {
            "evaluation": {"logits": u.flatten()[::397].tolist(), "scores": score.tolist()},
        }
        net.train()
        u, score = net(image, std)
        value = loss(u, score, mask, nodule)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-8)
        value.backward()
        case["training"] = {
            "logits": u.detach().flatten()[::397].tolist(),
            "scores": score.tolist(),
            "loss": value.item(),
            # Norm, and product with the same numbers each time.
            "gradients": {
                k: [p.grad.norm().item(), (p.grad.flatten() @ torch.from_numpy(numbers(7, p.numel()))).item()]
                for k, p in sorted(net.named_parameters()) if p.grad is not None
            },
        }
        optimiser.step()
        state = net.state_dict()
        case["after_a_step"] = {
            k: state[k].flatten()[0].item()
            for k in ["classifier.bn1.running_mean", "classifier.bn1.running_var",
                      "classifier.fc.bias", "segmenter.s9.out.weight", "segmenter.s5.aspp.2.bn.running_var"]
        }
        found[name] = case
    shapes = {k: list(v.shape) for k, v in sorted(net.state_dict().items()) if not k.endswith("num_batches_tracked")}
    rounded = json.loads(json.dumps(found), parse_float=lambda v: float(f"{float(v):.7g}"))
    print(json.dumps({"parameters": shapes, **rounded}))


if __name__ == "__main__":
    main()
