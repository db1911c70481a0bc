"""PLCR in PyTorch, for comparison with the engine.

  python tools/peers/torch_plcr.py bench [--network lenet wrn-16-2] [--variants eager published ...] [--json out.json]
  python tools/peers/torch_plcr.py bench --device cuda
  python tools/peers/torch_plcr.py train --network wrn-16-2 --init a.safetensors --data data.npz --out b.safetensors

`bench` times training steps of the jobs in tools/peers/bench_jobs.py. `train` starts from a given state dict, trains on
given images in a given order and prints the losses of every step as CSV, so that a run of the engine from the same
initial values can be compared with it.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6); train: safetensors (0.8.0); bench of `published`: Pillow (13.0.0).
"""

import argparse
import csv
import os
import sys

try:
    import numpy as np
    import torch
except ModuleNotFoundError as missing:
    sys.exit(f"torch_plcr: the package {missing.name} is not installed for {sys.executable}")

import bench_jobs
import bench_run
import networks
import plcr


def usable_cores():
    return len(os.sched_getaffinity(0))


def train(args):
    """The file given by --data (.npz) holds
      candidates  bool or uint8 [N, classes]
      order       int [epochs, N]: the sample at each position of each epoch
      lr, lambda  float [epochs]: learning rate and weight of the consistency term
      images      float [N, H, W, C], already normalised; every view of a sample is this image, or
      views       float [epochs, V, N, H, W, C]: the views at each position of each epoch
    """
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(args.threads)
    dtype = torch.float64 if args.double else torch.float32
    data = np.load(args.data)
    candidates = torch.from_numpy(data["candidates"].astype(bool))
    order = torch.from_numpy(data["order"].astype(np.int64))
    samples, classes = candidates.shape
    pixels = data["views"] if "views" in data else data["images"]
    size, channels = pixels.shape[-2:]
    pixels = torch.from_numpy(pixels).to(dtype).movedim(-1, -3)  # NCHW from here on

    module = networks.parse_network(args.network, classes, channels, size, args.dropout)
    module.load_state_dict(load_file(args.init), strict=True)
    module.to(dtype=dtype, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        module.parameters(), lr=1, momentum=args.momentum, weight_decay=args.weight_decay, nesterov=args.nesterov
    )
    targets = plcr.initial_targets(candidates, dtype)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["step", "epoch", "lambda", "lr", "total", "supervised", "consistency"])
    step = 0
    for epoch, (lr, weight) in enumerate(zip(data["lr"].tolist(), data["lambda"].tolist(), strict=True)):
        optimizer.param_groups[0]["lr"] = lr
        for first in range(0, samples, args.batch):
            last = min(first + args.batch, samples)
            rows = order[epoch, first:last]
            views = list(pixels[epoch, :, first:last]) if "views" in data else [pixels[rows]] * args.views
            views = [v.contiguous(memory_format=torch.channels_last) for v in views]
            supervised, consistency, targets[rows] = plcr.plcr_step(
                module, optimizer, views, candidates[rows], targets[rows], weight, plcr.OFFSET[args.variant]
            )
            total = supervised + weight * consistency
            out.writerow([step, epoch, weight, lr, *(f"{float(x):.17g}" for x in (total, supervised, consistency))])
            step += 1
    final = module.state_dict()
    save_file({name: value.contiguous() for name, value in final.items()} | {"targets": targets}, args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    b = commands.add_parser("bench", help="time training steps", description=bench_jobs.__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    b.add_argument("--network", nargs="+", help="default: lenet wrn-16-2 wrn-28-2, on a GPU also wrn-34-10")
    b.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    b.add_argument("--variants", nargs="+", help="default: eager, on a GPU published amp compiled graph")
    b.add_argument("--batch", type=int, default=64, help="samples a step")
    b.add_argument("--views", type=int, default=3)
    b.add_argument("--classes", type=int, default=10)
    b.add_argument("--threads", type=int, default=usable_cores())
    b.add_argument("--malloc", choices=["default", "keep"], default="keep", help="keep: freed memory stays mapped")
    b.add_argument("--warmup", type=int, default=3)
    b.add_argument("--repeats", type=int, default=10, help="at least so many steps of every variant")
    b.add_argument("--seconds", type=float, default=10, help="and at least so long per variant")
    b.add_argument("--json", help="write machine and rows to this file")
    b.set_defaults(run=bench_run.bench)

    t = commands.add_parser("train", help="train from given initial values", description=train.__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    t.add_argument("--network", required=True, help="lenet or wrn-DEPTH-WIDTH")
    t.add_argument("--init", required=True, help="state dict, safetensors")
    t.add_argument("--data", required=True, help="npz, see above")
    t.add_argument("--out", required=True, help="final state dict and target table, safetensors")
    t.add_argument("--batch", type=int, default=64)
    t.add_argument("--views", type=int, default=3, help="with `images`; `views` brings its own number")
    t.add_argument("--variant", choices=sorted(plcr.OFFSET), default="article")
    t.add_argument("--momentum", type=float, default=0.9)
    t.add_argument("--weight-decay", type=float, default=1e-4)
    t.add_argument("--nesterov", action="store_true")
    t.add_argument("--dropout", type=float, default=0.0)
    t.add_argument("--double", action="store_true", help="compute in float64")
    t.add_argument("--threads", type=int, default=usable_cores())
    t.set_defaults(run=train)

    args = parser.parse_args()
    try:
        args.run(args)
    except (ValueError, ModuleNotFoundError) as error:
        sys.exit(f"torch_plcr: {error}")


if __name__ == "__main__":
    main()
