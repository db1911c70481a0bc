"""Summarises the output of a part of tools/gpu_check: one line for the summary, and figures for results.json.

A reader takes the output and the exit code and returns a Reading. Needs no package.
"""

import json
import re
from dataclasses import dataclass, field


@dataclass
class Reading:
    finding: str
    numbers: dict = field(default_factory=dict)
    verdict: str = ""  # passed, failed or skipped if the exit code does not tell


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def last_line(text, code):
    lines = lines_of(text)
    return Reading(lines[-1] if lines else "it said nothing")


def first_line(text, code):
    lines = lines_of(text)
    return Reading(lines[0] if lines else "it said nothing")


def table(text, code):
    """A Markdown table: its number of rows and its last one."""
    rows = [line for line in lines_of(text) if line.startswith("|")][2:]
    return Reading(f"{len(rows)} rows; {rows[-1]}" if rows else last_line(text, code).finding, {"rows": rows})


def versions(text, code):
    """The program's own words, then those of nvidia-smi and uname; the GPU is what one looks for."""
    found = {}
    for line in lines_of(text):
        for key, start in (("cudnn", "cuDNN "), ("cublas", "cuBLAS"), ("toolkit", "CUDA toolkit "), ("gpu", "GPU: ")):
            if line.startswith(start) or (key == "gpu" and line.startswith("no usable NVIDIA GPU")):
                found.setdefault(key, line)
    words = [found[key] for key in ("gpu", "cudnn") if key in found]
    return Reading("; ".join(words) or last_line(text, code).finding, {"machine": lines_of(text)})


def device_description(text, code):
    """cuDNN's JSON of the GPU, as tests/golden/device-h100.json has it."""
    try:
        description = json.loads(text)
        name = f"{description['deviceName']}, {description['multiProcessorCount']} multiprocessors"
    except (ValueError, KeyError, TypeError):
        return last_line(text, code)
    return Reading(name, {"cudnn_device": description})


OFF = re.compile(r"off by more than ([0-9.e+-]+)(?:.*?off by ([0-9.e+-]*[0-9]))?")


def test_case(text, code):
    """A run of dpll_tests. Where a value is off by too much, by how much, beside its bound."""
    lines = lines_of(text)
    if code == 0:
        skipped = [line for line in lines if line.startswith("skipped: ")]
        if skipped:
            return Reading(skipped[0], verdict="skipped")
        counts = last_line(text, code).finding
        if counts.startswith("0 passed"):
            return Reading("no test case ran", verdict="failed")
        return Reading(counts)
    for line in lines:
        off = OFF.search(line)
        if off:
            numbers = {"bound": float(off[1])}
            if off[2]:
                numbers["worst"] = float(off[2])
            return Reading(line.replace("logged: ", "", 1), numbers)
    for start in ("logged: ", "DPLL_REQUIRE_CUDA", "values: "):
        for line in lines:
            if line.startswith(start):
                return Reading(line.replace("logged: ", "", 1))
    return last_line(text, code)


def selftest(text, code):
    failed = [line for line in lines_of(text) if line.startswith("failed ")]
    return Reading(failed[0]) if failed else last_line(text, code)


FINDING = re.compile(r"^[! ] +(?:(beyond any bound)|([0-9.e+-]+) of the bound)  (.*)$")


def device_check(text, code):
    """The largest error of each result is printed in units of its bound: above 1 is wrong."""
    worst, where, results, marked = -1.0, "", 0, 0
    for line in text.splitlines():
        found = FINDING.match(line)
        if not found:
            continue
        results += 1
        marked += line.startswith("!")
        # JSON has no infinity.
        value = 1e300 if found[1] else float(found[2])
        if value > worst:
            worst, where = value, found[3].strip()
    if results == 0:
        return last_line(text, code)
    of = "beyond any bound" if worst == 1e300 else f"{worst:.2g} of the bound"
    numbers = {"worst": worst, "bound": 1, "where": where, "results": results, "beyond": marked}
    return Reading(f"{results} results, {marked} beyond their bounds; the largest error is {of}: {where}", numbers)


ACCURACY = re.compile(r"^test accuracy +([0-9.]+)%  last epoch", re.M)


def training(text, code):
    found = ACCURACY.search(text)
    if code != 0 or not found:
        return last_line(text, code)
    return Reading(f"test accuracy {found[1]}%", {"test_accuracy": float(found[1])})


def automatic_device(text, code):
    """The first line of a run with device = auto says which device it is, and why."""
    lines = [line for line in lines_of(text) if line.startswith("device: ")]
    if code != 0 or not lines:
        return last_line(text, code)
    warnings = [line for line in lines_of(text) if line.startswith("warning: cuda:")]
    on_gpu = lines[0].startswith("device: cuda")
    return Reading(lines[0] if on_gpu else (warnings or lines)[0], verdict="passed" if on_gpu else "failed")


SANITIZER = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: .*")


