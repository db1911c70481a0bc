"""Golden values of every method (methods.py), from PyTorch in float64.

  python tools/golden/make_method_golden.py tests/golden

writes pll_objective.safetensors, and hooks.safetensors with what methods do to the whole table at the end of three
epochs; see make_layer_golden.py for what its cases have in common with those of the layers.

Needs PyPI: torch (2.15.0), numpy (2.4.6).
"""

import sys
from pathlib import Path

import golden_file
import numpy as np
import torch
from golden_cases import KINK_MARGIN, Kink, plain, write_operation
from golden_file import integers, pattern
from methods import CLASS_VALUES, KEPT_ROWS, METHODS, TEACHERS, Batch

ARTICLE, PUBLISHED = {"variant": "article"}, {"variant": "published"}
# The article's constant 1 + 1e-6 is rounded to the compute type: in float32 it is 1 + 2^-20, so the same objective
# has other values there. `compute` says which backends a case is for.
CASES = {
    "article": {"classes": 5, "keys": ARTICLE, "compute": "f64"},
    "article_float32": {"classes": 5, "keys": ARTICLE, "compute": "f32"},
    # Probabilities round to 1: the supervised term reaches its cap.
    "sure_article": {"classes": 5, "scale": 30.0, "keys": ARTICLE, "compute": "f64"},
    "sure_article_float32": {"classes": 5, "scale": 30.0, "keys": ARTICLE, "compute": "f32"},
    "published": {"classes": 5},
    "sure": {"classes": 5, "scale": 30.0},
    "extreme": {"classes": 4, "scale": 16384.0},
    "one_view": {"classes": 3, "views": 1, "lambda": 0.0},
    "two_words": {"classes": 70, "views": 2, "batch": 3, "samples": 5, "lambda": 1.5},
    "two_classes": {"classes": 2, "loss_scale": 8.0},
    "proden": {"classes": 5, "views": 1, "method": "proden", "keys": ARTICLE},
    "proden_published": {"classes": 6, "method": "proden", "loss_scale": 4.0},
    "proden_sure": {"classes": 5, "scale": 30.0, "views": 2, "method": "proden", "keys": ARTICLE},
    "proden_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "proden"},
    "cross_entropy": {"classes": 5, "views": 1, "method": "cross_entropy", "known": True, "keys": {}},
    "cross_entropy_views": {"classes": 70, "batch": 3, "samples": 5, "method": "cross_entropy", "loss_scale": 8.0, "keys": {}},
    "cross_entropy_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "cross_entropy", "keys": {}},
    "lws": {"classes": 5, "views": 1, "method": "lws", "keys": {"beta": 2.0}},
    "lws_views": {"classes": 7, "views": 2, "method": "lws", "keys": {"beta": 0.5}, "loss_scale": 8.0},
    "lws_sure": {"classes": 5, "scale": 30.0, "views": 1, "method": "lws", "keys": {"beta": 1.0}},
    "lws_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "lws", "keys": {"beta": 1.0}},
    "nn": {"classes": 4, "views": 1, "batch": 6, "samples": 9, "method": "nn", "keys": ARTICLE | {"beta": 0.0}},
    "nn_published": {"classes": 5, "views": 2, "method": "nn", "keys": PUBLISHED | {"beta": 0.25}, "loss_scale": 8.0},
    "nn_bound": {"classes": 4, "views": 1, "batch": 6, "samples": 9, "scale": 16.0, "method": "nn", "keys": ARTICLE | {"beta": 0.25}},
    "nn_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "nn", "keys": ARTICLE | {"beta": 0.0}},
    "ga": {"classes": 4, "views": 2, "batch": 6, "samples": 9, "method": "ga", "keys": ARTICLE},
    "ga_published": {"classes": 5, "views": 1, "batch": 6, "samples": 9, "method": "ga", "keys": PUBLISHED},
    "ga_descends": {"classes": 2, "views": 1, "scale": 0.25, "method": "ga", "keys": ARTICLE},
    "pop": {"classes": 5, "method": "pop", "keys": {}},
    "cc": {"classes": 5, "views": 1, "method": "cc", "keys": {}},
    "cc_two_words": {"classes": 70, "views": 2, "batch": 3, "samples": 5, "method": "cc", "keys": {}, "loss_scale": 8.0},
    "cc_sure": {"classes": 5, "scale": 30.0, "views": 1, "method": "cc", "keys": {}},
    "rc": {"classes": 5, "views": 2, "method": "rc", "keys": {}, "loss_scale": 8.0},
    "rc_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "rc", "keys": {}},
    "abs_mae": {"classes": 5, "views": 2, "method": "abs_mae", "keys": {}, "loss_scale": 8.0},
    "abs_mae_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "abs_mae", "keys": {}},
    "abs_mse": {"classes": 5, "views": 2, "method": "abs_mse", "keys": {}, "loss_scale": 8.0},
    "abs_mse_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "abs_mse", "keys": {}},
    "abs_gce": {"classes": 5, "views": 2, "method": "abs_gce", "keys": {"q": 0.75}, "loss_scale": 8.0},
    "abs_gce_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "abs_gce", "keys": {"q": 0.7}},
    "abs_phuber": {"classes": 5, "views": 2, "method": "abs_phuber", "keys": {"truncation": 0.25}, "loss_scale": 8.0},
    "abs_phuber_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "abs_phuber", "keys": {"truncation": 0.1}},
    "abs_cce": {"classes": 5, "views": 2, "method": "abs_cce", "keys": {}, "loss_scale": 8.0},
    "abs_cce_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "abs_cce", "keys": {}},
    "exp": {"classes": 5, "views": 2, "method": "exp", "keys": {}, "loss_scale": 8.0},
    "exp_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "exp", "keys": {}},
    "mcl_log": {"classes": 5, "views": 2, "method": "mcl_log", "keys": {}, "loss_scale": 8.0},
    "mcl_log_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "mcl_log", "keys": {}},
    "mcl_mae": {"classes": 5, "views": 2, "method": "mcl_mae", "keys": {}, "loss_scale": 8.0},
    "mcl_mae_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "mcl_mae", "keys": {}},
    "mcl_mse": {"classes": 5, "views": 2, "method": "mcl_mse", "keys": ARTICLE, "loss_scale": 8.0},
    "mcl_mse_published": {"classes": 5, "views": 2, "method": "mcl_mse", "keys": PUBLISHED},
    "mcl_mse_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "mcl_mse", "keys": ARTICLE},
    "mcl_gce": {"classes": 5, "views": 2, "method": "mcl_gce", "keys": ARTICLE | {"q": 0.75}, "loss_scale": 8.0},
    "mcl_gce_published": {"classes": 5, "views": 2, "method": "mcl_gce", "keys": PUBLISHED | {"q": 0.7}},
    "mcl_gce_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "mcl_gce", "keys": ARTICLE | {"q": 0.5}},
    "mcl_phuber": {"classes": 5, "views": 2, "method": "mcl_phuber", "keys": {"truncation": 0.25}, "loss_scale": 8.0},
    "mcl_phuber_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "mcl_phuber", "keys": {"truncation": 0.125}},
    "scl_nl": {"classes": 5, "views": 2, "method": "scl_nl", "keys": ARTICLE, "loss_scale": 8.0},
    "scl_nl_published": {"classes": 5, "views": 1, "method": "scl_nl", "keys": PUBLISHED},
    "scl_nl_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "scl_nl", "keys": ARTICLE},
    "scl_nl_sure_published": {"classes": 4, "scale": 30.0, "views": 1, "method": "scl_nl", "keys": PUBLISHED},
    "scl_exp": {"classes": 5, "views": 2, "method": "scl_exp", "keys": {}, "loss_scale": 8.0},
    "scl_exp_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "scl_exp", "keys": {}},
    "forward": {"classes": 5, "views": 2, "method": "forward", "keys": {}, "loss_scale": 8.0},
    "forward_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "forward", "keys": {}},
    "forward_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "forward", "keys": {}},
    "lwc": {"classes": 5, "views": 2, "method": "lwc", "keys": ARTICLE | {"beta": 0.5}, "loss_scale": 8.0},
    "lwc_published": {"classes": 5, "views": 1, "method": "lwc", "keys": PUBLISHED | {"beta": 2.0}},
    "lwc_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "lwc", "keys": ARTICLE | {"beta": 2.0}},
    "lwc_sure_published": {"classes": 4, "scale": 30.0, "views": 1, "method": "lwc", "keys": PUBLISHED | {"beta": 0.5}},
    "cavl": {"classes": 5, "views": 2, "method": "cavl", "keys": ARTICLE, "loss_scale": 8.0},
    "cavl_published": {"classes": 3, "views": 1, "batch": 12, "samples": 14, "method": "cavl", "keys": PUBLISHED},
    "cavl_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "cavl", "keys": ARTICLE},
    "corr": {"classes": 5, "views": 2, "method": "corr", "keys": ARTICLE, "loss_scale": 8.0},
    "corr_published": {"classes": 6, "views": 2, "method": "corr", "keys": PUBLISHED},
    "corr_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "corr", "keys": ARTICLE},
    "ill": {"classes": 5, "method": "ill", "keys": {"balance": 0.0}, "loss_scale": 8.0},
    "ill_balance": {"classes": 5, "views": 2, "method": "ill", "keys": {"balance": 0.75}, "loss_scale": 8.0},
    "ill_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "ill", "keys": {"balance": 0.5}},
    "l_w": {"classes": 5, "views": 2, "method": "l_w", "keys": {}, "loss_scale": 8.0},
    "l_w_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "l_w", "keys": {}},
    "op_w": {"classes": 5, "views": 2, "scale": 2.0, "method": "op_w", "keys": {}, "loss_scale": 8.0},
    "op_w_near": {"classes": 5, "views": 1, "scale": 0.125, "method": "op_w", "keys": {}},
    "op_w_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "op_w", "keys": {}},
    "op_w_saturated": {"classes": 3, "scale": 40.0, "views": 1, "batch": 10, "samples": 12, "method": "op_w", "keys": {}},
    "pc": {"classes": 5, "views": 2, "method": "pc", "keys": {}, "loss_scale": 8.0},
    "pc_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "pc", "keys": {}},
    "scarce": {"classes": 5, "views": 2, "batch": 6, "samples": 9, "method": "scarce", "keys": {}, "loss_scale": 8.0},
    "scarce_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "scarce", "keys": {}},
    "fredis": {"classes": 5, "views": 2, "method": "fredis", "keys": ARTICLE | {"lambda": 4.0, "alpha": 0.5}, "loss_scale": 8.0},
    "fredis_published": {"classes": 5, "views": 1, "method": "fredis", "keys": PUBLISHED | {"lambda": 0.5, "alpha": 2.0}},
    "fredis_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "fredis", "keys": ARTICLE | {"lambda": 1.0, "alpha": 0.25}},
    "dirk": {"classes": 5, "views": 2, "method": "dirk", "keys": ARTICLE, "loss_scale": 8.0},
    "dirk_published": {"classes": 6, "views": 1, "method": "dirk", "keys": PUBLISHED},
    "dirk_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "dirk", "keys": ARTICLE},
    "dirk_sure_published": {"classes": 4, "scale": 30.0, "views": 1, "method": "dirk", "keys": PUBLISHED},
    "dirk_certain": {"classes": 3, "scale": 64.0, "views": 1, "batch": 10, "samples": 12, "method": "dirk", "keys": ARTICLE},
    "dirk_certain_published": {"classes": 3, "scale": 64.0, "views": 1, "batch": 10, "samples": 12, "method": "dirk", "keys": PUBLISHED},
    "dirk_two_words": {"classes": 70, "views": 1, "batch": 3, "samples": 5, "method": "dirk", "keys": ARTICLE},
    "scarce_sure": {"classes": 4, "scale": 30.0, "views": 1, "method": "scarce", "keys": {}},
}  # fmt: skip
DEFAULTS = {
    "method": "plcr", "known": False, "views": 3, "batch": 4, "samples": 7, "first": 2, "keys": PUBLISHED, "compute": "any",
    "lambda": 0.375, "loss_scale": 1.0, "scale": 4.0,
}  # fmt: skip


