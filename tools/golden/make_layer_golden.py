"""Golden values for every operation of dpll/ops/, from PyTorch in float64.

  python tools/golden/make_layer_golden.py tests/golden

writes preact_conv, bn_relu_pool, linear, pll_objective and sgd .safetensors. Activations lie as the engine's do,
[V*B, H, W, C]; weights as PyTorch's, [out, in, k, k]. Every case computes the same in float32 as well; the largest
deviation of each output from the float64 value is noted as a measure of what float32 can be asked for.

Inputs are exact in float32. They are drawn again, under the next name, until no value lies so close to a kink
(ReLU, maximum) that rounding decides on which side it falls.

Needs PyPI: torch (2.15.0), numpy (2.4.6).
"""

import sys
from pathlib import Path

import golden_file
import numpy as np
import torch
from golden_file import integers, pattern
from torch.nn import functional as F

KINK_MARGIN = 1e-4


class Kink(Exception):
    """An input lies too close to a point where the derivative jumps."""


def nchw(array, dtype):
    return torch.from_numpy(array).to(dtype).permute(0, 3, 1, 2)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).double().numpy()


def plain(tensor):
    return tensor.detach().double().numpy()


def refuse_kinks(z):
    if z.detach().abs().min() < KINK_MARGIN:
        raise Kink


def batch_norm_inputs(name, channels):
    return {
        "gamma": 1 + pattern(name + "/gamma", [channels]) / 2,
        "beta": pattern(name + "/beta", [channels]) / 4,
        "running_mean": pattern(name + "/running_mean", [channels]) / 2,
        "running_var": 1 + pattern(name + "/running_var", [channels]) / 2,
    }


class BatchNorm:
    """Per-view batch norm with the inputs of a case, PyTorch doing the arithmetic."""

    def __init__(self, case, inputs, dtype):
        self.views = case["views"]
        self.train = case["mode"] == "train"
        self.gamma = torch.from_numpy(inputs["gamma"]).to(dtype).requires_grad_()
        self.beta = torch.from_numpy(inputs["beta"]).to(dtype).requires_grad_()
        self.running_mean = torch.tensor(inputs["running_mean"], dtype=dtype)  # copies: updated in place
        self.running_var = torch.tensor(inputs["running_var"], dtype=dtype)

    def __call__(self, x):
        views = [
            F.batch_norm(part, self.running_mean, self.running_var, self.gamma, self.beta, self.train)
            for part in x.chunk(self.views)
        ]
        return torch.cat(views)

    def outputs(self):
        after = {"running_mean_after": plain(self.running_mean), "running_var_after": plain(self.running_var)}
        return after | {"d_gamma": plain(self.gamma.grad), "d_beta": plain(self.beta.grad)} if self.train else {}


def view_stats(x, views):
    """[V, 2, C]: mean and biased variance of every view of x [V*B, C, H, W] or [V*B, C]."""
    dims = [0, *range(2, x.dim())]
    return plain(
        torch.stack([torch.stack([p.mean(dims), p.var(dims, correction=0)]) for p in x.detach().chunk(views)])
    )


# ---- preact_conv ------------------------------------------------------------------------------------------------

PREACT_CONV = {
    # residual "input": the block's identity shortcut; backward adds to the gradient that arrives through it.
    "identity_block": {"in_channels": 4, "out_channels": 4, "residual": "input", "stats": True},
    "residual": {"in_channels": 3, "out_channels": 4, "residual": "other", "stats": True},
    "stride2": {"in_channels": 3, "out_channels": 4, "stride": 2, "stats": True},
    "stride2_even": {"in_channels": 3, "out_channels": 4, "stride": 2, "height": 4, "width": 6, "stats": True},
    "projection": {"in_channels": 3, "out_channels": 5, "projection": True, "stats": True},
    "projection_stride2": {"in_channels": 3, "out_channels": 5, "stride": 2, "projection": True, "stats": True},
    "kernel1": {"in_channels": 5, "out_channels": 3, "kernel": 1, "pad": 0},
    "stem": {"in_channels": 3, "out_channels": 4, "preact": False, "stats": True},
    "kernel5_bias": {"in_channels": 1, "out_channels": 5, "kernel": 5, "pad": 2, "height": 6, "width": 7,
                     "preact": False, "bias": True, "stats": True},
    "dropout": {"in_channels": 3, "out_channels": 4, "dropout": 0.25, "dropout_site": 5, "stats": True},
    "evaluation": {"in_channels": 3, "out_channels": 4, "mode": "eval", "residual": "other", "views": 1,
                   "batch": 3, "dropout": 0.25},
}  # fmt: skip
PREACT_CONV_DEFAULTS = {
    "mode": "train", "views": 3, "batch": 2, "height": 5, "width": 4, "kernel": 3, "stride": 1, "pad": 1,
    "preact": True, "dropout": 0.0, "dropout_site": 0, "bias": False, "projection": False, "residual": "none",
    "stats": False, "seed": 7, "epoch": 3, "first": 1, "order": [9, 4, 11, 2],
}  # fmt: skip