def sanitizer(text, code):
    summary = SANITIZER.search(text)
    if not summary:
        return test_case(text, code)
    errors = [line.lstrip("= ") for line in lines_of(text) if line.startswith("========= ")]
    first = [line for line in errors if re.match(r"(Invalid|Misaligned|Error|Uninitialized|Barrier|Warning|Program hit)", line)]
    finding = summary[0] + (f"; {first[0]}" if first else "")
    count = re.search(r"SUMMARY: (\d+)", summary[0])
    return Reading(finding, {"reports": int(count[1])} if count else {})


STEP_KEYS = ("model", "backend", "step_ms_median", "step_ms_min", "step_ms_p90", "images_per_second", "gflops",
             "mfu_percent", "product_ceiling_gflops", "copy_ceiling_gb_per_s", "kernel_gap_us", "phases_ms",
             "memory")  # fmt: skip


# A node in the text of a CUDA graph: its kind, and of a kernel the name before the launch configuration.
NODE = re.compile(r'^"graph_\d+_node_\d+"\[[^\]]*?label="\{?\s*([A-Z][A-Z_ ]*)(.*?)"\];', re.M | re.S)
KERNEL = re.compile(r"\| ([^|{}\s]+?)\\?<")
FEWEST_KERNELS = 5  # of different names in the graph of a training step; a trial of the autotuner repeats one engine


def graphs_of(folder):
    """The graphs of the training step and of the evaluation: how many nodes of each kind, how often each kernel, most nodes
    first. The autotuner's trials are left out, and their files removed."""
    graphs = []
    for path in sorted(folder.glob("graph-*.dot")):
        nodes, kernels = {}, {}
        for node in NODE.finditer(path.read_text(errors="replace")):
            kind = node[1].strip()
            nodes[kind] = nodes.get(kind, 0) + 1
            kernel = KERNEL.search(node[2])
            if kind == "KERNEL" and kernel:
                kernels[kernel[1]] = kernels.get(kernel[1], 0) + 1
        if len(kernels) < FEWEST_KERNELS:
            path.unlink()
        elif {"nodes": nodes, "kernels": kernels} not in graphs:
            graphs.append({"nodes": nodes, "kernels": kernels})
    return sorted(graphs, key=lambda graph: -sum(graph["nodes"].values()))


def step_of(path, graphs):
    """A reader of what bench_step writes to `path`, and of the CUDA graphs in the folder `graphs`."""

    def read(text, code):
        try:
            figures = json.loads(path.read_text())
            numbers = {key: figures[key] for key in STEP_KEYS if key in figures}
            finding = (f"{numbers['step_ms_median']:.3f} ms a step, {numbers['images_per_second']:.0f} images/s, "
                       f"{numbers['mfu_percent']:.1f}% of the product ceiling")  # fmt: skip
        except (OSError, ValueError, KeyError):
            return last_line(text, code)
        numbers["graphs"] = graphs_of(graphs)
        if numbers["graphs"]:
            finding += f"; {sum(numbers['graphs'][0]['nodes'].values())} nodes in the largest graph"
        if "kernel_gap_us" in numbers:
            finding += f"; an empty kernel takes {numbers['kernel_gap_us']:.2f} us"
        return Reading(finding, numbers)

    return read


def torch_of(path):
    """A reader of what compare_torch writes to `path`."""

    def read(text, code):
        try:
            networks = json.loads(path.read_text())["networks"]
            found = [(n, s) for n in networks for s in n["summary"].values()]
            finding = "; ".join(f"{s['ratio_median']:.2f} times as fast as {s['variant']}" for _, s in found)
            numbers = {"torch": networks[0]["torch"], "screened_ms": networks[0]["screened"],
                       "rounds": networks[0]["rounds"], "summary": networks[0]["summary"]}  # fmt: skip
        except (OSError, ValueError, KeyError, IndexError):
            return last_line(text, code)
        return Reading(finding, numbers)

    return read


OTHER = re.compile(r"^ +([0-9.]+) ms  (.+)$")
LEFT_OUT = re.compile(r"^ +left out  (.+?): (.*)$")


def engines(text, code):
    """The table of `dpll_engine tune --list`: each shape's engine, the others, and those left out with their reasons."""
    shapes = []
    in_table = False
    for line in text.splitlines():
        if line.startswith("pass and shape "):
            in_table = True
            continue
        if not in_table:
            continue
        other, left_out = OTHER.match(line), LEFT_OUT.match(line)
        if shapes and other:
            shapes[-1]["others"].append({"name": other[2], "ms": float(other[1])})
        elif shapes and left_out:
            shapes[-1]["left_out"].append({"name": left_out[1], "why": left_out[2]})
        else:
            cells = re.split(r" {2,}", line.strip())
            if len(cells) < 4:
                continue
            tflops = float(cells[3]) if re.fullmatch(r"[0-9.]+", cells[3]) else None
            shapes.append({"shape": cells[0], "chosen": cells[1], "ms": float(cells[2]), "tflops": tflops,
                           "others": [], "left_out": []})  # fmt: skip
    if not shapes:
        return last_line(text, code)
    wrong = sum(len(shape["left_out"]) for shape in shapes)
    total = sum(shape["ms"] for shape in shapes)
    finding = f"{len(shapes)} passes, {total:.2f} ms with the chosen engines; {wrong} engines left out"
    return Reading(finding, {"engines": shapes})
