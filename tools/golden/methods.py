"""What each method of src/objectives computes for a batch, written from its formula in PyTorch.

A method is a function of a Batch that returns a Result; gradients are PyTorch's own. Nothing here is shared with
the engine's headers, so that the two can disagree.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F


@dataclass
class Batch:
    logits: torch.Tensor  # [views, batch, classes], with a gradient
    mask: torch.Tensor  # bool [batch, classes]: the candidates
    row: torch.Tensor  # [batch, classes]
    kept: torch.Tensor  # [batch, kept rows, classes]
    labels: torch.Tensor  # [batch], -1: unknown
    values: torch.Tensor  # [classes]
    keys: dict
    weight: float  # the step's first scalar
    compute: str  # "any", "f32" or "f64"

    @property
    def log_p(self):
        return F.log_softmax(self.logits, dim=2)

    @property
    def classes(self):
        return self.mask.shape[1]

    @property
    def pairs(self):
        """[batch, classes], 1 where the class is no candidate."""
        return (~self.mask).to(self.row.dtype)


@dataclass
class Result:
    """The new row is the softmax of `score` over `member`; None: of the weak view over the candidates."""

    total: torch.Tensor  # [batch], or the batch's loss
    supervised: torch.Tensor = None
    consistency: torch.Tensor = None
    member: torch.Tensor = None
    score: torch.Tensor = None
    kept: list = field(default_factory=list)  # of [batch, classes]
    measured: list = field(default_factory=list)  # means over the batch


MARGIN = {
    ("published", "any"): 2.0**-23,
    ("article", "f64"): 1e-6,
    ("article", "f32"): float(np.float32(1 + 1e-6)) - 1,
}


def plcr(b):
    batch, classes = b.mask.shape
    # 1 - p without cancellation
    others = F.softmax(b.logits[0], dim=1) @ (1 - torch.eye(classes, dtype=b.row.dtype))
    margin = MARGIN[b.keys["variant"], b.compute]
    supervised = -torch.log(margin + others).masked_fill(b.mask, 0).sum(1)
    consistency = (torch.xlogy(b.row, b.row) - torch.where(b.row > 0, b.row * b.log_p, 0)).sum((0, 2))
    return Result(b.weight * consistency + supervised, supervised, consistency, b.mask, b.log_p.detach().mean(0))


def to_row(b):
    return -torch.where(b.row > 0, b.row * b.log_p, 0).sum(2).mean(0)


def proden(b):
    return Result(to_row(b), member=b.row > 0 if b.keys["variant"] == "published" else b.mask)


def pop(b):
    return Result(to_row(b), member=b.row > 0)


def cross_entropy(b):
    truth = F.one_hot(b.labels.clamp(min=0), b.classes) * (b.labels >= 0)[:, None]
    return Result(-(truth * b.log_p).sum(2).mean(0))


def lws(b):
    w = b.kept[:, 0]
    loss = torch.where(b.mask, w * torch.sigmoid(-b.logits), b.keys["beta"] * w * torch.sigmoid(b.logits))
    weak = b.logits.detach()[0]
    on = torch.softmax(weak.masked_fill(~b.mask, -torch.inf), dim=1)
    off = torch.nan_to_num(torch.softmax(weak.masked_fill(b.mask, -torch.inf), dim=1), nan=0.0)
    return Result(loss.sum(2).mean(0), kept=[on + off])


def complementary_risk(b):
    """[classes]: the parts of the risk, by the means over the pairs of each class."""
    loss = -b.log_p.mean(0)  # [batch, classes]
    counts = b.pairs.sum(0)
    parts = torch.zeros(b.classes, dtype=b.row.dtype)
    for y in range(b.classes):
        if counts[y] == 0:
            continue
        mean = loss[b.pairs[:, y] == 1].mean(0)
        parts = parts + (b.values[y] if b.keys["variant"] == "article" else b.values) * mean
        own = torch.zeros(b.classes, dtype=b.row.dtype)
        own[y] = 1
        parts = parts - own * (b.classes - 1) * b.values[y] * mean[y]
    return parts, counts


def nn(b):
    parts, _ = complementary_risk(b)
    return Result(torch.clamp(parts, min=-b.keys["beta"]).sum(), measured=[parts.detach().sum()])


def ga(b):
    parts, counts = complementary_risk(b)
    weight = counts if b.keys["variant"] == "published" else torch.ones_like(counts)
    loss = parts.sum()
    if bool((parts < 0).any()):
        loss = -torch.clamp(parts * weight, max=0).sum()
    return Result(loss, measured=[parts.detach().sum()])


METHODS = {
    "plcr": plcr,
    "proden": proden,
    "pop": pop,
    "cross_entropy": cross_entropy,
    "lws": lws,
    "nn": nn,
    "ga": ga,
}
KEPT_ROWS = {"lws": 1}
CLASS_VALUES = {"nn", "ga"}