def philox4x32(key, counter):
    """Philox4x32-10 on arrays of 32-bit words held in 64 bits (Salmon et al. 2011)."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c = [np.asarray(word, dtype=np.uint64) for word in counter]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & low, (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(np.broadcast_arrays(*c))


def dropout_mask(case):
    """[V*B, H, W, C]: 0 where the contract of preact_conv drops, else 1 / (1 - p)."""
    shape = [case["height"], case["width"], case["in_channels"]]
    count = int(np.prod(shape))
    element = np.arange(count, dtype=np.uint64)
    block = (np.uint64(case["dropout_site"]) << np.uint64(20)) + element // np.uint64(4)
    rows = []
    purpose_dropout = 4
    for view in range(case["views"]):
        for r in range(case["batch"]):
            sample = case["order"][case["first"] + r]
            draws = philox4x32(case["seed"], (block, sample, case["epoch"], purpose_dropout | view << 16))
            word = draws[(element % np.uint64(4)).astype(np.int64), np.arange(count)]
            keep = (word >> np.uint64(8)).astype(np.float64) * 2.0**-24 >= case["dropout"]
            rows.append(np.where(keep, 1 / (1 - case["dropout"]), 0.0).reshape(shape))
    return np.stack(rows)


def preact_conv_inputs(name, case):
    rows, cin, cout = case["views"] * case["batch"], case["in_channels"], case["out_channels"]
    k, s, pad = case["kernel"], case["stride"], case["pad"]
    out = [rows, (case["height"] + 2 * pad - k) // s + 1, (case["width"] + 2 * pad - k) // s + 1, cout]
    inputs = {
        # A channel's offset makes E[x^2] - E[x]^2 lose digits.
        "x": pattern(name + "/x", [rows, case["height"], case["width"], cin]) + pattern(name + "/offset", [cin]),
        "weight": pattern(name + "/weight", [cout, cin, k, k]) / 2,
        "d_y": pattern(name + "/d_y", out),
    }
    if case["preact"]:
        inputs |= batch_norm_inputs(name, cin)
    if case["bias"]:
        inputs["bias"] = pattern(name + "/bias", [cout]) / 4
    if case["projection"]:
        inputs["projection_weight"] = pattern(name + "/projection_weight", [cout, cin, 1, 1])
        inputs["d_projected"] = pattern(name + "/d_projected", out)
    if case["residual"] == "other":
        inputs["residual"] = pattern(name + "/residual", out)
    if case["mode"] == "eval":
        del inputs["d_y"]
    return inputs


def preact_conv(case, inputs, dtype):
    x = nchw(inputs["x"], dtype).requires_grad_()
    leaves = {"x": x}
    for name in ("weight", "projection_weight", "bias"):
        if name in inputs:
            leaves[name] = torch.from_numpy(inputs[name]).to(dtype).requires_grad_()
    outputs = {}
    a = x
    if case["preact"]:
        bn = BatchNorm(case, inputs, dtype)
        z = bn(x)
        refuse_kinks(z)
        a = F.relu(z)
        if case["mode"] == "train":
            outputs["x_stats"] = view_stats(x, case["views"])
            if case["dropout"] > 0:
                a = a * nchw(dropout_mask(case), dtype)
    y = F.conv2d(a, leaves["weight"], leaves.get("bias"), case["stride"], case["pad"])
    if case["residual"] == "input":
        y = y + x
    elif case["residual"] == "other":
        y = y + nchw(inputs["residual"], dtype)
    outputs["y"] = nhwc(y)
    if case["mode"] == "eval":
        return outputs
    if case["stats"]:
        outputs["y_stats"] = view_stats(y, case["views"])
    product = (y * nchw(inputs["d_y"], dtype)).sum()
    if case["projection"]:
        projected = F.conv2d(a, leaves["projection_weight"], None, case["stride"])
        outputs["projected"] = nhwc(projected)
        product = product + (projected * nchw(inputs["d_projected"], dtype)).sum()
    product.backward()
    outputs |= {"d_" + name: (nhwc if name == "x" else plain)(leaf.grad) for name, leaf in leaves.items()}
    if case["preact"]:
        outputs |= bn.outputs()
    return outputs


# ---- bn_relu_pool -----------------------------------------------------------------------------------------------

BN_RELU_POOL = {
    "global_average": {"pool": "global_average", "height": 4, "width": 3, "channels": 5},
    "max2": {"pool": "max2", "height": 4, "width": 6, "channels": 4},
    "max2_odd": {"pool": "max2", "height": 5, "width": 7, "channels": 3},
    "max2_ties": {"pool": "max2", "height": 4, "width": 4, "channels": 3, "ties": True},
    "features": {"pool": "none", "height": 1, "width": 1, "channels": 7, "batch": 4},
    "none": {"pool": "none", "height": 3, "width": 2, "channels": 4},
    "evaluation": {"pool": "global_average", "height": 4, "width": 3, "channels": 5, "mode": "eval", "views": 1,
                   "batch": 3},
    "join_identity": {"pool": "none", "height": 3, "width": 2, "channels": 4, "shortcut": "identity"},
    "join_normalised": {"pool": "none", "height": 3, "width": 2, "channels": 4, "shortcut": "normalised"},
    # He et al.'s option A: every second pixel of [5, 4, 3], one channel of zeros in front and two behind.
    "join_subsampled": {"pool": "none", "height": 3, "width": 2, "channels": 6, "shortcut": "subsampled",
                        "shortcut_height": 5, "shortcut_width": 4, "shortcut_channels": 3},
    "join_evaluation": {"pool": "none", "height": 3, "width": 2, "channels": 4, "shortcut": "normalised",
                        "mode": "eval", "views": 1, "batch": 3},
    "relu_alone": {"pool": "none", "height": 1, "width": 1, "channels": 7, "batch_norm": False},
    "average_alone": {"pool": "global_average", "height": 4, "width": 3, "channels": 5, "batch_norm": False,
                      "relu": False},
}  # fmt: skip
BN_RELU_POOL_DEFAULTS = {"mode": "train", "views": 3, "batch": 2, "ties": False}


def bn_relu_pool_inputs(name, case):
    rows, h, w, c = case["views"] * case["batch"], case["height"], case["width"], case["channels"]
    x = pattern(name + "/x", [rows, h, w, c]) + pattern(name + "/offset", [c])
    if case["ties"]:
        x = np.round(x * 2) / 2  # few distinct values: most windows hold their maximum more than once
    oh, ow = {"none": (h, w), "max2": (h // 2, w // 2), "global_average": (1, 1)}[case["pool"]]
    inputs = {"x": x}
    if case.get("batch_norm", True):
        inputs |= batch_norm_inputs(name, c)
    shortcut = case.get("shortcut", "none")
    if shortcut == "subsampled":
        shape = [rows, case["shortcut_height"], case["shortcut_width"], case["shortcut_channels"]]
        inputs["shortcut"] = pattern(name + "/shortcut", shape)
    elif shortcut != "none":
        inputs["shortcut"] = pattern(name + "/shortcut", [rows, h, w, c])
    if shortcut == "normalised":
        inputs |= {f"shortcut_bn/{k}": v for k, v in batch_norm_inputs(name + "/shortcut_bn", c).items()}
    if case["mode"] == "train":
        inputs["d_y"] = pattern(name + "/d_y", [rows, oh, ow, c])
    return inputs


def refuse_close_maxima(z, ties):
    windows = F.unfold(z.detach().flatten(0, 1)[:, None], 2, stride=2)  # [rows * C, 4, windows]
    largest = windows.sort(dim=1).values
    gap = largest[:, 3] - largest[:, 2]
    if bool(((gap < KINK_MARGIN) & ((gap > 0) if ties else True)).any()):
        raise Kink


def bn_relu_pool(case, inputs, dtype):
    x = nchw(inputs["x"], dtype).requires_grad_()
    norms = case.get("batch_norm", True)
    bn = BatchNorm(case, inputs, dtype) if norms else None
    z = bn(x) if norms else x
    shortcut, s, shortcut_bn = case.get("shortcut", "none"), None, None
    if shortcut != "none":
        s = nchw(inputs["shortcut"], dtype).requires_grad_()
        added = s
        if shortcut == "normalised":
            of_shortcut = {k.removeprefix("shortcut_bn/"): v for k, v in inputs.items() if k.startswith("shortcut_bn/")}
            shortcut_bn = BatchNorm(case, of_shortcut, dtype)
            added = shortcut_bn(s)
        elif shortcut == "subsampled":
            new = case["channels"] - case["shortcut_channels"]
            added = F.pad(s[:, :, ::2, ::2], (0, 0, 0, 0, new // 2, new - new // 2))
        z = z + added
    if case.get("relu", True):
        refuse_kinks(z)
        y = F.relu(z)
    else:
        y = z
    if case["pool"] == "max2":
        refuse_close_maxima(z, case["ties"])
        # Pooling z and then clipping is the same in values; the gradient must not depend on the order either.
        y = F.max_pool2d(y, 2)
    elif case["pool"] == "global_average":
        y = F.avg_pool2d(y, (case["height"], case["width"]))
    outputs = {"y": nhwc(y)}
    if case["mode"] == "train":
        if norms:
            outputs["x_stats"] = view_stats(x, case["views"])
        (y * nchw(inputs["d_y"], dtype)).sum().backward()
        outputs |= {"d_x": nhwc(x.grad)} | (bn.outputs() if norms else {})
        if s is not None:
            outputs["d_shortcut"] = nhwc(s.grad)
        if shortcut_bn is not None:
            outputs["shortcut_stats"] = view_stats(s, case["views"])
            outputs |= {f"shortcut_bn/{k}": v for k, v in shortcut_bn.outputs().items()}
    return outputs


# ---- linear -----------------------------------------------------------------------------------------------------

LINEAR = {
    "plain": {"views": 3, "batch": 3, "in_features": 6, "out_features": 5, "stats": False},
    "stats": {"views": 3, "batch": 4, "in_features": 9, "out_features": 4, "stats": True},
    "wide": {"views": 2, "batch": 1, "in_features": 33, "out_features": 17, "stats": False},
}


def linear_inputs(name, case):
    rows, fin, fout = case["views"] * case["batch"], case["in_features"], case["out_features"]
    return {
        "x": pattern(name + "/x", [rows, fin]),
        "weight": pattern(name + "/weight", [fout, fin]),
        "bias": pattern(name + "/bias", [fout]),
        "d_y": pattern(name + "/d_y", [rows, fout]),
    }


def linear(case, inputs, dtype):
    t = {name: torch.from_numpy(value).to(dtype).requires_grad_() for name, value in inputs.items()}
    y = F.linear(t["x"], t["weight"], t["bias"])
    (y * t["d_y"].detach()).sum().backward()
    outputs = {"y": plain(y)} | {"d_" + name: plain(t[name].grad) for name in ("x", "weight", "bias")}
    if case["stats"]:
        outputs["y_stats"] = view_stats(y, case["views"])
    return outputs


# ---- pll_objective ----------------------------------------------------------------------------------------------

# The article's constant 1 + 1e-6 is rounded to the compute type: in float32 it is 1 + 2^-20, so the same objective
# has other values there. `compute` says which backends a case is for.
PLL_OBJECTIVE = {
    "article": {"classes": 5, "variant": "article", "compute": "f64"},
    "article_float32": {"classes": 5, "variant": "article", "compute": "f32"},
    # Probabilities round to 1: the supervised term reaches its cap.
    "sure_article": {"classes": 5, "scale": 30.0, "variant": "article", "compute": "f64"},
    "sure_article_float32": {"classes": 5, "scale": 30.0, "variant": "article", "compute": "f32"},
    "published": {"classes": 5},
    "sure": {"classes": 5, "scale": 30.0},
    "extreme": {"classes": 4, "scale": 16384.0},
    "one_view": {"classes": 3, "views": 1, "lambda": 0.0},
    "two_words": {"classes": 70, "views": 2, "batch": 3, "samples": 5, "lambda": 1.5},
    "two_classes": {"classes": 2, "loss_scale": 8.0},
    "proden": {"classes": 5, "views": 1, "method": "proden", "variant": "article"},
    "proden_published": {"classes": 6, "method": "proden", "loss_scale": 4.0},
    "proden_sure": {"classes": 5, "scale": 30.0, "views": 2, "method": "proden", "variant": "article"},
    "proden_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "proden"},
    "cross_entropy": {"classes": 5, "views": 1, "method": "cross_entropy", "known": True},
    "cross_entropy_views": {"classes": 70, "batch": 3, "samples": 5, "method": "cross_entropy", "loss_scale": 8.0},
    "cross_entropy_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "cross_entropy"},
}
PLL_OBJECTIVE_DEFAULTS = {
    "method": "plcr", "known": False, "views": 3, "batch": 4, "samples": 7, "first": 2, "variant": "published", "compute": "any", "lambda": 0.375,
    "loss_scale": 1.0, "scale": 4.0,
}  # fmt: skip
MARGIN = {
    ("published", "any"): 2.0**-23,
    ("article", "f64"): 1e-6,
    ("article", "f32"): float(np.float32(1 + 1e-6)) - 1,
}


def pll_objective_inputs(name, case):
    n, c = case["samples"], case["classes"]
    labels = integers(name + "/labels", [n], c)
    mask = pattern(name + "/candidates", [n, c]) < -0.2
    mask[np.arange(n), labels] = True
    order = np.argsort(pattern(name + "/order", [n]), kind="stable").astype(np.int32)
    in_batch = order[case["first"] :]
    mask[in_batch[0]] = np.arange(c) == labels[in_batch[0]]  # one candidate: supervised learning
    mask[in_batch[1]] = True  # all candidates: no supervised term
    # Multiples of 2^-16 that add up to 1 exactly, zeros among candidates included.
    targets = np.zeros([n, c])
    for i in range(n):
        members = np.flatnonzero(mask[i])
        cuts = np.sort(np.append(integers(f"{name}/targets/{i}", [len(members) - 1], 2**16 + 1), [0, 2**16]))
        targets[i, members] = np.diff(cuts) * 2.0**-16
    if not case["known"]:
        labels[in_batch[-1]] = -1  # unknown truth
    return {
        "logits": pattern(name + "/logits", [case["views"] * case["batch"], c]) * case["scale"],
        "targets": targets,
        "mask": mask.astype(np.uint8),
        "labels": labels.astype(np.int32),
        "order": order,
    }


def pll_objective(case, inputs, dtype):
    views, batch, classes = case["views"], case["batch"], case["classes"]
    rows = inputs["order"][case["first"] : case["first"] + batch].astype(np.int64)
    mask = torch.from_numpy(inputs["mask"][rows].astype(bool))
    old = torch.from_numpy(inputs["targets"][rows]).to(dtype)
    logits = torch.from_numpy(inputs["logits"]).to(dtype).requires_grad_()
    log_p = F.log_softmax(logits, dim=1).view(views, batch, classes)
    labels = torch.from_numpy(inputs["labels"][rows].astype(np.int64))
    supervised = consistency = torch.zeros(batch, dtype=dtype)
    member, score = mask, log_p.detach()[0]
    if case["method"] == "plcr":
        others = F.softmax(logits[:batch], dim=1) @ (1 - torch.eye(classes, dtype=dtype))  # 1 - p without cancellation
        margin = MARGIN[case["variant"], case["compute"]]
        supervised = -torch.log(margin + others).masked_fill(mask, 0).sum(1)
        consistency = (torch.xlogy(old, old) - torch.where(old > 0, old * log_p, 0)).sum((0, 2))
        total = case["lambda"] * consistency + supervised
        score = log_p.detach().mean(0)
    elif case["method"] == "proden":
        total = -torch.where(old > 0, old * log_p, 0).sum(2).mean(0)
        member = old > 0 if case["variant"] == "published" else mask
    else:
        truth = F.one_hot(labels.clamp(min=0), classes) * (labels >= 0)[:, None]
        total = -(truth * log_p).sum(2).mean(0)
    (total.mean() * case["loss_scale"]).backward()

    mean = score.masked_fill(~member, -torch.inf)
    new = torch.softmax(mean, dim=1)
    targets = inputs["targets"].copy()
    targets[rows] = plain(new)
    total, supervised, consistency = total.detach(), supervised.detach(), consistency.detach()
    # Ties between targets must be exact or wide, so that rounding cannot move an argmax.
    top = mean.sort(dim=1).values
    if classes > 1 and bool(((top[:, -1] - top[:, -2]).abs() < KINK_MARGIN).any()):
        raise Kink
    known = labels >= 0
    weak = logits.detach()[:batch].argmax(1)
    metrics = {
        "samples": batch,
        "total": total.sum(),
        "supervised": supervised.sum(),
        "consistency": consistency.sum(),
        "labelled": known.sum(),
        "train_correct": (known & (weak == labels)).sum(),
        "pseudo_correct": (known & (new.argmax(1) == labels)).sum(),
        "covered": mask[torch.arange(batch), weak].sum(),
        "target_entropy": -torch.xlogy(new, new).sum(),
        "target_max": new.max(1).values.sum(),
        "target_changed": (new.argmax(1) != torch.from_numpy(np.argmax(inputs["targets"][rows], axis=1))).sum(),
        "nonfinite": 0,
    }
    return {
        "d_logits": plain(logits.grad),
        "targets_after": targets,
        "metrics": np.array([float(value) for value in metrics.values()]),
    }


# ---- sgd --------------------------------------------------------------------------------------------------------

SGD = {
    "plain": {"momentum": 0.0, "weight_decay": 0.0, "nesterov": False, "ema": 0.0, "loss_scale": 1.0},
    "momentum": {"momentum": 0.9, "weight_decay": 1e-4, "nesterov": False, "ema": 0.0, "loss_scale": 1.0},
    "nesterov": {"momentum": 0.9, "weight_decay": 5e-2, "nesterov": True, "ema": 0.0, "loss_scale": 4.0},
    "average": {"momentum": 0.5, "weight_decay": 1e-2, "nesterov": False, "ema": 0.75, "loss_scale": 1.0},
}
SGD_STEPS, SGD_ELEMENTS = 4, 37


def sgd_inputs(name, case):
    return {
        "value": pattern(name + "/value", [SGD_ELEMENTS]),
        "gradients": pattern(name + "/gradients", [SGD_STEPS, SGD_ELEMENTS]),
        "learning_rates": np.array([0.125, 0.125, 0.0625, 0.25]),
    }


def sgd(case, inputs, dtype):
    value = torch.from_numpy(inputs["value"]).to(dtype).clone().requires_grad_()
    average = value.detach().clone()
    optimizer = torch.optim.SGD(
        [value], lr=1, momentum=case["momentum"], weight_decay=case["weight_decay"], nesterov=case["nesterov"]
    )
    values, averages = [], []
    for gradient, lr in zip(inputs["gradients"], inputs["learning_rates"], strict=True):
        value.grad = torch.from_numpy(gradient).to(dtype) / case["loss_scale"]
        optimizer.param_groups[0]["lr"] = float(lr)
        optimizer.step()
        average = case["ema"] * average + (1 - case["ema"]) * value.detach()
        values.append(plain(value).copy())
        averages.append(plain(average))
    outputs = {"values": np.stack(values)}
    if case["momentum"] > 0:
        outputs["velocity"] = plain(optimizer.state[value]["momentum_buffer"])
    if case["ema"] > 0:
        outputs["averages"] = np.stack(averages)
    return outputs


# -----------------------------------------------------------------------------------------------------------------


def make_case(name, case, draw_inputs, compute):
    for attempt in range(1000):
        drawn = f"{name}#{attempt}"
        inputs = draw_inputs(drawn, case)
        try:
            outputs = compute(case, inputs, torch.float64)
        except Kink:
            continue
        single = compute(case, inputs, torch.float32)
        deviation = {key: float(np.abs(single[key] - outputs[key]).max()) for key in outputs}
        return inputs, outputs, case | {"name": name, "drawn_as": drawn, "float32_deviation": deviation}
    raise RuntimeError(f"{name}: every draw lies on a kink")


def main():
    folder = Path(sys.argv[1])
    for op, table, defaults, draw_inputs, compute in (
        ("preact_conv", PREACT_CONV, PREACT_CONV_DEFAULTS, preact_conv_inputs, preact_conv),
        ("bn_relu_pool", BN_RELU_POOL, BN_RELU_POOL_DEFAULTS, bn_relu_pool_inputs, bn_relu_pool),
        ("linear", LINEAR, {}, linear_inputs, linear),
        ("pll_objective", PLL_OBJECTIVE, PLL_OBJECTIVE_DEFAULTS, pll_objective_inputs, pll_objective),
        ("sgd", SGD, {}, sgd_inputs, sgd),
    ):
        tensors, cases = {}, []
        for name, values in table.items():
            inputs, outputs, case = make_case(name, defaults | values, draw_inputs, compute)
            overlap = inputs.keys() & outputs.keys()
            assert not overlap, overlap
            tensors |= {f"{name}/{key}": value for key, value in (inputs | outputs).items()}
            cases.append(case)
        path = folder / f"{op}.safetensors"
        golden_file.write(path, tensors, golden_file.metadata("tools/golden/make_layer_golden.py", cases))
        print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
