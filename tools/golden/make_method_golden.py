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
from methods import CLASS_VALUES, KEPT_ROWS, METHODS, Batch

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


def write_hooks(folder):
    tensors, cases = {}, []
    for name, case in HOOKS.items():
        n, c, epochs = case["samples"], case["classes"], case["epochs"]
        mask = pattern(name + "/candidates", [n, c]) < 0.4
        mask[np.arange(n), integers(name + "/labels", [n], c)] = True
        tables = (pattern(name + "/tables", [epochs, n, c]) + 1) ** 2
        if name == "pop_settled":
            tables = tables * 0 + 1 + tables / 64  # too even for a candidate to leave
        outputs = list(pop_hook(case, torch.from_numpy(mask), tables))
        tensors |= {
            f"{name}/mask": mask.astype(np.uint8),
            f"{name}/tables": tables,
            f"{name}/targets_after": np.stack([plain(rows) for rows, _, _ in outputs]),
            f"{name}/mask_after": np.stack([sets.numpy().astype(np.uint8) for _, sets, _ in outputs]),
            f"{name}/figures": np.array([figures for _, _, figures in outputs]),
        }
        cases.append(case | {"name": name, "method": name.split("_")[0], "float32_deviation": {}})
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
