"""Describes the machine of a measurement, and runs programs that write figures. Needs no package."""

import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the package index calls modules that have another name.
PACKAGES = {"PIL": "Pillow"}


def programs_folder(device):
    """Where bench_step and its like are: a folder made by tools/bundle, or the build for the device."""
    if (ROOT / "bin" / "bench_step").exists():
        return ROOT
    return ROOT / "build" / ("cuda" if device == "cuda" else "release") / "tools"


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def first_line(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def commit():
    if (ROOT / "COMMIT").exists():
        return (ROOT / "COMMIT").read_text().strip()
    return first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]) or "unknown"


def describe():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "gpu": first_line(["nvidia-smi", "--query-gpu=name,driver_version,memory.total,power.limit",
                           "--format=csv,noheader"]),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "commit": commit(),
    }  # fmt: skip


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


class Failed(Exception):
    """A program that did not do what it was run for; its own last line."""


def run_for_json(command):
    """What the command writes to the file that is appended as --json FILE."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        try:
            done = subprocess.run([*command, "--json", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from None
        if not os.path.exists(out):
            raise Failed(f"exit code {done.returncode}: {last_line(done.stderr or done.stdout)}")
        with open(out) as f:
            return json.load(f)


def missing_package(python, modules):
    """What to tell the user when the interpreter lacks one of the modules, or nothing."""
    code = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    try:
        done = subprocess.run([python, "-c", code, *modules], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        return f"cannot run {python}: {error.strerror}"
    if done.returncode != 0:
        return f"{python}: {last_line(done.stderr)}"
    names = [PACKAGES.get(m, m) for m in done.stdout.split()]
    return (
        f"{', '.join(names)} not installed for {python} (from PyPI; --python names another interpreter)"
        if names
        else ""
    )
