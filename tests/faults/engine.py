"""Small runs of the engine, with or without a failure, and their files. Needs no package."""

import csv
import hashlib
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TIME_LIMIT = 120  # seconds; a run takes about one

CONFIG = """[run]
threads = 1
epochs = 3
name = run
device = cpu
[data]
dataset = fashion_mnist
path = {data}
verify = false
[model]
architecture = mlp
hidden = 8
[views]
policy = none
strong = 1
[optimiser]
batch = 16
[log]
charts = false
"""
TIMES = {"seconds", "images_per_second"}  # columns of the metrics that no two runs share


class CannotBegin(Exception):
    """Nothing can be tried, and why."""


@dataclass
class Ended:
    code: int  # negative: the signal that ended it
    out: str
    err: str

    def words(self):
        return f"exit code {self.code}; {(self.err or self.out).strip()[-300:]}"


@dataclass
class Point:
    number: int
    call: str
    path: str
    more: str


@dataclass
class Engine:
    """The program, the library that hurts it, and a folder for the trials."""

    program: Path
    library: Path
    work: Path
    settings: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    def trial(self):
        return Trial(self, Path(tempfile.mkdtemp(prefix="trial-", dir=self.work)))

    def with_settings(self, *settings, program=None, **environment):
        return Engine(program or self.program, self.library, self.work, [*self.settings, *settings],
                      self.environment | environment)  # fmt: skip

    def reference(self):
        """An undisturbed run: its results, and all points at which another one could be hurt."""
        with self.trial() as trial:
            ended = trial.run()
            if ended.code != 0:
                raise CannotBegin(f"the undisturbed run fails: {ended.words()}")
            return trial.results(), trial.points()


class Trial:
    """A run in a folder of its own, which is removed in the end."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.runs, self.log, self.kept = folder / "runs", folder / "log", folder / "kept"
        self.kept.mkdir()
        (folder / "config.ini").write_text(CONFIG.format(data=TESTS / "fixtures" / "fashion-mnist" / "plain"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def run_folder(self):
        return self.runs / "run"

    def command(self, *settings):
        words = [str(self.engine.program), str(self.folder / "config.ini")]
        for setting in (f"run.out_dir={self.runs}", *self.engine.settings, *settings):
            words += ["--set", setting]
        return words

    def environment(self, fault=None, at=0, hurt=True, **more):
        values = {key: value for key, value in os.environ.items() if not key.startswith("DPLL_FAULT")}
        values |= self.engine.environment | {key: str(value) for key, value in more.items()}
        if hurt:
            values |= {"LD_PRELOAD": str(self.engine.library), "DPLL_FAULT_UNDER": str(self.runs),
                       "DPLL_FAULT_LOG": str(self.log), "DPLL_FAULT_KEEP": str(self.kept)}  # fmt: skip
        if fault:
            values |= {"DPLL_FAULT": fault, "DPLL_FAULT_AT": str(at)}
        return values

    def start(self, *settings, limits=(), **faults):
        def set_limits():
            for which, value in limits:
                resource.setrlimit(which, (value, value))

        # Files, not pipes: nobody reads while it runs.
        number = len(list(self.folder.glob("*.out")))
        with open(self.folder / f"{number}.out", "w") as out, open(self.folder / f"{number}.err", "w") as err:
            process = subprocess.Popen(self.command(*settings), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       env=self.environment(**faults), cwd=self.folder,
                                       preexec_fn=set_limits if limits else None)  # fmt: skip
        process.number = number
        return process

    def wait(self, process, seconds=TIME_LIMIT):
        late = ""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            late = f"\nno end after {seconds} s"
        out, err = ((self.folder / f"{process.number}.{kind}").read_text(errors="replace") for kind in ("out", "err"))
        return Ended(124 if late else process.returncode, out, err + late)

    def run(self, *settings, limits=(), **faults):
        return self.wait(self.start(*settings, limits=limits, **faults))

    def go_on(self, *settings):
        """What a user does after something went wrong: the same command, going on where that is possible."""
        return self.run("run.resume=auto", *settings, hurt=False)

    def points(self):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [Point(int(number), *rest) for number, *rest in (line.split("\t") for line in lines)]

    def results(self):
        return results_of(self.run_folder)

    def verdict(self, expected):
        """Nothing where the run folder holds the results of an undisturbed run, otherwise what differs."""
        found = self.results()
        for name in sorted(expected | found):
            if found.get(name) != expected.get(name):
                return f"{name} is {'missing' if name not in found else 'another one'}"
        left = sorted(path.name for path in self.run_folder.iterdir() if ".tmp" in path.name or "damaged" in path.name)
        return f"{', '.join(left)} is left behind" if left else None


def tensors_of(path):
    """Digests of a safetensors file's tensors, without the metadata, which name the run's folder, and the history, which has
    times."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    found = {}
    for name, tensor in header.items():
        if name not in ("__metadata__", "history"):
            begin, end = tensor.pop("data_offsets")
            found[name] = (json.dumps(tensor), hashlib.sha256(data[8 + size + begin : 8 + size + end]).hexdigest())
    return found


def table_of(path):
    with open(path, newline="") as file:
        return [[value for key, value in row.items() if key not in TIMES] for row in csv.DictReader(file)]


def results_of(folder):
    """What a run's folder holds, without times and places, comparable between runs."""
    results = {}
    for name in ("model.safetensors", "checkpoint.safetensors", "model_selected.safetensors"):
        if (folder / name).exists():
            results[name] = tensors_of(folder / name)
    for name in ("metrics.csv", "steps.csv"):
        if (folder / name).exists():
            results[name] = table_of(folder / name)
    if (folder / "metrics.jsonl").exists():
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        results["metrics.jsonl"] = [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
    if (folder / "labels.csv").exists():
        results["labels.csv"] = (folder / "labels.csv").read_text()
    if (folder / "summary.json").exists():
        last = json.loads((folder / "summary.json").read_text())["last_epoch"]
        results["summary.json"] = {key: value for key, value in last.items() if key not in TIMES}
    return results


ONE_LINE = re.compile(r"(?:warning: [^\n]*\n)*dpll_engine: [^\n]*\n?")


def said_in_one_line(ended):
    """Whether a failed run said why in one line, after warnings."""
    return ONE_LINE.fullmatch(ended.err) is not None
