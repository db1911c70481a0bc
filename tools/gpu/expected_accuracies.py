#!/usr/bin/env python3
"""Trains configs/quickstart.ini on the CPU with some seeds and writes the test accuracies as JSON, for a later comparison
with those of a GPU (tools/gpu_check).

  tools/gpu/expected_accuracies.py --engine build/cuda/dpll_engine --out expected.json --set data.path=FOLDER
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from gpu import readers, surroundings  # noqa: E402


def commit_of(engine):
    words = surroundings.output_of([engine, "--version"]).split("commit ", 1)
    return words[1].split(",")[0] if len(words) == 2 else "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as dpll_engine takes them")
    args = parser.parse_args()
    settings = [setting for setting in args.set if not setting.startswith(("data.path=", "data.verify="))]
    accuracies = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            own = [f"run.out_dir={folder}", f"run.name={seed}", f"run.seed={seed}", "run.device=cpu", "log.progress=false",
                   "log.charts=false"]  # fmt: skip
            command = [args.engine, str(surroundings.ROOT / "configs" / "quickstart.ini")]
            for setting in [*args.set, *own]:
                command += ["--set", setting]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            reading = readers.training(done.stdout, done.returncode)
            if "test_accuracy" not in reading.numbers:
                sys.exit(f"expected_accuracies: seed {seed}: {reading.finding}")
            accuracies[str(seed)] = reading.numbers["test_accuracy"]
            print(f"seed {seed}: {reading.finding}", flush=True)
    found = {"commit": commit_of(args.engine), "config": "configs/quickstart.ini", "device": "cpu", "settings": settings,
             "accuracies": accuracies}  # fmt: skip
    Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
