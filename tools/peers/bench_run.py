"""Times the jobs of bench_jobs.py: rows of figures and what they were measured on.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6).
"""

import ctypes
import gc
import itertools
import json
import math
import os
import re
import statistics
import sys
import time
import warnings

import torch

import bench_jobs
import machine
import networks

# A median so far above the minimum means that other work shared the cores: compare minima only, or measure again.
NOISE_BOUND = 1.15


def keep_freed_memory():
    """Lets glibc keep freed blocks, as PyTorch's tuning guide advises by way of another allocator: otherwise every
    large activation is mapped, zeroed by the kernel and unmapped again in each step."""
    libc = ctypes.CDLL("libc.so.6")
    m_trim_threshold, m_mmap_threshold = -1, -3
    # 32 MiB is the largest threshold glibc accepts; larger blocks are still mapped one by one.
    libc.mallopt(m_mmap_threshold, 32 << 20)
    libc.mallopt(m_trim_threshold, -1 & 0x7FFFFFFF)


def machine_info(args):
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    info = {
        "torch": torch.__version__,
        "onednn": onednn[1] if onednn else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cpu": machine.cpu_model(),
        "device": args.device,
        "malloc": args.malloc,
        "batch": args.batch,
        "views": args.views,
        "classes": args.classes,
        "load_before": os.getloadavg()[0],
    }
    if args.device == "cuda":
        info |= {
            "gpu": torch.cuda.get_device_name(),
            "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "cudnn_tf32": torch.backends.cudnn.allow_tf32,
            "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        }
    return info


def checked(job, loss):
    if not math.isfinite(float(loss)):
        raise RuntimeError(f"the loss is {float(loss)}")


def times_in_turn(jobs, args):
    """Seconds of each step. Rounds go over all jobs in turn, so that a busy neighbour does not fall on one alone."""
    times = [[] for _ in jobs]
    deadline = time.perf_counter() + args.seconds * len(jobs)
    for done in itertools.count():
        if done >= args.repeats and time.perf_counter() > deadline:
            return times
        for job, seconds in zip(jobs, times, strict=True):
            begin = time.perf_counter()
            loss = float(job.run())  # waits for it
            seconds.append(time.perf_counter() - begin)
            checked(job, loss)


def times_on_gpu(job, args):
    """By the clock of the GPU, which the host runs ahead of."""
    times, deadline = [], time.perf_counter() + args.seconds
    while len(times) < args.repeats or time.perf_counter() < deadline:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(args.repeats + 1)]
        marks[0].record()
        for mark in marks[1:]:
            loss = job.run()
            mark.record()
        torch.cuda.synchronize()
        times += [a.elapsed_time(b) * 1e-3 for a, b in itertools.pairwise(marks)]
        checked(job, loss)
    return times