def draw_inputs(name, case):
    n, c = case["samples"], case["classes"]
    labels = integers(name + "/labels", [n], c)
    mask = pattern(name + "/candidates", [n, c]) < -0.2
    mask[np.arange(n), labels] = True
    order = np.argsort(pattern(name + "/order", [n]), kind="stable").astype(np.int32)
    in_batch = order[case["first"] :]
    mask[in_batch[0]] = np.arange(c) == labels[in_batch[0]]  # one candidate: supervised learning
    mask[in_batch[1]] = True  # all candidates: no supervised term
    # Multiples of 2^-16 that add up to 1 exactly; every other sample has a candidate whose share is 0.
    targets = np.zeros([n, c])
    for i in range(n):
        members = np.flatnonzero(mask[i])
        if len(members) > 2 and i % 2 == 0:
            members = np.delete(members, integers(f"{name}/zero/{i}", [1], len(members)))
        cuts = np.sort(np.append(integers(f"{name}/targets/{i}", [len(members) - 1], 2**16 + 1), [0, 2**16]))
        targets[i, members] = np.diff(cuts) * 2.0**-16
    if not case["known"]:
        labels[in_batch[-1]] = -1  # unknown truth
    inputs = {
        "logits": pattern(name + "/logits", [case["views"] * case["batch"], c]) * case["scale"],
        "targets": targets,
        "mask": mask.astype(np.uint8),
        "labels": labels.astype(np.int32),
        "order": order,
    }
    if rows := KEPT_ROWS.get(case["method"], 0):
        inputs["kept"] = (pattern(name + "/kept", [n, rows, c]) + 1) / 2
    if case["method"] == "fredis":  # the second row: the first set, as 1 or as 2
        first = (inputs["kept"][:, 1] > 0.5) | (np.arange(c) == labels[:, None])
        inputs["kept"][:, 1] = first * (1 + np.arange(n)[:, None] % 2)
    if case["method"] in TEACHERS:
        inputs["teacher_logits"] = pattern(name + "/teacher", [case["views"] * case["batch"], c]) * case["scale"]
        if name.startswith("dirk_certain"):  # 2e-20 is left to the others beside the only candidate
            inputs["teacher_logits"][0] = np.where(mask[in_batch[0]], 46.0, np.arange(c) / 2)
    if case["method"] in CLASS_VALUES:
        inputs["class_values"] = (pattern(name + "/class_values", [c]) + 1.5) / 2 / c
    return inputs


