"""Trains the same job with the engine and in PyTorch, with augmentation, for several seeds, and compares test accuracies.

  python tools/peers/compare_accuracy.py --dataset cifar10 --data FOLDER --network wrn-10-1
  python tools/peers/compare_accuracy.py --dataset fashion_mnist --data FOLDER --network lenet --csv out.csv

Both use the same training images and the same candidate sets. Each draws everything else from the seed on its own: initial
weights, order, flips, crops, boxes, policies. PyTorch's views come from Pillow as in the published recipe: flip, crop from
a reflected border, Cutout, the 97-entry CIFAR policy (CIFAR only), normalisation; three forward passes per step. Both are
evaluated after the last epoch on the same test images. Prints each accuracy, both means and standard deviations and
Welch's t of the difference. Exits with 1 if |t| exceeds --bound.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6), Pillow (13.0.0), safetensors (0.8.0).
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import compare_trajectory
import networks
import pillow_views
import plcr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def read_split(args, train):
    """(uint8 [N, H, W, C], labels) of the first images of a split."""
    limit = args.samples if train else args.test_samples
    if args.dataset == "cifar10":
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else [args.test_file]
        rows = np.concatenate([np.fromfile(Path(args.data) / n, np.uint8) for n in names]).reshape(-1, 3073)[:limit]
        return np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), rows[:, 0]
    parts = []
    for suffix, skip in (("images-idx3", 16), ("labels-idx1", 8)):
        path = Path(args.data) / f"{'train' if train else 't10k'}-{suffix}-ubyte"
        data = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
        parts.append(np.frombuffer(data, np.uint8, offset=skip))
    return parts[0].reshape(-1, 28, 28, 1)[:limit], parts[1][:limit]


def normalise(args, images):
    mean, std = (np.array(x, np.float32) for x in compare_trajectory.MEAN_STD[args.dataset])
    pixels = (np.asarray(images, np.float32) / np.float32(255) - mean) / std
    return torch.from_numpy(pixels).movedim(-1, -3).contiguous(memory_format=torch.channels_last)


def schedule(args, epoch):
    """Learning rate and lambda of an epoch, plcr.variant = article."""
    passed = sum(epoch > decay for decay in args.decay)
    return args.lr * 0.1**passed, min(1.0, (epoch + 1) / args.ramp)


def train_peer(args, seed, images, candidates, test_images, test_labels):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    policy = list(pillow_views.read_table("kPlcrCifarPolicy")) if args.dataset == "cifar10" else None
    module = networks.parse_network(args.network, 10, images.shape[3], images.shape[1])
    module.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    targets = plcr.initial_targets(candidates)
    for epoch in range(args.epochs):
        optimizer.param_groups[0]["lr"], weight = schedule(args, epoch)
        order = rng.permutation(len(images))
        for first in range(0, len(images), args.batch):
            rows = order[first : first + args.batch]
            drawn = [pillow_views.weak_and_strong(images[i], rng, policy) for i in rows]
            views = [normalise(args, [d[v] for d in drawn]) for v in range(3)]
            _, _, targets[rows] = plcr.plcr_step(
                module, optimizer, views, candidates[rows], targets[rows], weight, plcr.OFFSET["article"]
            )
    module.eval()
    right = 0
    with torch.no_grad():
        for first in range(0, len(test_images), 500):
            logits = module(normalise(args, test_images[first : first + 500]))
            right += int((logits.argmax(1).numpy() == test_labels[first : first + 500]).sum())
    return right / len(test_images)


def linked_folder(args, folder):
    """The data folder once more, with args.test_file in the place of the test images."""
    linked = Path(folder) / "data"
    if not linked.exists():
        linked.mkdir()
        for name in ["batches.meta.txt"] + [f"data_batch_{i}.bin" for i in range(1, 6)]:
            (linked / name).symlink_to(Path(args.data) / name)
        (linked / "test_batch.bin").symlink_to(Path(args.data) / args.test_file)
    return linked


def engine(args, folder, seed, command=()):
    model = ["model.architecture=lenet"]
    if args.network != "lenet":
        depth, width = args.network.split("-")[1:]
        model = ["model.architecture=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    keys = [
        f"run.name=seed{seed}", f"run.out_dir={folder}", f"run.epochs={args.epochs}", f"run.seed={seed}",
        f"data.dataset={args.dataset}", f"data.path={args.data}", f"data.train_limit={args.samples}",
        f"data.test_limit={args.test_samples}", f"optimiser.batch={args.batch}", f"optimiser.lr={args.lr}",
        "optimiser.schedule=step", f"optimiser.lr_decay_epochs={args.decay[0]},{args.decay[1]}",
        f"plcr.ramp_epochs={args.ramp}", "plcr.variant=article", "log.charts=false",
        "candidates.mode=uniform", f"candidates.rate={args.rate}", *model,
    ]  # fmt: skip
    if args.dataset == "cifar10" and args.test_file != "test_batch.bin":
        keys.append(f"data.path={linked_folder(args, folder)}")
        keys.append("data.verify=false")
    config = os.path.join(folder, "job.ini")
    Path(config).write_text("[run]\n")
    done = subprocess.run(
        [args.engine, *command[:1], config, *command[1:], *(p for k in keys for p in ("--set", k))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"compare_accuracy: the engine failed: {done.stderr.strip()}")
    return os.path.join(folder, f"seed{seed}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="wrn-10-1", help="lenet or wrn-DEPTH-WIDTH")
    parser.add_argument("--dataset", default="cifar10", choices=sorted(compare_trajectory.MEAN_STD))
    parser.add_argument("--data", required=True, help="folder of the published files, unpacked")
    parser.add_argument("--samples", type=int, default=5000, help="the first n training images")
    parser.add_argument("--test-samples", type=int, default=10000)
    parser.add_argument("--test-file", default="test_batch.bin", help="of CIFAR-10; data_batch_5.bin: held-out images of the"
                        " training set, for a folder without test images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--decay", type=int, nargs=2, default=[9, 12], help="epochs after which the learning rate decays")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--ramp", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 1 to n")
    parser.add_argument("--bound", type=float, default=2.9, help="of |t|; 2.9: one in 50 by chance at 2 x 5 runs")
    parser.add_argument("--engine", default=str(ROOT / "build/release/dpll_engine"))
    parser.add_argument("--csv", help="write every accuracy here")
    args = parser.parse_args()
    args.data = os.path.abspath(args.data)

    images, _ = read_split(args, True)
    test_images, test_labels = read_split(args, False)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sets = os.path.join(folder, "sets.csv")
        engine(args, folder, 1, ("candidates", "--out", sets))
        candidates = torch.from_numpy(compare_trajectory.read_candidates(sets, 10))
        print(f"{args.network}, {args.dataset}, {len(images)} images, q {args.rate}, {args.epochs} epochs, lr {args.lr}")
        for seed in range(1, args.seeds + 1):
            begin = time.perf_counter()
            run = engine(args, folder, seed)
            ours = json.loads((Path(run) / "summary.json").read_text())["last_epoch"]["test_accuracy"]
            middle = time.perf_counter()
            theirs = train_peer(args, seed, images, candidates, test_images, test_labels)
            rows.append((seed, ours, theirs))
            seconds = (middle - begin, time.perf_counter() - middle)
            print(f"seed {seed}: engine {100 * ours:.2f} % ({seconds[0]:.0f} s), PyTorch {100 * theirs:.2f} %"
                  f" ({seconds[1]:.0f} s)", flush=True)  # fmt: skip
    a, b = (np.array([row[i] for row in rows]) for i in (1, 2))
    deviation = [x.std(ddof=1) for x in (a, b)]
    t = (a.mean() - b.mean()) / np.sqrt((deviation[0] ** 2 + deviation[1] ** 2) / len(rows))
    print(f"engine {100 * a.mean():.2f} +- {100 * deviation[0]:.2f} %, PyTorch {100 * b.mean():.2f} +-"
          f" {100 * deviation[1]:.2f} %, n = {len(rows)} each, t = {t:.2f}")  # fmt: skip
    if args.csv:
        with open(args.csv, "w", newline="") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(["seed", "engine", "torch"])
            out.writerows(rows)
    if not abs(t) <= args.bound:
        sys.exit(f"compare_accuracy: the means differ: |t| = {abs(t):.2f} > {args.bound}")


if __name__ == "__main__":
    main()
