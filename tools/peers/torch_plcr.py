"""PLCR in PyTorch: the peer that the engine is compared with.

  python tools/peers/torch_plcr.py bench [--network lenet wrn-16-2 wrn-28-2] [--json out.json]
  python tools/peers/torch_plcr.py train --network wrn-16-2 --init init.safetensors --data data.npz --out final.safetensors

`bench` times one training step on the CPU, data resident in memory. `train` starts from a given state dict, walks a
given batch order over given images and prints the losses of every step as CSV, so that a run of the engine from the
same initial values can be laid beside it.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6), safetensors (0.8.0).
"""

import argparse
import csv
import ctypes
import itertools
import json
import os
import platform
import statistics
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import networks
import plcr


# A median so far above the minimum means that other work shared the cores: compare minima only, or measure again.
NOISE_BOUND = 1.15
LAYOUTS = ("contiguous", "channels_last")


def usable_cores():
    return len(os.sched_getaffinity(0))


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def keep_freed_memory():
    """Lets glibc keep freed blocks, as PyTorch's tuning guide advises by way of another allocator: otherwise every
    large activation is mapped, zeroed by the kernel and unmapped again in each step."""
    libc = ctypes.CDLL("libc.so.6")
    m_trim_threshold, m_mmap_threshold = -1, -3
    # 32 MiB is the largest threshold glibc accepts; larger blocks are still mapped one by one.
    libc.mallopt(m_mmap_threshold, 32 << 20)
    libc.mallopt(m_trim_threshold, -1 & 0x7FFFFFFF)


# ---- bench ------------------------------------------------------------------------------------------------------


class BenchStep:
    """One variant of the training step with everything it touches resident in memory."""

    def __init__(self, network, batch, views, classes, channels_last, schedule, compiled):
        channels, size = (1, 28) if network == "lenet" else (3, 32)
        torch.manual_seed(1)
        module = networks.parse_network(network, classes, channels, size)
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.module = module.to(memory_format=memory_format).train()
        images = torch.randn(views * batch, channels, size, size).contiguous(memory_format=memory_format)
        self.schedule = schedule
        if schedule == "merged":
            plcr.use_per_view_batch_norm(self.module, views)
            self.views = images
        else:
            self.views = list(images.chunk(views))
        self.forward = torch.compile(self.module) if compiled else self.module
        self.candidates = torch.rand(batch, classes) < 0.3
        self.candidates[torch.arange(batch), torch.randint(classes, (batch,))] = True
        self.targets = plcr.initial_targets(self.candidates)
        # The small rate keeps random inputs from diverging; the cost of a step does not depend on it.
        self.optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
        self.label = f"{'channels_last' if channels_last else 'contiguous'}/{schedule}" + (
            "/compile" if compiled else ""
        )

    def run(self):
        supervised, consistency, self.targets = plcr.plcr_step(
            self.forward, self.optimizer, self.views, self.candidates, self.targets, 0.5, plcr.OFFSET["article"],
            self.schedule,
        )  # fmt: skip
        return float(supervised + 0.5 * consistency)


def bench_network(network, args):
    variants = [
        BenchStep(network, args.batch, args.views, args.classes, layout == "channels_last", schedule, compiled)
        for compiled in ([False, True] if args.compile else [False])
        for layout in args.layouts
        for schedule in args.schedules
    ]
    seconds = {v.label: [] for v in variants}
    for v in variants:
        for _ in range(args.warmup):
            v.run()
    # Rounds go over all variants in turn, so that a busy neighbour does not fall on one of them alone.
    deadline = time.perf_counter() + args.seconds * len(variants)
    for done in itertools.count():
        if done >= args.repeats and time.perf_counter() > deadline:
            break
        for v in variants:
            begin = time.perf_counter()
            loss = v.run()
            seconds[v.label].append(time.perf_counter() - begin)
            if not np.isfinite(loss):
                sys.exit(f"{network} {v.label}: loss is {loss}")
    images = args.batch * args.views
    rows = []
    for v in variants:
        ms = sorted(1e3 * s for s in seconds[v.label])
        median, least = statistics.median(ms), ms[0]
        rows.append(
            {
                "network": network,
                "variant": v.label,
                "steps": len(ms),
                "median_ms": round(median, 3),
                "min_ms": round(least, 3),
                "p90_ms": round(ms[int(0.9 * (len(ms) - 1))], 3),
                "images_per_s_median": round(1e3 * images / median, 1),
                "images_per_s_best": round(1e3 * images / least, 1),
                "noisy": median > NOISE_BOUND * least,
            }
        )
    return rows


def bench(args):
    if args.malloc == "keep":
        keep_freed_memory()
    torch.set_num_threads(args.threads)
    info = {
        "torch": torch.__version__,
        "onednn": torch.backends.mkldnn.is_available(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cpu": cpu_model(),
        "malloc": args.malloc,
        "batch": args.batch,
        "views": args.views,
        "classes": args.classes,
        "load_before": os.getloadavg()[0],
    }
    print(f"torch {info['torch']}, {info['cpu_capability']}, {info['threads']} threads, {info['cpu']}")
    print(f"step = {args.batch} samples x {args.views} views, float32; load average before: {info['load_before']:.2f}")
    rows = []
    for network in args.network:
        measured = bench_network(network, args)
        best = min(measured, key=lambda r: r["min_ms"])
        for row in measured:
            row["best"] = row is best
            print(
                f"{row['network']:9s} {row['variant']:32s} min {row['min_ms']:9.2f} ms  median {row['median_ms']:9.2f} ms"
                f"  p90 {row['p90_ms']:9.2f} ms  {row['images_per_s_best']:8.1f} images/s at min  n={row['steps']}"
                + ("  (noisy: machine busy)" if row["noisy"] else "")
                + ("  <- best" if row["best"] else ""),
                flush=True,
            )
        rows += measured
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"machine": info, "rows": rows}, f, indent=1)
            f.write("\n")


# ---- train ------------------------------------------------------------------------------------------------------


def train(args):
    """The file given by --data (.npz) holds
      candidates  bool or uint8 [N, classes]
      order       int [epochs, N]: the sample at each position of each epoch
      lr, lambda  float [epochs]: learning rate and weight of the consistency term
      images      float [N, H, W, C], already normalised; every view of a sample is this image, or
      views       float [epochs, V, N, H, W, C]: the views at each position of each epoch
    """
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

    b = commands.add_parser("bench", help="time one training step on the CPU")
    b.add_argument("--network", nargs="+", default=["lenet", "wrn-16-2", "wrn-28-2"])
    b.add_argument("--batch", type=int, default=64, help="samples a step")
    b.add_argument("--views", type=int, default=3)
    b.add_argument("--classes", type=int, default=10)
    b.add_argument("--threads", type=int, default=usable_cores())
    b.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    b.add_argument("--schedules", nargs="+", choices=plcr.SCHEDULES, default=plcr.SCHEDULES)
    b.add_argument("--compile", action="store_true", help="measure torch.compile of the network as well")
    b.add_argument("--malloc", choices=["default", "keep"], default="keep", help="keep: freed memory stays mapped")
    b.add_argument("--warmup", type=int, default=3)
    b.add_argument("--repeats", type=int, default=10, help="at least so many steps of every variant")
    b.add_argument("--seconds", type=float, default=10, help="and at least so long per variant")
    b.add_argument("--json", help="write machine and rows to this file")
    b.set_defaults(run=bench)

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
    args.run(args)


if __name__ == "__main__":
    main()
