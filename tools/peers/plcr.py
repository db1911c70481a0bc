"""The PLCR objective and one training step (Wu, Wang, Zhang, "Revisiting Consistency Regularization for Deep
Partial Label Learning", ICML 2022, equations 3 to 8), as PyTorch users write it.

Needs PyPI: torch (2.15.0 tried).
"""

import torch
from torch import nn
from torch.nn import functional as F

# The constant inside the supervised logarithm; both variants of the engine's objective.
OFFSET = {"article": 1 + 1e-6, "published": 1 + 2.0**-23}


def initial_targets(candidates, dtype=torch.float32):
    """candidates: bool [N, classes] -> uniform over each sample's candidates."""
    mask = candidates.to(dtype)
    return mask / mask.sum(dim=1, keepdim=True)


def supervised_loss(log_p_weak, candidates, offset):
    """-(1/B) sum over non-candidates of log(offset - p), weak view only."""
    terms = torch.log(offset - log_p_weak.exp())
    return -terms.masked_fill(candidates, 0).sum() / len(log_p_weak)


def consistency_loss(log_p, targets):
    """(1/B) sum_i KL(t_i || p_i) of one view; zero target entries contribute 0."""
    return (torch.xlogy(targets, targets) - targets * log_p).sum() / len(log_p)


@torch.no_grad()
def new_targets(log_ps, candidates):
    """normalise(S * geometric mean over the views): softmax over S of the mean log-probability."""
    mean = sum(log_ps) / len(log_ps)
    return torch.softmax(mean.masked_fill(~candidates, -torch.inf), dim=1)


class PerViewBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of a batch that holds `views` views one after the other, each with its own statistics."""

    views = 1

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        return torch.cat([nn.BatchNorm2d.forward(self, part) for part in x.chunk(self.views)])


class PerViewBatchNorm1d(nn.BatchNorm1d):
    views = 1

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        return torch.cat([nn.BatchNorm1d.forward(self, part) for part in x.chunk(self.views)])


def use_per_view_batch_norm(module, views):
    """Makes every batch norm of `module` split its batch into `views` (in place; parameters unchanged)."""
    per_view = {nn.BatchNorm2d: PerViewBatchNorm2d, nn.BatchNorm1d: PerViewBatchNorm1d}
    for m in module.modules():
        if type(m) in per_view:
            m.__class__ = per_view[type(m)]
            m.views = views


SCHEDULES = ("three_forwards", "alternating", "merged")


def log_probabilities(logits, targets):
    return F.log_softmax(logits.to(targets.dtype), dim=1)


def plcr_loss(network, views, candidates, targets, weight, offset):
    """(total loss, supervised, consistency, log-probabilities of each view) of a batch. views: a list of V tensors
    [B, C, H, W], which go through the network one after the other, or one tensor [V * B, C, H, W], which goes
    through it at once. candidates: bool [B, classes]; targets: [B, classes], in whose type the loss is computed."""
    if isinstance(views, torch.Tensor):
        log_ps = log_probabilities(network(views), targets).chunk(len(views) // len(targets))
    else:
        log_ps = [log_probabilities(network(x), targets) for x in views]
    supervised = supervised_loss(log_ps[0], candidates, offset)
    consistency = sum(consistency_loss(log_p, targets) for log_p in log_ps)
    return weight * consistency + supervised, supervised, consistency, log_ps


def plcr_step(network, optimizer, views, candidates, targets, weight, offset, schedule="three_forwards"):
    """One step on a batch; arguments as of plcr_loss, weak view first.

    Every view sees its own batch-norm statistics in every schedule:
      three_forwards  a forward per view, then one backward of the summed loss (the published recipe)
      alternating     forward and backward view by view; the gradients add up (less memory in flight)
      merged          one forward and backward of all views, a single tensor; needs use_per_view_batch_norm
    Returns (supervised, consistency, new targets); the losses as tensors without gradient.
    """
    optimizer.zero_grad(set_to_none=True)
    if schedule == "alternating":
        log_ps, supervised, consistency = [], None, 0
        for x in views:
            log_p = log_probabilities(network(x), targets)
            con = consistency_loss(log_p, targets)
            loss = weight * con
            if supervised is None:
                supervised = supervised_loss(log_p, candidates, offset)
                loss = loss + supervised
            loss.backward()
            consistency = consistency + con.detach()
            log_ps.append(log_p)
    else:
        total, supervised, consistency, log_ps = plcr_loss(network, views, candidates, targets, weight, offset)
        total.backward()
    optimizer.step()
    return supervised.detach(), consistency.detach(), new_targets([p.detach() for p in log_ps], candidates)
