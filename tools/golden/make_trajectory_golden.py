"""Ten training steps of PLCR from known initial values, in PyTorch in float64.

  python tools/golden/make_trajectory_golden.py tests/golden

writes trajectory.safetensors: a WRN-10-1 on 8x8 images, a LeNet on 12x12 images, and narrow networks of the other
architectures; batches of 4, 4 and 3 samples (the last one partial), 3 views. Nothing large is stored: images and initial values are closed formulas that the test
computes as well, and of every final parameter and running statistic the file has a probe: the first elements, the sum
and the sum of squares. The losses of every step, the target table and the logits in evaluation are there in full.

The same steps in float32 tell how far apart two correct float32 implementations may be: the largest deviation of any
element of every tensor is noted.

Needs PyPI: torch (2.15.0), numpy (2.4.6).
"""

import sys
from pathlib import Path

import golden_file
import numpy as np
import torch
from golden_file import pattern

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
import networks  # noqa: E402
import plcr  # noqa: E402
import residual_networks  # noqa: E402

SAMPLES, BATCH, VIEWS, STEPS, EVALUATED = 11, 4, 3, 10, 4
PROBE = 16  # leading elements of a probe
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4

CASES = {
    "wide_resnet": {"network": "wrn-10-1", "classes": 5, "channels": 3, "size": 8, "variant": "article",
                    "nesterov": False, "first_learning_rate": 2.0**-4},
    "lenet": {"network": "lenet", "classes": 10, "channels": 1, "size": 12, "variant": "published",
              "nesterov": True, "first_learning_rate": 2.0**-9},
    "resnet": {"model": {"architecture": "resnet", "depth": 8, "channels": 8}, "classes": 5, "channels": 3, "size": 8,
               "variant": "article", "nesterov": False, "first_learning_rate": 2.0**-6},
    "resnet_identity": {"model": {"architecture": "resnet", "depth": 8, "channels": 6, "shortcut": "identity"},
                        "classes": 4, "channels": 1, "size": 9, "variant": "published", "nesterov": False,
                        "first_learning_rate": 2.0**-8},
    "resnet18": {"model": {"architecture": "resnet18", "channels": 6}, "classes": 6, "channels": 3, "size": 16,
                 "variant": "published", "nesterov": False, "first_learning_rate": 2.0**-11},
    "preact_resnet18": {"model": {"architecture": "preact_resnet18", "channels": 4}, "classes": 5, "channels": 3,
                        "size": 16, "variant": "published", "nesterov": True, "first_learning_rate": 2.0**-8},
    "mlp_plain": {"model": {"architecture": "mlp", "hidden": [12, 7], "batch_norm": False}, "classes": 4,
                  "channels": 1, "size": 3, "variant": "published", "nesterov": False, "first_learning_rate": 2.0**-5},
}  # fmt: skip


def initial_value(name, shape):
    """Exact in float32. Weights of layers: uniform in [-s, s), s the largest power of two with s^2 * fan_in <= 6."""
    p = pattern(name, shape)
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        s = 1.0
        while s * s * fan_in > 6:
            s /= 2
        return s * p
    if name.endswith("weight"):  # of batch norm
        return 1 + p / 4
    if name.endswith("running_var"):
        return 1 + p / 2
    return p / 4


def images(name, case):
    """[V, N, H, W, C]: every view of every sample is another image."""
    return 2 * pattern(name + "/images", [VIEWS, SAMPLES, case["size"], case["size"], case["channels"]])


def candidates(name, classes):
    mask = pattern(name + "/candidates", [SAMPLES, classes]) < -0.25
    mask[np.arange(SAMPLES), np.arange(SAMPLES) % classes] = True
    return mask


def batches():
    """(epoch, first, size) of the ten steps."""
    all_steps = [(epoch, first) for epoch in range(STEPS) for first in range(0, SAMPLES, BATCH)]
    return [(epoch, first, min(BATCH, SAMPLES - first)) for epoch, first in all_steps[:STEPS]]