def compute(case, inputs, dtype):
    views, batch, classes = case["views"], case["batch"], case["classes"]
    rows = inputs["order"][case["first"] : case["first"] + batch].astype(np.int64)
    mask = torch.from_numpy(inputs["mask"][rows].astype(bool))
    old = torch.from_numpy(inputs["targets"][rows]).to(dtype)
    logits = torch.from_numpy(inputs["logits"]).to(dtype).requires_grad_()
    labels = torch.from_numpy(inputs["labels"][rows].astype(np.int64))
    b = Batch(
        logits.view(views, batch, classes), mask, old,
        torch.from_numpy(inputs.get("kept", np.zeros([len(inputs["targets"]), 0, classes]))[rows]).to(dtype), labels,
        torch.from_numpy(inputs.get("class_values", np.zeros(0))).to(dtype), case["keys"], case["lambda"], case["compute"],
        torch.from_numpy(inputs.get("teacher_logits", np.zeros_like(inputs["logits"]))).to(dtype).view(views, batch, classes),
    )  # fmt: skip
    result = METHODS[case["method"]](b)
    total = result.total if result.total.ndim else result.total.expand(batch)
    (total.mean() * case["loss_scale"]).backward()

    member = mask if result.member is None else result.member
    score = b.log_p.detach()[0] if result.score is None else result.score
    mean = score.masked_fill(~member, -torch.inf)
    new = torch.softmax(mean, dim=1)
    targets = inputs["targets"].copy()
    targets[rows] = plain(new)
    # Ties between targets must be exact or wide, so that rounding cannot move an argmax.
    top = mean.sort(dim=1).values
    if classes > 1 and bool(((top[:, -1] - top[:, -2]).abs() < KINK_MARGIN).any()):
        raise Kink
    zero = torch.zeros(batch, dtype=dtype)
    supervised = zero if result.supervised is None else result.supervised.detach()
    consistency = zero if result.consistency is None else result.consistency.detach()
    measured = [float(value) * batch for value in result.measured] + [0.0, 0.0]
    known = labels >= 0
    weak = logits.detach()[:batch].argmax(1)
    metrics = {
        "samples": batch,
        "total": total.detach().sum(),
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
        "of_method[0]": measured[0],
        "of_method[1]": measured[1],
    }
    outputs = {
        "d_logits": plain(logits.grad),
        "targets_after": targets,
        "metrics": np.array([float(value) for value in metrics.values()]),
    }
    if "kept" in inputs:
        kept = inputs["kept"].copy()
        kept[rows] = plain(torch.stack(result.kept, dim=1))
        outputs["kept_after"] = kept
    return outputs


