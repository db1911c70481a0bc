"""Trains the same job with the engine and in PyTorch, without augmentation, and compares the losses of every step.

  python tools/peers/compare_trajectory.py --data tests/fixtures/fashion-mnist/plain --network lenet
  python tools/peers/compare_trajectory.py --dataset cifar10 --data FOLDER --network wrn-10-1 --samples 1000 --csv out.csv

The engine runs first and writes its initial weights (checkpoint.save_init), its candidate sets and its losses. Then
torch_plcr.py trains from these weights on the same sets, in the same order of samples (recomputed here from the seed)
and with the same schedule: batches of 64 with a partial last one, two decays of the learning rate, rising lambda.
Prints for each loss term the largest relative difference within the first steps and over all steps, and the first step
that exceeds the bound; also the share of final targets with the same argmax. Exits with 1 if a bound is exceeded.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6), safetensors (0.8.0).
"""

import argparse
import csv
import gzip
import io
import os
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PURPOSE_SHUFFLE = 2
MEAN_STD = {
    "fashion_mnist": ([0.1307], [0.3081]),
    "cifar10": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}


def philox_first_word(key, c1, c2, c3):
    """Word 0 of Philox4x32-10 (Salmon et al., SC 2011) with counter (0, c1, c2, c3)."""
    c0, mask = 0, 0xFFFFFFFF
    k0, k1 = key & mask, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & mask, (p0 >> 32) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c0


def sample_order(count, seed, epoch):
    """The engine's order of an epoch: Fisher-Yates from the back, one Philox number a position."""
    order = np.arange(count)
    for i in range(count - 1, 0, -1):
        j = (philox_first_word(seed, i, epoch, PURPOSE_SHUFFLE) * (i + 1)) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def read_images(args):
    """uint8 [N, H, W, C] of the first args.samples training images."""
    if args.dataset == "cifar10":
        rows = [np.fromfile(os.path.join(args.data, f"data_batch_{i}.bin"), np.uint8) for i in range(1, 6)]
        planes = np.concatenate(rows).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))[: args.samples or None]
    path = os.path.join(args.data, "train-images-idx3-ubyte")
    data = open(path, "rb").read() if os.path.exists(path) else gzip.open(path + ".gz").read()
    return np.frombuffer(data, np.uint8, offset=16).reshape(-1, 28, 28, 1)[: args.samples or None]


def read_candidates(path, classes):
    with open(path) as f:
        rows = [line.strip().split(",")[1] for line in f.read().splitlines()[2:]]
    table = np.zeros((len(rows), classes), bool)
    for row, labels in enumerate(rows):
        table[row, [int(label) for label in labels.split()]] = True
    return table


def run_engine(args, folder):
    model = ["model.architecture=lenet"]
    if args.network != "lenet":
        depth, width = args.network.split("-")[1:]
        model = ["model.architecture=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    keys = [
        "run.name=engine", f"run.out_dir={folder}", f"run.epochs={args.epochs}", f"run.seed={args.seed}",
        f"data.dataset={args.dataset}", f"data.path={args.data}", f"data.verify={args.verify}",
        f"data.train_limit={args.samples}", "views.weak_policy=none", "views.strong_policy=none",
        f"optimiser.batch={args.batch}", f"optimiser.lr={args.lr}", "optimiser.schedule=step",
        f"optimiser.lr_decay_epochs={args.decay[0]},{args.decay[1]}", f"plcr.variant={args.variant}",
        f"plcr.ramp_epochs={args.ramp}", "log.steps=1", "log.charts=false", "checkpoint.save_init=true",
        "candidates.mode=uniform", f"candidates.rate={args.rate}", f"evaluation.every={args.epochs}", *model,
    ]  # fmt: skip
    config = os.path.join(folder, "job.ini")
    open(config, "w").write("[run]\n")
    sets = [part for key in keys for part in ("--set", key)]
    for command in (["candidates", config, "--out", os.path.join(folder, "sets.csv")], [config]):
        done = subprocess.run([args.engine, *command, *sets], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"compare_trajectory: the engine failed: {done.stderr.strip()}")
    return os.path.join(folder, "engine")


