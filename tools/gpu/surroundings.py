"""Finds what tools/gpu_check needs on a machine: our programs and data, the GPU, and other tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
FIND_LIBRARIES = """import importlib.util as u, os
found = [p for n in ("nvidia", "torch") for s in [u.find_spec(n)] if s for p in s.submodule_search_locations or []]
print(*dict.fromkeys(os.path.dirname(p) for p in found), sep=":")"""


class CannotBegin(Exception):
    """Why, in one line."""


def output_of(command, seconds=20, environment=None):
    """What a command prints, or nothing where it fails or does not end."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=seconds, env=environment)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


class Surroundings:
    def __init__(self, args, work):
        self.work, self.quick, self.settings = work, args.quick, args.set
        self._test_cases = {}  # by patterns, as several parts ask for the same
        self._find_programs(args.build)
        if shutil.which("timeout") is None:
            raise CannotBegin("there is no timeout, which is one of GNU's coreutils")
        self.gpu, self.gpus = self._gpu()
        self.mpirun = next((found for found in map(shutil.which, ("mpirun.openmpi", "mpirun", "mpiexec")) if found), None)
        self.python = args.python or os.environ.get("DPLL_TORCH_PYTHON") or shutil.which("python3") or sys.executable
        self.sanitizer = shutil.which("compute-sanitizer")
        if self.sanitizer is None and os.access("/usr/local/cuda/bin/compute-sanitizer", os.X_OK):
            self.sanitizer = "/usr/local/cuda/bin/compute-sanitizer"
        self._find_data()
        cifar = os.environ.get("DPLL_CIFAR10", "")
        self.cifar = cifar if os.path.isdir(cifar) else None
        self.environment = self._environment()

    def _find_programs(self, build):
        self.bundle = build is None and (ROOT / "bin" / "dpll_engine").exists()
        if self.bundle:
            self.folders = [ROOT]
            self.commit = (ROOT / "COMMIT").read_text().strip()
        else:
            build = Path(build).resolve() if build else ROOT / "build" / "cuda"
            self.folders = [build, build / "tests", build / "tools"]
            git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
            self.commit = output_of(git).strip() or "unknown"
        if not (self.program("dpll_engine") and self.program("dpll_tests")):
            raise CannotBegin(f"no program and tests in '{self.folders[0]}'; build them: cmake --preset cuda "
                              "-DDPLL_TESTS=ON, cmake --build --preset cuda")  # fmt: skip

    def program(self, name):
        """Where it is, or None."""
        for folder in self.folders:
            if os.access(folder / name, os.X_OK):
                return folder / name
        return None

    def watched_program(self, name):
        """Its path without the script that a bundle puts before it, and the variables that the script would set."""
        if not self.bundle:
            return self.program(name), {}
        before = os.environ.get("LD_LIBRARY_PATH")
        return ROOT / "bin" / name, {"LD_LIBRARY_PATH": f"{ROOT / 'lib'}" + (f":{before}" if before else "")}

    def _gpu(self):
        if shutil.which("nvidia-smi") is None:
            raise CannotBegin("there is no nvidia-smi: NVIDIA's driver is not installed")
        names = output_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).strip().split("\n")
        if not names[0]:
            raise CannotBegin("nvidia-smi finds no GPU")
        return names[0], len(names)

    def _find_data(self):
        """Images to train on and, in a bundle made for this, what the CPU made of them."""
        self.expected, self.data_settings, self.data = None, [], None
        own = ROOT / "data" / "fashion-mnist"
        for folder in (os.environ.get("DPLL_FASHION_MNIST"), own if self.bundle else None, FASHION_MNIST):
            if folder and os.path.isdir(folder):
                self.data = str(folder)
                break
        if self.data is None:
            return
        self.data_settings = [f"data.path={self.data}"]
        if self.data != FASHION_MNIST:
            # A piece of the published files has other sums than the whole.
            self.data_settings += ["data.verify=false", "data.train_limit=0"]
        expected = ROOT / "data" / "expected.json"
        if self.bundle and expected.exists():
            self.expected = json.loads(expected.read_text())

    def _environment(self):
        environment = dict(os.environ)
        environment |= {"DPLL_REQUIRE_CUDA": "1", "XDG_CACHE_HOME": str(self.work / "cache-home")}
        if not environment.get("DPLL_CUDA_LIBRARIES"):
            # cuDNN is often there only as a package beside PyTorch.
            found = output_of([self.python, "-c", FIND_LIBRARIES], environment=environment).strip()
            folders = [folder for folder in found.split(":") if folder and os.path.isdir(folder)]
            if folders:
                environment["DPLL_CUDA_LIBRARIES"] = ":".join(folders)
        return environment

    def test_cases(self, patterns):
        """Names of the test cases that match, or None where the program cannot say."""
        key = tuple(patterns)
        if key not in self._test_cases:
            self._test_cases[key] = self._list_test_cases(patterns)
        return self._test_cases[key]

    def _list_test_cases(self, patterns):
        text = output_of([str(self.program("dpll_tests")), "--list-test-cases", f"--test-case={','.join(patterns)}"],
                         environment=self.environment)  # fmt: skip
        if not text:
            return None
        parts = re.split(r"^=+$", text, flags=re.M)
        return [line.strip() for line in parts[1].splitlines() if line.strip()] if len(parts) >= 3 else None
