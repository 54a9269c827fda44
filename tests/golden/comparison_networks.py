"""The networks that the proposed network is compared with, in PyTorch, with the same parameter names.

Written from the papers and, for ResUNet++, its authors' code; not from the Rust code. All return the logits of pixels, and
None for the logit of the image.
"""

import torch
import torch.nn.functional as F
from torch import nn

from proposed_network import ResNet, Skip, StemMain, conv


class Double(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class UNet(nn.Module):
    def __init__(self, width, input_slices=1):
        super().__init__()
        w = [width << n for n in range(5)]
        self.encoder = nn.ModuleList(Double(i, o) for i, o in zip([input_slices, *w], w))
        self.decoder = nn.ModuleList()
        for below, o in reversed(list(zip(w[1:], w))):
            block = Double(2 * o, o)
            block.up = nn.ConvTranspose2d(below, o, 2, 2)
            self.decoder.append(block)
        self.out = conv(width, 1, 1, bias=True)

    def forward(self, x):
        skips = []
        for n, block in enumerate(self.encoder):
            x = block(x if n == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for block in self.decoder:
            x = block(torch.cat([block.up(x), skips.pop()], 1))
        return self.out(x), None


class Main(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)

    def forward(self, x):
        x = self.conv1(F.relu(self.bn1(x)))
        return self.conv2(F.relu(self.bn2(x)))


class Excite(nn.Module):
    def __init__(self, c):
        super().__init__()
        inner = max(c // 8, 1)
        self.reduce, self.expand = conv(c, inner, 1), conv(inner, c, 1)

    def forward(self, x):
        s = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(s)


class Unit(nn.Module):
    """A residual unit; the first of a network if i is 1."""

    def __init__(self, i, o, stride=1, excite=False):
        super().__init__()
        self.main = StemMain(o) if i == 1 else Main(i, o, stride)
        self.skip = Skip(i, o, stride)
        self.excite = Excite(o) if excite else nn.Identity()

    def forward(self, x):
        return self.excite(self.main(x) + self.skip(x))


def nearest(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ResUNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        w = [width << n for n in range(4)]
        self.encoder = nn.ModuleList(Unit(i, o, 1 if i == 1 else 2) for i, o in zip([1, *w], w))
        self.decoder = nn.ModuleList(Unit(b + o, o) for b, o in reversed(list(zip(w[1:], w))))
        self.out = conv(width, 1, 1, bias=True)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        skips.pop()
        for block in self.decoder:
            x = block(torch.cat([nearest(x), skips.pop()], 1))
        return self.out(x), None


class Branch(nn.Module):
    def __init__(self, i, o, dilation):
        super().__init__()
        self.conv, self.bn = conv(i, o, 3, 1, dilation), nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn(self.conv(x))


class SummedAspp(nn.Module):
    def __init__(self, i, o, dilations):
        super().__init__()
        for n, dilation in enumerate(dilations):
            self.add_module(str(n), Branch(i, o, dilation))
        self.out = conv(o, o, 1, bias=True)
        self.n = len(dilations)

    def forward(self, x):
        return self.out(sum(self.get_submodule(str(n))(x) for n in range(self.n)))


class Activated(nn.Module):
    """Norm, ReLU, 3 x 3 convolution."""

    def __init__(self, i, o, bias=False):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(i), conv(i, o, 3, bias=bias)

    def forward(self, x):
        return self.conv(F.relu(self.bn(x)))


class Attention(nn.Module):
    def __init__(self, skip, below):
        super().__init__()
        self.skip, self.below = Activated(skip, below), Activated(below, below)
        self.both = Activated(below, below, True)

    def forward(self, skip, below):
        return below * self.both(F.max_pool2d(self.skip(skip), 2) + self.below(below))


class ResUNetPlusPlus(nn.Module):
    def __init__(self, width, dilations=(1, 6, 12, 18)):
        super().__init__()
        w = [width << n for n in range(5)]
        self.encoder = nn.ModuleList(
            Unit(i, o, 1 if i == 1 else 2, True) for i, o in zip([1, *w], w[:4]))
        self.bridge = SummedAspp(w[3], w[4], dilations)
        self.decoder = nn.ModuleList()
        for below, skip, o in [(w[4], w[2], w[3]), (w[3], w[1], w[2]), (w[2], w[0], w[1])]:
            unit = Unit(below + skip, o, 1, True)
            unit.attention = Attention(skip, below)
            self.decoder.append(unit)
        self.aspp = SummedAspp(w[1], w[0], dilations)
        self.out = conv(width, 1, 1, bias=True)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        skips.pop()
        x = self.bridge(x)
        for block in self.decoder:
            skip = skips.pop()
            x = block(torch.cat([nearest(block.attention(skip, x)), skip], 1))
        return self.out(self.aspp(x)), None


class Unified(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, i, o, k, dilation=1):
        super().__init__()
        self.conv, self.bn = conv(i, o, k, 1, dilation), nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Aspp(nn.Module):
    def __init__(self, i, o, dilations):
        super().__init__()
        branches = [Unified(i, o, 1)] + [Unified(i, o, 3, d) for d in dilations]
        self.branches = nn.ModuleList(branches)
        self.image = Unified(i, o, 1)
        self.out = Unified((len(branches) + 1) * o, o, 1)

    def forward(self, x):
        image = self.image(x.mean((2, 3), keepdim=True))
        found = [branch(x) for branch in self.branches] + [image.expand(-1, -1, *x.shape[2:])]
        return self.out(torch.cat(found, 1))


class DeepLabV3Plus(nn.Module):
    def __init__(self, width, dilations=(6, 12, 18)):
        super().__init__()
        o, low = 4 * width, 3 * width // 4
        self.backbone = ResNet(width, dilated=True)
        self.aspp = Aspp(32 * width, o, dilations)
        self.low = Unified(4 * width, low, 1)
        self.refine = nn.ModuleList([Unified(o + low, o, 3), Unified(o, o, 3)])
        self.out = conv(o, 1, 1, bias=True)

    def forward(self, x):
        def enlarge(x):
            return F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)

        blocks, last = self.backbone.features(x)
        x = torch.cat([enlarge(self.aspp(last)), self.low(blocks[1])], 1)
        for layer in self.refine:
            x = layer(x)
        return enlarge(self.out(x)), None