def run_peer(args, folder, run):
    images = read_images(args)
    mean, std = (np.array(x, np.float32) for x in MEAN_STD[args.dataset])
    pixels = (images.astype(np.float32) / np.float32(255) - mean) / std
    article = args.variant == "article"
    passed = [sum(e > d if article else e >= d for d in args.decay) for e in range(args.epochs)]
    ramp = [min(1.0, (e + 1 if article else e) / args.ramp) for e in range(args.epochs)]
    np.savez(
        os.path.join(folder, "job.npz"), images=pixels, candidates=read_candidates(os.path.join(folder, "sets.csv"), 10),
        order=np.stack([sample_order(len(images), args.seed, e) for e in range(args.epochs)]),
        lr=np.array([args.lr * 0.1**p for p in passed]), **{"lambda": np.array(ramp)},
    )  # fmt: skip
    out = os.path.join(folder, "peer.safetensors")
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "torch_plcr.py"), "train", "--network", args.network, "--init",
         os.path.join(run, "init.safetensors"), "--data", os.path.join(folder, "job.npz"), "--out", out,
         "--batch", str(args.batch), "--variant", args.variant, *(["--double"] if args.double else [])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"compare_trajectory: torch_plcr.py failed: {done.stderr.strip().splitlines()[-1]}")
    return list(csv.DictReader(io.StringIO(done.stdout))), load_file(out)["targets"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="lenet", help="lenet or wrn-DEPTH-WIDTH")
    parser.add_argument("--dataset", default="fashion_mnist", choices=sorted(MEAN_STD))
    parser.add_argument("--data", required=True, help="folder of the published files")
    parser.add_argument("--verify", default="true", choices=["true", "false"], help="check the files' sums")
    parser.add_argument("--samples", type=int, default=1000, help="the first n training images; 0: all")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=13)
    parser.add_argument("--decay", type=int, nargs=2, default=[6, 10], help="epochs at which the learning rate decays")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--ramp", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", default="article", choices=["article", "published"])
    parser.add_argument("--first", type=int, default=50, help="steps within which --bound holds")
    parser.add_argument("--bound", type=float, default=1e-4, help="of the relative difference of each loss term")
    parser.add_argument("--agree", type=float, default=0.999, help="share of final targets that must agree in argmax")
    parser.add_argument("--double", action="store_true", help="PyTorch computes in float64")
    parser.add_argument("--engine", default=os.path.join(ROOT, "build/release/dpll_engine"))
    parser.add_argument("--csv", help="write both trajectories here")
    args = parser.parse_args()
    args.data = os.path.abspath(args.data)

    with tempfile.TemporaryDirectory() as folder:
        run = run_engine(args, folder)
        ours = list(csv.DictReader(open(os.path.join(run, "steps.csv"))))
        theirs, their_targets = run_peer(args, folder, run)
        our_targets = load_file(os.path.join(run, "checkpoint.safetensors"))
        our_targets = next(our_targets[name] for name in our_targets if name.endswith("targets"))
    if len(ours) != len(theirs):
        sys.exit(f"compare_trajectory: {len(ours)} steps of the engine, {len(theirs)} of PyTorch")

    terms = {"total": "loss", "supervised": "supervised_loss", "consistency": "consistency_loss"}
    apart = {t: np.array([abs(float(o[c]) - float(p[t])) / max(abs(float(p[t])), 1e-12) for o, p in zip(ours, theirs)])
             for t, c in terms.items()}  # fmt: skip
    print(f"{args.network}, {args.dataset}, {args.variant}: {len(ours)} steps, {args.epochs} epochs, seed {args.seed}")
    print(f"{'term':12s} {'first ' + str(args.first):>12s} {'all':>12s} {'median':>12s}   first step above {args.bound:g}")
    for term, difference in apart.items():
        above = np.flatnonzero(~(difference <= args.bound))
        print(f"{term:12s} {difference[: args.first].max():12.2e} {difference.max():12.2e} {np.median(difference):12.2e}"
              f"   {above[0] + 1 if len(above) else 'none'}")  # fmt: skip
    agree = float((our_targets.argmax(1) == their_targets.argmax(1)).mean())
    print(f"targets that agree in argmax: {100 * agree:.2f} %; largest difference {abs(our_targets - their_targets).max():.2e}")
    print(f"loss at the last step: engine {float(ours[-1]['loss']):.6f}, PyTorch {float(theirs[-1]['total']):.6f}")
    if args.csv:
        with open(args.csv, "w", newline="") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(["step", *(f"{who}_{t}" for t in terms for who in ("engine", "torch"))])
            for o, p in zip(ours, theirs):
                out.writerow([o["step"], *(x for t, c in terms.items() for x in (o[c], p[t]))])
    broken = [t for t, d in apart.items() if not d[: args.first].max() <= args.bound]
    if broken or not agree >= args.agree:
        sys.exit(f"compare_trajectory: beyond the bounds: {', '.join(broken) or 'targets'}")


if __name__ == "__main__":
    main()
