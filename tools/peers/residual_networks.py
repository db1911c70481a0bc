"""Residual networks for small images and the perceptron as PyTorch modules, with the parameter names that are customary:
torchvision's ResNet (3x3 stem, no pooling behind it) with basic blocks, and the PreActResNet18 of kuangliu's pytorch-cifar.
`load_state_dict(load_file("model.safetensors"), strict=True)` accepts what the engine writes.

Needs PyPI: torch (2.15.0 tried).
"""

from torch import nn
from torch.nn import functional as F


class SubsampledIdentity(nn.Module):
    """Every second pixel, and zeros for the new channels, half of them on each side (He et al. 2016, option A)."""

    def __init__(self, in_planes, planes):
        super().__init__()
        self.new = planes - in_planes

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride, projection):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or in_planes != planes:
            if projection:
                conv = nn.Conv2d(in_planes, planes, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(planes))
            else:
                self.downsample = SubsampledIdentity(in_planes, planes)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class PreActBlock(nn.Module):
    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False))

    def forward(self, x):
        a = F.relu(self.bn1(x))
        shortcut = self.shortcut(a) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(a)))) + shortcut


def group(block, in_planes, planes, blocks, stride, *rest):
    return nn.Sequential(
        *(block(in_planes if i == 0 else planes, planes, stride if i == 0 else 1, *rest) for i in range(blocks))
    )


class ResNet(nn.Module):
    """Groups of `blocks` basic blocks; the number of channels doubles from group to group."""

    def __init__(self, groups, blocks, planes, classes, in_channels=3, projection=True):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, planes, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.layers = [f"layer{g + 1}" for g in range(groups)]
        for g, name in enumerate(self.layers):
            before = planes << max(g - 1, 0)
            setattr(self, name, group(BasicBlock, before, planes << g, blocks, 2 if g > 0 else 1, projection))
        self.fc = nn.Linear(planes << (groups - 1), classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for name in self.layers:
            x = getattr(self, name)(x)
        return self.fc(x.mean(dim=(2, 3)))


class PreActResNet18(nn.Module):
    def __init__(self, planes, classes, in_channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, planes, 3, 1, 1, bias=False)
        for g in range(4):
            before = planes << max(g - 1, 0)
            setattr(self, f"layer{g + 1}", group(PreActBlock, before, planes << g, 2, 2 if g > 0 else 1))
        self.linear = nn.Linear(planes << 3, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(x.mean(dim=(2, 3)))


class HiddenLayer(nn.Module):
    def __init__(self, inputs, units, batch_norm):
        super().__init__()
        self.linear = nn.Linear(inputs, units)
        if batch_norm:
            self.bn = nn.BatchNorm1d(units)

    def forward(self, x):
        x = self.linear(x)
        return F.relu(self.bn(x) if hasattr(self, "bn") else x)


class Mlp(nn.Module):
    def __init__(self, hidden, features, classes, batch_norm=True):
        super().__init__()
        widths = [features, *hidden]
        self.hidden = nn.Sequential(*(HiddenLayer(a, b, batch_norm) for a, b in zip(widths, widths[1:])))
        self.last = nn.Linear(widths[-1], classes)

    def forward(self, x):
        return self.last(self.hidden(x.flatten(1)))


def make(model, classes, in_channels, size):
    """The module that a [model] section of a configuration describes: its keys and values."""
    architecture = model["architecture"]
    if architecture == "resnet":
        projection = model.get("shortcut", "projection") == "projection"
        depth = int(model.get("depth", 32))
        return ResNet(3, (depth - 2) // 6, model.get("channels", 16), classes, in_channels, projection)
    if architecture == "resnet18":
        return ResNet(4, 2, model.get("channels", 64), classes, in_channels)
    if architecture == "preact_resnet18":
        return PreActResNet18(model.get("channels", 64), classes, in_channels)
    if architecture == "mlp":
        features = in_channels * size * size
        return Mlp(model.get("hidden", [500]), features, classes, model.get("batch_norm", True))
    raise ValueError(f"no module for architecture '{architecture}'")
