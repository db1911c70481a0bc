"""Makes the tables of docs/performance.md from the raw outputs of tools/measure in a folder. Needs no package."""

import json
from pathlib import Path


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def read_json(path):
    return json.loads(path.read_text()) if path.exists() else None


def span(values, digits):
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} - {high}"


def digits_for(ms):
    return 3 if ms < 10 else 1 if ms < 100 else 0


def machine_section(folder):
    about = read_json(folder / "machine.json")
    rows = [[key, str(value).replace("\n", "; ")] for key, value in about.items() if value not in ("", None)]
    return "## Machine\n" + table(["what", ""], rows)


def torch_section(folder):
    compared = read_json(folder / "torch.json")
    if compared is None:
        return None
    parts = []
    for network in compared["networks"]:
        rounds = network["rounds"]
        engine = [r["engine"]["median_ms"] for r in rounds]
        digits = digits_for(min(engine))
        for peer, s in network["summary"].items():
            times = [r[peer]["median_ms"] for r in rounds]
            memory = "-"
            if "memory_bytes" in rounds[0][peer]:
                memory = " / ".join(
                    f"{max(r[who]['memory_bytes'] for r in rounds) / 2**20:.0f}" for who in ("engine", peer)
                )
            parts.append(
                [network["network"], f"{span(engine, digits)} ms", s["variant"], f"{span(times, digits)} ms",
                 f"{s['ratio_median']:.2f} ({s['ratio_least']:.2f} - {s['ratio_most']:.2f})"
                 + (" busy" if s["busy"] else ""), memory, s["includes"]]
            )  # fmt: skip
    first = compared["networks"][0]
    versions = ", ".join(
        f"{k} {first['torch'][k]}" for k in ("torch", "onednn", "cuda", "cudnn", "gpu") if first["torch"].get(k)
    )
    return (
        f"## A training step beside PyTorch\nEngine: {first['engine']}, commit {first['commit']}. Peer: {versions}. "
        f"{first['batch']} samples x 3 views, {len(first['rounds'])} rounds; ratio = PyTorch's time / the engine's.\n\n"
        + table(
            ["network", "engine", "PyTorch", "its time", "ratio", "MiB, engine / PyTorch", "PyTorch's step includes"],
            parts,
        )
    )


def steps_of(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("step-*.json"))]


def step_section(folder):
    steps = steps_of(folder)
    if not steps:
        return None
    phases = list(dict.fromkeys(phase for step in steps for phase in step["phases_ms"]))
    rows = []
    for s in steps:
        digits = digits_for(s["step_ms_median"])
        rows.append(
            [s["model"], f"{s['step_ms_median']:.{digits}f} ms",
             *(f"{s['phases_ms'][p]:.{max(digits, 2)}f}" for p in phases),
             f"{s['images_per_second']:.0f}", f"{s['gflops']:.0f}", f"{s['mfu_percent']:.1f} %",
             f"{s['memory']['backend_peak_bytes'] / 2**20:.0f}"]
        )  # fmt: skip
    header = ["network", "step", *(f"{p} ms" for p in phases), "images/s", "GFLOP/s", "of the product's", "MiB"]
    first = steps[0]
    return (
        f"## Phases of a step\n{first['backend']}, commit {first['commit']}; step: median, phases: means. In the same "
        f"runs a large product reached {span([s['product_ceiling_gflops'] for s in steps], 0)} GFLOP/s, a copy "
        f"{span([s['copy_ceiling_gb_per_s'] for s in steps], 1)} GB/s.\n\n" + table(header, rows)
    )


def limit_of(moved, done, copy_gb_per_s, product_gflop_per_s):
    """The roofline: ms that so many bytes and operations take at least, and which of the two needs them."""
    by_bytes, by_operations = moved / copy_gb_per_s * 1e-6, done / product_gflop_per_s * 1e-6
    return max(by_bytes, by_operations), "memory" if by_bytes > by_operations else "arithmetic"


def limits_section(folder):
    """What each phase could take at the machine's limits."""
    steps = steps_of(folder)
    rows = []
    for s in steps:
        for phase, ms in s["phases_ms"].items():
            moved, done = s["phases_bytes"].get(phase, 0), s["phases_operations"].get(phase, 0)
            limit, which = limit_of(moved, done, s["copy_ceiling_gb_per_s"], s["product_ceiling_gflops"])
            if limit > 0:
                rows.append([s["model"], phase, f"{ms:.3f}", f"{limit:.3f}", which, f"{100 * limit / ms:.0f} %"])
    if not rows:
        return None
    return "## What limits each phase\n" + table(
        ["network", "phase", "ms", "ms at the limit", "limit", "reached"], rows
    )