# What happens at the end of epochs: the table that an epoch leaves -> sets, rows and figures behind the hook.
HOOKS = {
    "pop": {"keys": {"theta": 0.35, "increase": 0.25, "warm_up": 1, "window": 2}, "samples": 6, "classes": 5, "epochs": 5},
    "fredis": {
        "keys": ARTICLE | {"theta": 0.0625, "delta": 0.75, "increase": 0.015625, "decrease": 0.03125, "interval": 1, "change_size": 4, "times": 1},
        "samples": 9, "classes": 5, "epochs": 3,
    },
    "fredis_published": {
        "keys": PUBLISHED | {"theta": 0.125, "delta": 0.75, "increase": 0.015625, "decrease": 0.03125, "interval": 2, "change_size": 3, "times": 2},
        "samples": 9, "classes": 5, "epochs": 4,
    },
    "fredis_settled": {
        "keys": ARTICLE | {"theta": 0.0, "delta": 1.0, "increase": 0.25, "decrease": 0.125, "interval": 1, "change_size": 500, "times": 2},
        "samples": 4, "classes": 70, "epochs": 3,
    },
    "pop_settled": {"keys": {"theta": 0.125, "increase": 0.5, "warm_up": 0, "window": 1}, "samples": 4, "classes": 70, "epochs": 3},
}  # fmt: skip