def figures(setting, variant, job, seconds):
    ms = sorted(1e3 * s for s in seconds)
    images = setting.batch * setting.views
    median, least = statistics.median(ms), ms[0]
    return {
        "network": setting.network,
        "variant": variant,
        "includes": job.includes,
        "times": len(ms),
        "median_ms": round(median, 4),
        "min_ms": round(least, 4),
        "p90_ms": round(ms[len(ms) * 9 // 10], 4),
        "images_per_s_median": round(1e3 * images / median, 1),
        "images_per_s_best": round(1e3 * images / least, 1),
        "noisy": median > NOISE_BOUND * least,
    }


def warmed_up(setting, variant, args):
    job = bench_jobs.make_job(setting, variant)
    if not isinstance(job, bench_jobs.Published):
        # Recordings of the compiler's own begin with the third run.
        for _ in range(max(args.warmup, 6 if args.device == "cuda" else 1)):
            job.run()
    return job


def measure_alone(setting, variant, args):
    """One row, on a GPU with the most memory that the job ever held."""
    on_gpu = args.device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    job = warmed_up(setting, variant, args)
    if isinstance(job, bench_jobs.Published):
        seconds, loss = job.measure(args.warmup, args.repeats, args.seconds)
        checked(job, loss)
    else:
        seconds = times_on_gpu(job, args) if on_gpu else times_in_turn([job], args)[0]
    row = figures(setting, variant, job, seconds)
    if on_gpu:
        row["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
        row["peak_reserved_bytes"] = torch.cuda.max_memory_reserved()
    return row


def give_back_memory(args):
    gc.collect()
    torch._dynamo.reset()
    if args.device == "cuda":
        from torch._inductor import cudagraph_trees

        cudagraph_trees.reset_cudagraph_trees()
        torch.cuda.empty_cache()


def one_line(error):
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed"
    text = str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[0].split())


def bench_network(network, variants, args):
    setting = bench_jobs.Setting(network, args.batch, args.views, args.classes, args.device)
    # Those that do the same and wait for each step take turns; on a GPU each has the memory for itself.
    together = [v for v in variants if args.device == "cpu" and v.split("/")[0] in ("eager", "inductor")]
    rows = {}
    if together:
        jobs = [warmed_up(setting, v, args) for v in together]
        for v, job, seconds in zip(together, jobs, times_in_turn(jobs, args), strict=True):
            rows[v] = figures(setting, v, job, seconds)
        del jobs
    for v in variants:
        if v in rows:
            continue
        try:
            rows[v] = measure_alone(setting, v, args)
        except Exception as error:  # what fails here, a compiler perhaps, does not take the others along
            rows[v] = {"network": network, "variant": v, "error": one_line(error)}
        give_back_memory(args)
    return [rows[v] for v in variants]


def row_text(row):
    start = f"{row['network']:9s} {row['variant']:34s} "
    if "error" in row:
        return f"{start}FAILED: {row['error']}"
    memory = f"  {row['peak_memory_bytes'] / 2**20:.0f} MiB" if "peak_memory_bytes" in row else ""
    return (
        f"{start}min {row['min_ms']:9.3f} ms  median {row['median_ms']:9.3f} ms  p90 {row['p90_ms']:9.3f} ms"
        f"  {row['images_per_s_best']:8.1f} images/s at min  n={row['times']}{memory}"
        + ("  (noisy: machine busy)" if row["noisy"] else "")
        + ("  <- best" if row["best"] else "")
    )


def bench(args):
    on_gpu = args.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise ValueError(f"--device cuda: PyTorch {torch.__version__} finds no GPU that it can use")
    variants = bench_jobs.chosen_variants(
        args.variants or (["published", "amp", "compiled", "graph"] if on_gpu else ["eager"]), args.device
    )
    all_networks = args.network or ["lenet", "wrn-16-2", "wrn-28-2", *(["wrn-34-10"] if on_gpu else [])]
    for network in all_networks:
        networks.check_name(network)
    if args.malloc == "keep":
        keep_freed_memory()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    # Every variant is a network of its own to the compiler, which else falls back to eager after a few.
    for limit in ("recompile_limit", "cache_size_limit"):
        if hasattr(torch._dynamo.config, limit):
            setattr(torch._dynamo.config, limit, 64)
    info = machine_info(args)
    print(f"torch {info['torch']}, {info['cpu_capability']}, {info['threads']} threads, {info['cpu']}"
          + (f", {info['gpu']}, CUDA {info['cuda']}, cuDNN {info['cudnn']}" if on_gpu else ""))  # fmt: skip
    print(f"step = {args.batch} samples x {args.views} views; load average before: {info['load_before']:.2f}")
    rows = []
    for network in all_networks:
        measured = bench_network(network, variants, args)
        best = min((r for r in measured if "error" not in r), key=lambda r: r["min_ms"], default=None)
        for row in measured:
            row["best"] = row is best
            print(row_text(row), flush=True)
        rows += measured
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"machine": info, "rows": rows}, f, indent=1)
            f.write("\n")
    if all("error" in row for row in rows):
        sys.exit("torch_plcr: no variant could be measured")
