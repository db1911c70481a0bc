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
    teacher: torch.Tensor = None  # [views, batch, classes], logits

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


def on_candidates(b):
    """norm_S of the weak view, without a gradient."""
    return torch.softmax(b.logits.detach()[0].masked_fill(~b.mask, -torch.inf), dim=1)


def complements(b):
    """1 - p, without cancellation."""
    return F.softmax(b.logits, dim=2) @ (1 - torch.eye(b.classes, dtype=b.row.dtype))


def log_complements(b):
    """log(1 - p_k), as the log-sum-exp over the other classes."""
    others = [torch.logsumexp(torch.cat([b.log_p[..., :k], b.log_p[..., k + 1 :]], 2), 2) for k in range(b.classes)]
    return torch.stack(others, 2)


def cc(b):
    return Result(-torch.logsumexp(b.log_p.masked_fill(~b.mask, -torch.inf), 2).mean(0))


def rc(b):
    return Result(to_row(b))


def label_losses(b, kind):
    """[views, batch, classes]: the loss if class j were the label."""
    p = b.log_p.exp()
    if kind in ("mae", "mse"):
        # An explicit sum over the entries of e_j - p; 1 - p_j as the sum of the others.
        own, others = complements(b), p[..., None, :].expand(*p.shape, b.classes)
        apart = ~torch.eye(b.classes, dtype=torch.bool)
        power = 1 if kind == "mae" else 2
        return own**power + (others**power * apart).sum(3)
    if kind == "gce":
        return -torch.expm1(b.keys["q"] * b.log_p) / b.keys["q"]
    if kind == "phuber":
        bound = b.keys["truncation"]
        return torch.where(p > bound, -b.log_p, -np.log(bound) - p / bound + 1)
    return -b.log_p


def average(kind):
    def loss(b):
        return Result((label_losses(b, kind) * b.mask).sum(2).mean(0) / b.mask.sum(1))

    return loss


def multiple_complementary(kind):
    def loss(b):
        loss, size = label_losses(b, kind), b.mask.sum(1).to(b.row.dtype)
        complementary = b.classes - size
        inside, outside = (loss * b.mask).sum(2), (loss * ~b.mask).sum(2)
        defined = complementary > 0
        if b.keys.get("variant", "article") == "published":
            total = inside - (size - 1) / torch.where(defined, complementary * outside + 1e-20, 1)
        else:
            total = inside - (size - 1) / complementary.clamp(min=1) * outside
        return Result(torch.where(defined, total, 0).mean(0), measured=[(~defined).double().mean()])

    return loss


def bounded(bound):
    def loss(b):
        log_mass = torch.logsumexp(b.log_p.masked_fill(~b.mask, -torch.inf), 2)
        complementary = b.classes - b.mask.sum(1)
        total = bound(log_mass) * (b.classes - 1) / complementary.clamp(min=1)
        defined = complementary > 0
        return Result(torch.where(defined, total, 0).mean(0), measured=[(~defined).double().mean()])

    return loss


def mean_over_pairs(b, loss):
    """loss: [views, batch, classes], of which the batch's pairs count."""
    if b.pairs.sum() == 0:
        return Result((0 * b.logits).sum())
    return Result(loss.mean(0)[b.pairs == 1].mean())


def scl_nl(b):
    if b.keys["variant"] == "published":
        return mean_over_pairs(b, -torch.log(complements(b) + 1e-6))
    return mean_over_pairs(b, -log_complements(b))


def scl_exp(b):
    return mean_over_pairs(b, torch.exp(b.log_p.exp()))


def forward(b):
    if float(b.logits.detach().abs().max()) > 20:  # where 1 - p cancels
        return mean_over_pairs(b, -(log_complements(b) - np.log(b.classes - 1)))
    matrix = (1 - torch.eye(b.classes, dtype=b.row.dtype)) / (b.classes - 1)
    return mean_over_pairs(b, -torch.log(b.log_p.exp() @ matrix))


def l_w(b):
    q = F.log_softmax(1 - b.log_p.exp(), 2)
    return mean_over_pairs(b, -q - complements(b) / (b.classes - 1) * q)


def op_w(b):
    a, reverse = F.softmax(b.logits, 2) + 1e-18, F.softmax(-b.logits, 2) + 1e-18
    weight = a * F.softmax(1 / reverse + 1, 2) + 1e-6
    return mean_over_pairs(b, -weight * torch.log(reverse))


def pc(b):
    gaps = b.logits[..., :, None] - b.logits[..., None, :]
    k = b.classes
    return mean_over_pairs(b, (k - 1) * torch.sigmoid(gaps).sum(3) - k * (k - 1) / 2 + k - 1)


def scarce(b):
    zero = torch.zeros_like(b.logits)  # softplus() would leave out what is below exp(-20)
    positive, negative = torch.logaddexp(zero, -b.logits).mean(0), torch.logaddexp(zero, b.logits).mean(0)
    share = 1 - 1 / b.classes
    loss = risk = 0
    for k in range(b.classes):
        pairs = b.pairs[:, k] == 1
        of_pairs = [share * x[pairs, k].mean() if pairs.any() else torch.zeros(()) for x in (negative, positive)]
        rest = positive[:, k].mean() - of_pairs[1]
        loss = loss + of_pairs[0] + rest.abs()
        risk = risk + (of_pairs[0] + rest).detach()
    return Result(loss, measured=[risk])