def pop_hook(case, mask, tables):
    """The tables of the epochs, given that rows which the hook changed are replaced by the next epoch's."""
    keys = case["keys"]
    window = torch.zeros([keys["window"], *mask.shape], dtype=torch.float64)
    theta = np.float32(keys["theta"])
    for epoch, table in enumerate(tables):
        confidence = torch.from_numpy(table) * mask
        confidence = confidence / confidence.sum(1, keepdim=True)
        window[epoch % keys["window"]] = confidence
        if epoch >= keys["warm_up"] and epoch % keys["window"] == 0:
            mean = window.mean(0)
            mean = mean / mean.sum(1, keepdim=True)
            before = mask.clone()
            mask = mask * ~(mean / mean.max(1, keepdim=True).values < float(theta))
            confidence = mean * mask
            confidence = confidence / confidence.sum(1, keepdim=True)
            if theta < 0.4 and (before != mask).sum() < 0.0001 * mask.numel():
                theta = np.float32(theta * np.float32(1 + keys["increase"]))
        yield confidence, mask, [mask.sum(1).double().mean().item(), float(theta)]


SEED = 1  # of the run
METHOD_PURPOSE = 8  # Purpose::method


def philox_block(key, counter):
    low, k0, k1 = 0xFFFFFFFF, key & 0xFFFFFFFF, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & low, (a >> 32) ^ c3 ^ k1, a & low
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return c0, c1, c2, c3


