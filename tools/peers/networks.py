"""The two networks of the method as PyTorch modules, with the parameter names of the published ones, so that
`load_state_dict(load_file("model.safetensors"), strict=True)` accepts what the engine writes.

Needs PyPI: torch (2.15.0 tried).
"""

import math
import re

import torch
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Pre-activation block: BN-ReLU-conv3x3-BN-ReLU-dropout-conv3x3 plus a shortcut.

    Where the width changes, both the first convolution and the 1x1 shortcut read the activated input;
    elsewhere the shortcut is the raw input.
    """

    def __init__(self, in_planes, out_planes, stride, dropout):
        super().__init__()
        self.equal = in_planes == out_planes
        self.dropout = dropout
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, out_planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_planes)
        self.conv2 = nn.Conv2d(out_planes, out_planes, 3, 1, 1, bias=False)
        if not self.equal:
            self.convShortcut = nn.Conv2d(in_planes, out_planes, 1, stride, 0, bias=False)

    def forward(self, x):
        a = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.equal else self.convShortcut(a)
        h = F.relu(self.bn2(self.conv1(a)), inplace=True)
        if self.dropout > 0:
            h = F.dropout(h, self.dropout, self.training)
        return shortcut + self.conv2(h)


class Group(nn.Module):
    """Blocks of one width; the first one changes width and resolution."""

    def __init__(self, blocks, in_planes, out_planes, stride, dropout):
        super().__init__()
        self.layer = nn.Sequential(
            *(
                BasicBlock(in_planes if i == 0 else out_planes, out_planes, stride if i == 0 else 1, dropout)
                for i in range(blocks)
            )
        )

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    """WRN-depth-width (Zagoruyko & Komodakis 2016); depth = 6n + 4, global average over the last map."""

    def __init__(self, depth, width, classes, in_channels=3, dropout=0.0):
        super().__init__()
        if depth < 10 or (depth - 4) % 6 != 0:
            raise ValueError(f"depth is {depth}, must be 6n + 4 with n >= 1")
        blocks = (depth - 4) // 6
        planes = [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(in_channels, planes[0], 3, 1, 1, bias=False)
        self.block1 = Group(blocks, planes[0], planes[1], 1, dropout)
        self.block2 = Group(blocks, planes[1], planes[2], 2, dropout)
        self.block3 = Group(blocks, planes[2], planes[3], 2, dropout)
        self.bn1 = nn.BatchNorm2d(planes[3])
        self.fc = nn.Linear(planes[3], classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        h = self.block3(self.block2(self.block1(self.conv1(x))))
        h = F.relu(self.bn1(h), inplace=True)
        return self.fc(h.mean(dim=(2, 3)))


class LeNet(nn.Module):
    """Two stages of conv5x5-BN-ReLU-maxpool2, then two linear layers; framework-default initial values."""

    def __init__(self, classes=10, in_channels=1, size=28):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, 20, 5, 1, 2),
            nn.BatchNorm2d(20),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5, 1, 2),
            nn.BatchNorm2d(50),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.linear = nn.Sequential(
            nn.Linear(50 * (size // 4) ** 2, 500),
            nn.BatchNorm1d(500),
            nn.ReLU(inplace=True),
        )
        self.last = nn.Linear(500, classes)

    def forward(self, x):
        return self.last(self.linear(torch.flatten(self.conv(x), 1)))


def check_name(name):
    """'lenet' or 'wrn-DEPTH-WIDTH' -> None or (depth, width). ValueError, one line, of any other name."""
    if name == "lenet":
        return None
    numbers = re.fullmatch(r"wrn-(\d+)-([1-9]\d*)", name)
    if not numbers:
        raise ValueError(f"network is '{name}', must be lenet or wrn-DEPTH-WIDTH")
    depth, width = int(numbers[1]), int(numbers[2])
    if depth < 10 or (depth - 4) % 6 != 0:
        raise ValueError(f"network is '{name}': depth must be 6n + 4 with n >= 1")
    return depth, width


def parse_network(name, classes, in_channels, size, dropout=0.0):
    """'lenet' or 'wrn-DEPTH-WIDTH' -> module."""
    shape = check_name(name)
    if shape is None:
        return LeNet(classes, in_channels, size)
    return WideResNet(*shape, classes, in_channels, dropout)


def parameter_count(module):
    return sum(math.prod(p.shape) for p in module.parameters())
