"""Ten training steps of every method and of every time at which rows are made, in PyTorch in float64.

  python tools/golden/make_method_trajectory.py tests/golden

writes method_trajectory.safetensors: a small MLP with batch norm on feature vectors, 11 samples in batches of 4, 4 and 3,
all views alike. Where the trajectories of the networks (make_trajectory_golden.py) prove layers, these prove what a step
does around them: when rows are made, what is kept besides, teachers. The losses of every step, the tables and the
evaluation's logits are stored completely, of every parameter and running statistic the sum, the sum of squares and the first
elements. Formulas are those of methods.py.

The same steps in float32, with features that are off by one rounding, show how much correct implementations may differ.

Needs PyPI: torch (2.15.0), numpy (2.4.6).
"""

import sys
from pathlib import Path

import golden_file
import numpy as np
import torch
from golden_file import pattern
from make_trajectory_golden import PROBE, initial_value
from methods import CLASS_VALUES, KEPT_ROWS, METHODS, TEACHERS, Batch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
import residual_networks  # noqa: E402

SAMPLES, BATCH, STEPS, FEATURES, CLASSES, HIDDEN = 11, 4, 10, 6, 5, [9]
MOMENTUM, WEIGHT_DECAY, LEARNING_RATES, SCALARS = 0.9, 5e-4, [0.0625, 0.0625, 0.03125, 0.03125], [0.0, 0.25, 0.5, 0.75]
ROUNDED_RUNS = 5
ARTICLE, PUBLISHED = {"variant": "article"}, {"variant": "published"}
SEVERAL_VIEWS = {"plcr": 3, "pop": 2, "corr": 2, "ill": 2}
KEYS = {
    "lws": {"beta": 2.0}, "lwc": {"beta": 2.0}, "nn": {"beta": 0.0}, "abs_gce": {"q": 0.7}, "abs_phuber": {"truncation": 0.1},
    "mcl_gce": {"q": 0.7}, "mcl_phuber": {"truncation": 0.1}, "ill": {"balance": 0.5}, "fredis": {"lambda": 10.0, "alpha": 1.0},
    "dirk": {"momentum": 0.875}, "plcr": PUBLISHED,
}  # fmt: skip
CASES = {method: {"method": method, "update": "same"} for method in METHODS}
# Methods whose loss reads the row, or what is kept.
CASES |= {
    f"{method}_{update}": {"method": method, "update": update}
    for method in ("plcr", "proden", "rc", "lws", "lwc", "cavl", "pop", "corr", "fredis")
    for update in ("before", "after")
}
CASES |= {"proden_after_published": {"method": "proden", "update": "after", "keys": PUBLISHED}}
CASES |= {"cavl_after_published": {"method": "cavl", "update": "after", "keys": PUBLISHED}}


def candidates(name):
    mask = pattern(name + "/candidates", [SAMPLES, CLASSES]) < -0.25
    mask[np.arange(SAMPLES), np.arange(SAMPLES) % CLASSES] = True
    mask[0] = np.arange(CLASSES) == 0  # one candidate
    mask[1, 0] = False  # no sample has all classes, where some losses are undefined
    mask[2:, 4] &= np.arange(2, SAMPLES) % CLASSES == 4
    mask[4::5, 0] = False
    return mask


def batches():
    """(epoch, first, size) of the ten steps."""
    all_steps = [(epoch, first) for epoch in range(STEPS) for first in range(0, SAMPLES, BATCH)]
    return [(epoch, first, min(BATCH, SAMPLES - first)) for epoch, first in all_steps[:STEPS]]


def module_with(prefix, dtype):
    module = residual_networks.Mlp(HIDDEN, FEATURES, CLASSES)
    state = module.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            state[key] = torch.from_numpy(initial_value(prefix + key, list(value.shape)))
    module.to(dtype).load_state_dict(state)
    return module.train()


def first_kept(method, mask, dtype):
    n, c = mask.shape
    rows = torch.full([n, KEPT_ROWS.get(method, 0), c], float(np.float32(1 / c)), dtype=dtype)
    if method == "cavl":
        rows[:, 0] = (mask.float() / mask.sum(1, keepdim=True)).to(dtype)
    if method == "fredis":
        rows[:, 1] = mask.to(dtype)
    return rows


def new_row(b, result):
    member = b.mask if result.member is None else result.member
    score = b.log_p.detach()[0] if result.score is None else result.score
    return torch.softmax(score.masked_fill(~member, -torch.inf), dim=1)