def chosen(entries, count, epoch, which):
    """`count` of the entries: the first steps of a Fisher-Yates shuffle."""
    entries = list(entries)
    if len(entries) <= count:
        return entries
    for i in range(count):
        word = philox_block(SEED, (i // 4, 0, epoch, METHOD_PURPOSE | which << 16))[i % 4]
        j = i + (word * (len(entries) - i) >> 32)
        entries[i], entries[j] = entries[j], entries[i]
    return entries[:count]


def fredis_hook(case, mask, tables, kept):
    keys, counts = case["keys"], [0, 0]  # how often theta and delta have changed
    published, most, times = keys["variant"] == "published", keys["change_size"], keys["times"]
    mask = mask.numpy().copy()
    for epoch, table in enumerate(tables):
        rows = table * mask
        rows = rows / rows.sum(1, keepdims=True)
        after = kept[epoch].copy()
        if (epoch + 1) % keys["interval"] == 0:
            q = kept[epoch, :, 0]
            gap = q.max(1, keepdims=True) - q
            before = mask.copy()
            near = gap < keys["theta"] + keys["increase"] * counts[0]
            joined = int((near & ~before).sum())
            joining = np.argwhere(near if published else near & ~before)
            if joined > most:
                joining, joined = chosen(joining, most, epoch, 0), most

            def far():
                return gap > keys["delta"] - keys["decrease"] * counts[1]

            can_leave = int((before & (gap > 0)).sum())
            while (before & far()).sum() < min(joined * times, can_leave):
                counts[1] += 1
            left = int((far() & before).sum())
            leaving = np.argwhere(far() if published else far() & before)
            if left > most * times:
                leaving = chosen(leaving, most * times, epoch, 1)
            for i, k in joining:
                mask[i, k] = True
            for i, k in leaving:
                mask[i, k] = False
            mask[mask.sum(1) == 0] = before[mask.sum(1) == 0]
            rows = q * mask
            empty = rows.sum(1) == 0
            rows[empty] = mask[empty]
            rows = rows / rows.sum(1, keepdims=True)
            after[:, 1] = 2.0 * (after[:, 1] > 0)
            theta, delta = keys["theta"] + keys["increase"] * counts[0], keys["delta"] - keys["decrease"] * counts[1]
            if theta < 0.9 and delta > 0.1 and (before != mask).sum() < most:
                counts = [counts[0] + 1, counts[1] + 1]
        theta, delta = keys["theta"] + keys["increase"] * counts[0], keys["delta"] - keys["decrease"] * counts[1]
        yield rows, mask.copy(), [mask.sum(1).mean(), theta, delta], after


def draw_kept(name, case, mask):
    """[epochs, samples, 2, classes]: what FREDIS keeps when an epoch ends, exact in float32."""
    n, c = mask.shape
    posterior = (pattern(name + "/posterior", [case["epochs"], n, c]) + 1) ** 4
    if name == "fredis_settled":  # near to even: nothing joins or leaves but what is alone at 0
        posterior = 1 + posterior / 256
    posterior = (posterior / posterior.sum(2, keepdims=True)).astype(np.float32).astype(np.float64)
    if name == "fredis":
        posterior[1, 0] = ~mask[0] / max(1, (~mask[0]).sum())  # no candidate has a share: the set would be empty
    return np.stack([posterior, np.broadcast_to(mask, posterior.shape)], axis=2).astype(np.float64)


def write_hooks(folder):
    tensors, cases = {}, []
    for name, case in HOOKS.items():
        n, c, epochs = case["samples"], case["classes"], case["epochs"]
        method = name.split("_")[0]
        mask = pattern(name + "/candidates", [n, c]) < 0.4
        mask[np.arange(n), integers(name + "/labels", [n], c)] = True
        tables = (pattern(name + "/tables", [epochs, n, c]) + 1) ** 2
        if name == "pop_settled":
            tables = tables * 0 + 1 + tables / 64  # too even for a candidate to leave
        if method == "pop":
            outputs = list(pop_hook(case, torch.from_numpy(mask), tables))
            outputs = [(plain(rows), sets.numpy(), figures) for rows, sets, figures in outputs]
        else:
            kept = draw_kept(name, case, mask)
            outputs = list(fredis_hook(case, torch.from_numpy(mask), tables, kept))
            tensors |= {f"{name}/kept": kept, f"{name}/kept_after": np.stack([output[3] for output in outputs])}
        tensors |= {
            f"{name}/mask": mask.astype(np.uint8),
            f"{name}/tables": tables,
            f"{name}/targets_after": np.stack([output[0] for output in outputs]),
            f"{name}/mask_after": np.stack([output[1].astype(np.uint8) for output in outputs]),
            f"{name}/figures": np.array([output[2] for output in outputs]),
        }
        for before, output in zip([mask, *[output[1] for output in outputs]], outputs):
            changed = int((output[1] & ~before).sum()), int((before & ~output[1]).sum())
            print(f"{name}: {changed[0]} joined, {changed[1]} left, figures {output[2]}")
        cases.append(case | {"name": name, "method": method, "float32_deviation": {}})
    path = folder / "hooks.safetensors"
    golden_file.write(path, tensors, golden_file.metadata("tools/golden/make_method_golden.py", cases))
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def main():
    write_hooks(Path(sys.argv[1]))
    table = {name: DEFAULTS | case for name, case in CASES.items()}
    write_operation(
        Path(sys.argv[1]), "pll_objective", "tools/golden/make_method_golden.py", table, draw_inputs, compute
    )


if __name__ == "__main__":
    main()