def ops_section(folder):
    report = read_json(folder / "ops.json")
    if not report or not report["benchmarks"]:
        return None
    ceilings = report["ceilings"]
    about = (
        f"{report['backend']}, commit {report['commit']}. In the same run a copy reached "
        f"{ceilings['copy_gb_per_s']:.1f} GB/s, a product {ceilings['product_gflop_per_s']:.0f} GFLOP/s. "
        f"'busy': the repetitions lie more than {report['busy_beyond_percent']:g} % apart."
    )
    cell = lambda value: "" if value is None else f"{value:.4g}"
    rows = []
    for op in report["benchmarks"]:
        limit, which = limit_of(
            op["bytes"], op["operations"], ceilings["copy_gb_per_s"], ceilings["product_gflop_per_s"]
        )
        rows.append(
            [op["name"], cell(op["median_us"]), cell(op["p90_us"]),
             cell(op["spread_percent"]) + (" busy" if op["busy"] else ""), cell(op["gb_per_s"]),
             cell(op["gflop_per_s"]), cell(op["operations"] / op["bytes"]), which, cell(limit * 1e3),
             f"{100 * limit * 1e3 / op['median_us']:.0f} %"]
        )  # fmt: skip
    header = ["operation", "median us", "p90 us", "spread %", "GB/s", "GFLOP/s", "operations a byte", "limit",
              "us at the limit", "reached"]  # fmt: skip
    return f"## Every operation beside its limits\n{about}\n\n" + table(header, rows)


def curves_section(folder):
    curves = read_json(folder / "curves" / "curves.json")
    if not curves:
        return None
    parts = ["## Scaling"]
    for curve in curves:
        columns = curve["columns"]
        rows = [
            [f"{value:.4g}" if value < 1e4 else f"{value:.0f}" for value in row]
            for row in zip(*columns.values(), strict=True)
        ]
        busy = f" Machine busy at {', '.join(f'{x:g}' for x in curve['busy_at'])}." if curve["busy_at"] else ""
        parts.append(
            f"### {curve['title']}\n{curve['about']}.{busy}\n\n![{curve['title']}](curves/{curve['name']}.png)\n\n"
            + table(list(columns), rows)
        )
    return "\n\n".join(parts)


def epoch_section(folder):
    rows = []
    for path in sorted(folder.glob("epoch-*.json")):
        run = json.loads(path.read_text())
        phases = run["epoch"]["phases_ms"]
        rows.append(
            [path.stem.removeprefix("epoch-"), run["model"], f"{run['epoch']['seconds']:.2f} s",
             ", ".join(f"{name} {ms / 1e3:.2f}" for name, ms in phases.items())]
        )  # fmt: skip
    if not rows:
        return None
    return "## An epoch as trained\n" + table(["configuration", "network", "time", "seconds by phase"], rows)


def precision_section(folder):
    rows = []
    for file in sorted(folder.glob("bf16-*.json")) + sorted(folder.glob("spins-*.json")):
        step = read_json(file)
        rows.append([file.stem, f"{step['step_ms_median']:.1f}", f"{step['step_ms_min']:.1f}"])
    for file in sorted(folder.glob("runs/*/summary.json")):
        accuracy = read_json(file)["last_epoch"]["test_accuracy"]
        rows.append([file.parent.name, f"{100 * accuracy:.2f} %", ""])
    if not rows:
        return None
    return "## By precision, seed and spinning\n" + table(["run", "median ms or accuracy", "least ms"], rows)


def write_tables(folder):
    """Writes tables.md of what is there; returns its path."""
    folder = Path(folder)
    sections = [
        machine_section,
        torch_section,
        step_section,
        limits_section,
        ops_section,
        curves_section,
        epoch_section,
        precision_section,
    ]
    texts = [text for text in (section(folder) for section in sections) if text]
    parts = read_json(folder / "parts.json") or []
    done = table(
        ["part", "result", "s", "command"], [[p["part"], p["result"], p["seconds"], f"`{p['command']}`"] for p in parts]
    )
    path = folder / "tables.md"
    path.write_text("\n\n".join(["# Figures", "## What was run\n" + done, *texts]) + "\n")
    return path
