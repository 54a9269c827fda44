"""The proposed network in PyTorch, with the same parameter names.

Written from the paper's description (arXiv 2410.20154) and torchvision's names, not from the Rust code.
"""

import torch
import torch.nn.functional as F
from torch import nn

DILATIONS = [1, 5, 10, 15]


def conv(i, o, k, stride=1, dilation=1, bias=False):
    return nn.Conv2d(i, o, k, stride, dilation * (k // 2), dilation, bias=bias)


class Bottleneck(nn.Module):
    def __init__(self, i, width, stride, dilation=1):
        super().__init__()
        self.conv1, self.bn1 = conv(i, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride, dilation), nn.BatchNorm2d(width)
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
    """ResNet-50's features; `dilated` stands for stride 16, by torchvision's replace_stride_with_dilation."""

    def __init__(self, w, dilated=False, slices=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(slices, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w)
        i = w
        for n, (depth, stride) in enumerate([(3, 1), (4, 2), (6, 2), (3, 1 if dilated else 2)]):
            blocks = []
            for b in range(depth):
                dilation = 2 if dilated and n == 3 and b > 0 else 1
                blocks.append(Bottleneck(i, w << n, stride if b == 0 else 1, dilation))
                i = 4 * (w << n)
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))

    def features(self, x):
        c1 = F.relu(self.bn1(self.conv1(x)))
        c2 = self.layer1(F.max_pool2d(c1, 3, 2, 1))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return [c1, c2, c3, c4], self.layer4(c4)


class Classifier(ResNet):
    def __init__(self, w, slices=1):
        super().__init__(w, slices=slices)
        self.fc = nn.Linear(32 * w, 1)

    def forward(self, x):
        blocks, last = self.features(x)
        return blocks, self.fc(last.mean((2, 3))).squeeze(1)


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
    def __init__(self, o, slices=1):
        super().__init__()
        self.conv1, self.bn, self.conv2 = conv(slices, o, 3), nn.BatchNorm2d(o), conv(o, o, 3)

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
    def __init__(self, i, o, stride=1, combine=0, aspp=False, out=False, stem=False):
        super().__init__()
        self.main = StemMain(o, i) if stem else Main(i, o, stride)
        self.skip = Skip(i, o, stride)
        if combine:
            self.combine = Combine(o, combine)
        if aspp:
            self.aspp = Aspp(o)
        if out:
            self.out = conv(o, 1, 1, bias=True)

    def unit(self, x):
        return self.main(x) + self.skip(x)


class Segmenter(nn.Module):
    def __init__(self, w, c, combination, slices):
        super().__init__()
        self.s1 = Block(slices, w, stem=True)
        self.s2 = Block(w, 2 * w, 2, combination and c)
        self.s3 = Block(2 * w, 4 * w, 2, combination and 4 * c)
        self.s4 = Block(4 * w, 8 * w, 2, combination and 8 * c)
        self.s5 = Block(8 * w, 16 * w, 2, combination and 16 * c, aspp=True)
        self.s6 = Block(24 * w, 8 * w)
        self.s7 = Block(12 * w, 4 * w)
        self.s8 = Block(6 * w, 2 * w)
        self.s9 = Block(3 * w, w, aspp=True, out=True)

    def forward(self, x, features):
        x = self.s1.unit(x)
        skips = []
        for block, feature in zip([self.s2, self.s3, self.s4, self.s5], features):
            skips.append(x)
            x = block.unit(x)
            if hasattr(block, "combine"):
                x = block.combine(x, feature)
        x = self.s5.aspp(x)
        for block in [self.s6, self.s7, self.s8, self.s9]:
            up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block.unit(torch.cat([up, skips.pop()], 1))
        return self.s9.out(self.s9.aspp(x))


class Std(nn.Module):
    """Soft threshold dynamics; parameters before softplus."""

    def __init__(self, prior, learns_boundary, steps=10, radius=5):
        super().__init__()
        self.sigma = nn.Parameter(torch.zeros(1))
        self.l1 = nn.Parameter(torch.zeros(1)) if learns_boundary else None
        self.l2 = nn.Parameter(torch.zeros(1)) if prior else None
        self.steps, self.radius = steps, radius

    def forward(self, u, c):
        sigma = F.softplus(self.sigma)
        l1 = 1 if self.l1 is None else F.softplus(self.l1)
        l2 = 0 if self.l2 is None else F.softplus(self.l2)
        at = torch.arange(-self.radius, self.radius + 1)
        g = torch.exp(-(at**2) / (2 * sigma**2))
        kernel = torch.outer(g, g) / g.sum() ** 2
        x = torch.sigmoid(u)
        for _ in range(self.steps):
            z = F.pad(1 - 2 * x, [self.radius] * 4, mode="replicate")
            v = u - l1 * F.conv2d(z, kernel[None, None]) - l2 * (1 - c)[:, None, None, None]
            x = torch.sigmoid(v)
        return v


class Proposed(nn.Module):
    """Returns the logits of pixels and images; `std` tells whether to use the threshold dynamics, if there are any."""

    def __init__(self, width, classifier_width, mode="std_prior", combination=True, input_slices=1,
                 std_learns_boundary=False):
        super().__init__()
        self.classifier = Classifier(classifier_width, input_slices)
        self.segmenter = Segmenter(width, classifier_width, combination, input_slices)
        self.std = None if mode == "none" else Std(mode == "std_prior", std_learns_boundary)

    def forward(self, x, std=True):
        features, score = self.classifier(x)
        u = self.segmenter(x, features)
        if not std or self.std is None:
            return u, score
        return self.std(u, torch.sigmoid(score).detach()), score