def train(name, case, order, mask, dtype, rounding=0):
    method, views = case["method"], case["views"]
    module = module_with("", dtype)
    teacher = module_with("teacher/", dtype) if method in TEACHERS else None
    optimizer = torch.optim.SGD(module.parameters(), lr=1, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    exact = 2 * pattern(name + "/features", [SAMPLES, FEATURES])
    if rounding > 0:
        exact = exact * (1 + 2.0**-24 * pattern(f"{name}/rounding/{rounding}", list(exact.shape)))
    x = torch.from_numpy(exact).to(dtype)
    allowed = torch.from_numpy(mask)
    # The engine begins with quotients of float32 in every type.
    targets = (allowed.float() / allowed.sum(1, keepdim=True)).to(dtype)
    kept = first_kept(method, allowed, dtype)
    labels = torch.arange(SAMPLES) % CLASSES
    pairs = (~allowed).to(dtype).sum(0)
    values = pairs / pairs.sum() if method in CLASS_VALUES else torch.zeros(0, dtype=dtype)
    losses = []

    def outputs(network, rows):
        return torch.stack([network(x[rows]) for _ in range(views)])

    for epoch, first, size in batches():
        rows = torch.from_numpy(order[epoch, first : first + size].astype(np.int64))
        teacher_logits = None
        if teacher is not None:
            with torch.no_grad():
                teacher_logits = outputs(teacher, rows)

        def batch_of(logits):
            return Batch(logits, allowed[rows], targets[rows], kept[rows], labels[rows], values, case["keys"],
                         SCALARS[epoch], "any", teacher_logits)  # fmt: skip

        def make_rows(logits):
            b = batch_of(logits.detach())
            result = METHODS[method](b)
            targets[rows] = new_row(b, result)
            if result.kept:
                kept[rows] = torch.stack(result.kept, dim=1)

        logits = outputs(module, rows)
        if case["update"] == "before":
            make_rows(logits)
        loss = METHODS[method](batch_of(logits)).total.mean()
        if case["update"] == "same":
            make_rows(logits)
        optimizer.param_groups[0]["lr"] = LEARNING_RATES[epoch]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if teacher is not None:
            with torch.no_grad():
                for own, trained in zip(teacher.parameters(), module.parameters()):
                    own.mul_(case["keys"]["momentum"]).add_(trained, alpha=1 - case["keys"]["momentum"])
        if case["update"] == "after":
            with torch.no_grad():
                make_rows(outputs(module, rows))
        losses.append(loss.item())
    whole = {"losses": np.array(losses), "targets": targets.double().numpy()}
    if method in KEPT_ROWS:
        whole["kept"] = kept.double().numpy()
    passes = views * (2 if case["update"] == "after" else 1)
    probed = {}
    for prefix, network in (("", module), ("teacher/", teacher)):
        if network is None:
            continue
        for key, value in network.state_dict().items():
            if key.endswith("num_batches_tracked"):
                assert value.item() == STEPS * passes
            else:
                probed[prefix + key] = value.double().numpy().ravel()
        network.eval()
        with torch.no_grad():
            whole[prefix + "logits"] = network(x).double().numpy()
    return whole, probed


def main():
    tensors, cases = {}, []
    for name, case in CASES.items():
        method = case["method"]
        keys = ARTICLE | case.get("keys", KEYS.get(method, {}))
        case = {"name": name, "keys": keys, "views": SEVERAL_VIEWS.get(method, 1)} | case | {"keys": keys}
        case |= {"samples": SAMPLES, "batch": BATCH, "steps": STEPS, "features": FEATURES, "classes": CLASSES}
        case |= {"hidden": HIDDEN, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        case |= {"learning_rates": LEARNING_RATES, "scalars": SCALARS}
        order = np.stack([np.argsort(pattern(f"{name}/order/{e}", [SAMPLES]), kind="stable") for e in range(4)])
        mask = candidates(name)
        assert mask.any(1).all() and not mask.all(1).any()
        whole, probed = train(name, case, order, mask, torch.float64)
        runs = [train(name, case, order, mask, torch.float32, run) for run in range(ROUNDED_RUNS)]
        case["float32_deviation"] = {
            key: max(float(np.abs(run[part][key] - double[key]).max()) for run in runs)
            for part, double in ((0, whole), (1, probed))
            for key in double
        }
        tensors |= {f"{name}/order": order.astype(np.int32), f"{name}/mask": mask.astype(np.uint8)}
        tensors |= {f"{name}/{key}": value for key, value in whole.items()}
        for key, value in probed.items():
            tensors[f"{name}/probe/{key}"] = np.concatenate([[value.sum(), (value**2).sum()], value[:PROBE]])
        cases.append(case)
        worst = max(case["float32_deviation"].values())
        print(f"{name}: losses {whole['losses'].round(4)}, largest float32 deviation {worst:.2g}")
    path = Path(sys.argv[1]) / "method_trajectory.safetensors"
    golden_file.write(path, tensors, golden_file.metadata("tools/golden/make_method_trajectory.py", cases))
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