def train(name, case, order, mask, dtype):
    if "model" in case:
        module = residual_networks.make(case["model"], case["classes"], case["channels"], case["size"])
    else:
        module = networks.parse_network(case["network"], case["classes"], case["channels"], case["size"])
    state = module.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            state[key] = torch.from_numpy(initial_value(key, list(value.shape)))
    module.to(dtype).load_state_dict(state)
    module.train()
    optimizer = torch.optim.SGD(
        module.parameters(), lr=1, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=case["nesterov"]
    )
    x = torch.from_numpy(images(name, case)).to(dtype).movedim(-1, 2)
    allowed = torch.from_numpy(mask)
    targets = plcr.initial_targets(allowed, dtype)
    losses = []
    for epoch, first, size in batches():
        optimizer.param_groups[0]["lr"] = case["learning_rates"][epoch]
        weight = case["lambdas"][epoch]
        rows = torch.from_numpy(order[epoch, first : first + size].astype(np.int64))
        supervised, consistency, targets[rows] = plcr.plcr_step(
            module, optimizer, list(x[:, rows]), allowed[rows], targets[rows], weight, plcr.OFFSET[case["variant"]]
        )
        losses.append([float(supervised + weight * consistency), float(supervised), float(consistency)])
    module.eval()
    with torch.no_grad():
        logits = module(x[0, :EVALUATED])
    whole = {"losses": np.array(losses), "targets": targets.double().numpy(), "logits": logits.double().numpy()}
    tracked = {v.item() for k, v in module.state_dict().items() if k.endswith("num_batches_tracked")}
    assert tracked <= {STEPS * VIEWS}
    probed = {
        key: value.double().numpy().ravel()
        for key, value in module.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    return whole, probed


def main():
    folder = Path(sys.argv[1])
    tensors, cases = {}, []
    for name, case in CASES.items():
        epochs = batches()[-1][0] + 1
        # Dyadic numbers, exact in float32. LeNet's rate is small: batch norm over 3 or 4 values per feature makes
        # larger steps chaotic, and then float32 says nothing.
        case["learning_rates"] = [case["first_learning_rate"] / (1 if e < 2 else 2) for e in range(epochs)]
        case["lambdas"] = [0.0, 0.25, 0.5, 0.75][:epochs]
        case |= {"name": name, "samples": SAMPLES, "batch": BATCH, "views": VIEWS, "steps": STEPS}
        case |= {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        order = np.stack(
            [np.argsort(pattern(f"{name}/order/{epoch}", [SAMPLES]), kind="stable") for epoch in range(epochs)]
        ).astype(np.int32)
        mask = candidates(name, case["classes"])
        # PyTorch 2.15's oneDNN corrupts memory in ResNet-18's smallest convolutions.
        with torch.backends.mkldnn.flags(enabled="model" not in case):
            whole, probed = train(name, case, order, mask, torch.float64)
            whole32, probed32 = train(name, case, order, mask, torch.float32)
        case["float32_deviation"] = {
            key: float(np.abs(single[key] - double[key]).max())
            for double, single in ((whole, whole32), (probed, probed32))
            for key in double
        }
        tensors |= {f"{name}/order": order, f"{name}/mask": mask.astype(np.uint8)}
        tensors |= {f"{name}/{key}": value for key, value in whole.items()}
        for key, value in probed.items():
            tensors[f"{name}/probe/{key}"] = np.concatenate([[value.sum(), (value**2).sum()], value[:PROBE]])
        cases.append(case)
        worst = max(case["float32_deviation"].values())
        print(f"{name}: losses {whole['losses'][:, 0].round(4)}, largest float32 deviation {worst:.2g}")
    path = folder / "trajectory.safetensors"
    golden_file.write(path, tensors, golden_file.metadata("tools/golden/make_trajectory_golden.py", cases))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