def lwc(b):
    w, beta = b.kept[:, 0], b.keys["beta"]
    if b.keys["variant"] == "published":
        inside, outside = torch.log(b.log_p.exp() + 1e-8), torch.log(complements(b) + 1e-8)
    else:
        inside, outside = b.log_p, log_complements(b)
    return Result(-(w * torch.where(b.mask, inside, beta * outside)).sum(2).mean(0), kept=lws(b).kept)


def cavl(b):
    weak = b.logits.detach()[0]
    value = weak * (1 - weak).abs()
    best = value.masked_fill(~b.mask, -torch.inf)
    label = (value * b.mask if b.keys["variant"] == "published" else best).argmax(1)
    label = F.one_hot(label, b.classes).to(b.row.dtype)
    loss = -(b.kept[:, 0] * b.log_p).sum(2).mean(0)
    member = F.one_hot(best.argmax(1), b.classes) == 1
    return Result(loss, member=member, score=torch.zeros_like(weak), kept=[label])


def corr(b):
    member = b.row > 0 if b.keys["variant"] == "published" else b.mask
    supervised = -torch.log(complements(b) + 1e-9).masked_fill(member, 0).sum((0, 2))
    consistency = (torch.xlogy(b.row, b.row) - torch.where(b.row > 0, b.row * b.log_p, 0)).sum((0, 2))
    return Result(supervised + consistency, supervised, consistency, member, b.log_p.detach().mean(0))


def ill(b):
    supervised = -torch.log(2.0**-23 + complements(b)[0]).masked_fill(b.mask, 0).sum(1)
    target = on_candidates(b)
    consistency = -torch.where(target > 0, target * b.log_p, 0).sum(2).mean(0)
    balance = -b.log_p[0].exp().mean(0).clamp(min=1e-6).log().mean()
    return Result(supervised + consistency + b.keys["balance"] * balance, supervised, consistency)


def fredis(b):
    """Kept rows: the posterior; the first set, as 1, or as 2 where the sets have changed since the last visit."""
    first, fresh = b.kept[:, 1] > 0.5, (b.kept[:, 1] > 1.5).any(1)
    target = b.row
    if b.keys["variant"] == "published":
        target = torch.where(fresh[:, None], b.row, b.kept[:, 0] * first / (b.kept[:, 0] * first).sum(1, keepdim=True))
    supervised = -torch.log(2.0**-23 + complements(b)).masked_fill(first, 0).sum(2).mean(0)
    consistency = (torch.xlogy(target, target) - torch.where(target > 0, target * b.log_p, 0)).sum(2).mean(0)
    total = b.keys["lambda"] * consistency + b.keys["alpha"] * supervised
    return Result(total, supervised, consistency, kept=[b.log_p.detach()[0].exp(), first.to(b.row.dtype)])


def dirk(b):
    q = F.softmax(b.teacher, dim=2)
    on, off = q * b.mask, q * ~b.mask
    # Normalised by log-softmax over the members, so that nothing underflows.
    log_q = F.log_softmax(b.teacher, dim=2)
    inside = torch.softmax(log_q.masked_fill(~b.mask, -torch.inf), dim=2)
    outside = torch.nan_to_num(torch.softmax(log_q.masked_fill(b.mask, -torch.inf), dim=2), nan=0.0)
    if b.keys["variant"] == "published":
        mass = off.sum(2, keepdim=True)
        outside = outside * mass / (mass + 1e-20)
    most = outside.max(2).values
    if b.keys["variant"] == "published":  # as it is written there
        scale = 1 / on.sum(2)
        least = (inside + (~b.mask)).min(2).values
        share = scale * most / (scale * most + least)
    else:
        share = most / (most + torch.where(b.mask, q, 2.0).min(2).values)
    share = torch.where(most == 0, 1.0, share).unsqueeze(2)
    label = (share * inside + (1 - share) * outside).detach()
    return Result(-torch.where(label > 0, label * b.log_p, 0).sum(2).mean(0))


METHODS = {
    "plcr": plcr,
    "proden": proden,
    "dirk": dirk,
    "pop": pop,
    "cross_entropy": cross_entropy,
    "lws": lws,
    "nn": nn,
    "ga": ga,
    "cc": cc,
    "rc": rc,
    "abs_mae": average("mae"),
    "abs_mse": average("mse"),
    "abs_gce": average("gce"),
    "abs_phuber": average("phuber"),
    "abs_cce": average("cce"),
    "exp": bounded(lambda log_mass: torch.exp(-torch.exp(log_mass))),
    "mcl_log": bounded(lambda log_mass: -log_mass),
    "mcl_mae": multiple_complementary("mae"),
    "mcl_mse": multiple_complementary("mse"),
    "mcl_gce": multiple_complementary("gce"),
    "mcl_phuber": multiple_complementary("phuber"),
    "scl_nl": scl_nl,
    "scl_exp": scl_exp,
    "forward": forward,
    "lwc": lwc,
    "cavl": cavl,
    "corr": corr,
    "ill": ill,
    "l_w": l_w,
    "op_w": op_w,
    "pc": pc,
    "scarce": scarce,
    "fredis": fredis,
}
KEPT_ROWS = {"lws": 1, "lwc": 1, "cavl": 1, "fredis": 2}
CLASS_VALUES = {"nn", "ga"}
TEACHERS = {"dirk"}
