"""The parts of tools/gpu_check, ordered by importance: a short rental only skips the least important ones.

A part is one Part below. Its commands run one after the other, each in its own process; its reader (readers.py) summarises
their output.
"""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from gpu import readers
from gpu.surroundings import ROOT

GOLDENS = ["gpu:*"]
PARITY = ["*the backends*", "*agrees with the reference in 16 bits*"]
WATCHED = ["*the backends agree*", "*agrees with the reference in 16 bits*", "gpu: views*"]
PAPER = ROOT / "configs" / "paper" / "cifar10-wrn-34-10-q0.1.ini"
QUICKSTART = ROOT / "configs" / "quickstart.ini"
NETWORKS = ["lenet", "wrn-28-2", "wrn-34-10"]
# Without a file that a bundle brings along: what tools/bundle trains to make it.
TRAINED = ["run.epochs=3"]
SEEDS = [1, 2, 3]


@dataclass
class Part:
    name: str
    worth: int
    limit: float  # seconds it may take on a short rental; longer rentals allow for more
    commands: list = field(default_factory=list)
    read: Callable = readers.last_line
    minimum: float = 10  # seconds without which it is not begun
    group: str = ""  # of parts that are many of one kind
    environment: dict = field(default_factory=dict)
    skip: str = ""  # why it cannot run on this machine
    skip_code: Optional[int] = None  # the exit code by which its command says that something is missing
    judge: Optional[Callable] = None  # in place of commands: makes a Reading from the records of earlier parts


def settings(*lists):
    return [word for one in lists for setting in one for word in ("--set", setting)]


def per_test_case(group, worth, here, patterns, limit, command, read, minimum=10, environment=None):
    """A process for each test case: an illegal address ends the GPU's context, and with it only this one."""
    cases = here.test_cases(patterns)
    if not cases:
        why = "the test program cannot say which test cases it has" if cases is None else "there is no such test case"
        return [Part(group, worth, limit, judge=lambda records: readers.Reading(why, verdict="failed"))]
    # A comma would end the pattern; a question mark stands for any character.
    return [Part(f"{group}: {case}", worth, limit, [[*command, f"--test-case={case.replace(',', '?')}"]], read, minimum,
                 group, environment or {}) for case in cases]  # fmt: skip


def test_parts(here):
    tests = [here.program("dpll_tests"), "--no-intro"]
    return [
        *per_test_case("goldens", 95, here, GOLDENS, 60, tests, readers.test_case),
        *per_test_case("parity", 90, here, PARITY, 60, tests, readers.test_case, environment={"DPLL_PARITY": "gpu"}),
    ]


def watched_parts(here, tool, worth):
    if here.sanitizer is None:
        return [Part(tool, worth, 60, skip="there is no compute-sanitizer")]
    tests, environment = here.watched_program("dpll_tests")
    # cuDNN asks the driver for what may be missing, and its kernels are not ours to judge: all of ours have the namespace
    # in their name.
    command = [here.sanitizer, "--tool", tool, "--report-api-errors", "no", "--kernel-name", "kns=dpll",
               "--error-exitcode", "9", tests, "--no-intro"]  # fmt: skip
    return per_test_case(tool, worth, here, WATCHED, 90, command, readers.sanitizer, 20,
                         environment | {"DPLL_PARITY": "gpu"})  # fmt: skip


def engine_settings(here, *more):
    cache = here.work / "cwd" / "cache"
    return settings(here.data_settings, [f"run.tuning_cache={cache}", "run.tuning_seconds=15", "log.progress=false"], more,
                    here.settings)  # fmt: skip


def selftest_parts(here):
    engine = here.program("dpll_engine")
    return [Part(f"selftest-{precision}", 85, 60, [[engine, "selftest", "--device", "cuda", "--precision", precision]],
                 readers.selftest) for precision in ("f32", "f16", "bf16")]  # fmt: skip


def check_parts(here):
    """Every operation of training steps beside what its own inputs should give."""
    if here.data is None:
        return [Part("check", 80, 60, skip="there is no Fashion-MNIST; name its folder in DPLL_FASHION_MNIST")]
    small = ["optimiser.batch=4", "data.train_limit=32", "data.test_limit=16"] if here.quick else []
    depth, width = (10, 1) if here.quick else (28, 2)
    networks = {"lenet": (["f32", "f16", "tf32", "bf16"], 81, []),
                "wrn": (["f16", "f32", "bf16"], 80, ["model.architecture=wide_resnet", f"model.depth={depth}",
                                                     f"model.width={width}", "optimiser.batch=32"])}  # fmt: skip
    parts = []
    for network, (precisions, worth, model) in networks.items():
        for precision in precisions[: 1 if here.quick else None]:
            command = [here.program("dpll_engine"), QUICKSTART, *engine_settings(
                here, "run.device=check", f"run.precision={precision}", "run.check_steps=1", *model, *small)]  # fmt: skip
            parts.append(Part(f"check-{network}-{precision}", worth, 90, [command], readers.device_check))
    return parts


def trained(here):
    """Settings and seeds of the short training."""
    if here.expected:
        return here.expected["settings"], [int(seed) for seed in here.expected["accuracies"]]
    return TRAINED, SEEDS


def training_command(here, name, *more):
    return [here.program("dpll_engine"), QUICKSTART, *engine_settings(
        here, f"run.name={name}", f"run.out_dir={here.work / 'rest' / 'runs'}", "log.charts=false", *trained(here)[0],
        *more)]  # fmt: skip


def training_parts(here):
    if here.data is None:
        return [Part("training", 75, 60, skip="there is no Fashion-MNIST; name its folder in DPLL_FASHION_MNIST")]
    seeds = trained(here)[1]
    parts = [Part(f"train-{seed}", 75, 60, [training_command(here, f"train-{seed}", f"run.seed={seed}", "run.device=cuda",
                                                            "run.qualify=false")], readers.training)
             for seed in seeds]  # fmt: skip
    if here.expected:
        parts.append(Part("accuracy", 74, 5, judge=lambda records: accuracy(records, here.expected)))
    else:
        # A processor takes minutes for it: last, but for what a short rental never reaches anyway.
        expected = here.work / "rest" / "expected.json"
        command = [sys.executable, ROOT / "tools" / "gpu" / "expected_accuracies.py", "--engine",
                   here.program("dpll_engine"), "--out", expected, "--seeds", *seeds,
                   *settings(here.data_settings, trained(here)[0])]  # fmt: skip
        parts.append(Part("train-cpu", 31, 600, [command], minimum=120))
        parts.append(Part("accuracy", 30, 5, judge=lambda records: accuracy_beside(records, expected)))
    parts.append(Part("device-auto", 73, 60, [training_command(here, "device-auto", "run.device=auto", "run.epochs=1",
                                                              "data.train_limit=1024" if not here.quick else "run.seed=1")],
                      readers.automatic_device))  # fmt: skip
    return parts


def accuracy_beside(records, path):
    try:
        return accuracy(records, json.loads(Path(path).read_text()))
    except (OSError, ValueError):
        return readers.Reading("the CPU's accuracies are not there", verdict="skipped")


def accuracy(records, expected):
    """The means differ by no more than three standard errors, of at least 0.3 points each: few seeds say little of how far
    they scatter."""
    gpu = [r["numbers"]["test_accuracy"] for r in records if r["name"].startswith("train-") and "test_accuracy" in r["numbers"]]
    cpu = list(expected["accuracies"].values())
    if not gpu:
        # Where it was tried that part has failed.
        tried = any(r["name"].startswith("train-") for r in records)
        return readers.Reading("no training has ended well", verdict="skipped" if tried else "not reached")
    if len(cpu) < 2:
        return readers.Reading("of the CPU there is one accuracy, which says nothing of how far they scatter", verdict="skipped")
    means = {"cpu": sum(cpu) / len(cpu), "gpu": sum(gpu) / len(gpu)}
    variance = sum((x - means["cpu"]) ** 2 for x in cpu) / (len(cpu) - 1)
    bound = 3 * max(0.3, math.sqrt(variance * (1 / len(cpu) + 1 / len(gpu))))
    worst = abs(means["gpu"] - means["cpu"])
    words = "; ".join(f"{who}: {' '.join(f'{x:.2f}' for x in values)}" for who, values in (("CPU", cpu), ("GPU", gpu)))
    return readers.Reading(f"the means are {worst:.2f} points apart, at most {bound:.2f} are explained; {words}",
                           {"worst": worst, "bound": bound, "cpu": cpu, "gpu": gpu, "cpu_commit": expected.get("commit")},
                           "passed" if worst <= bound else "failed")  # fmt: skip


def needed(here, program):
    return "" if here.program(program) else f"there is no {program}"


def step_parts(here):
    small = ["--batch", "4", "--steps", "3", "--ceiling-seconds", "0.01"] if here.quick else ["--steps", "60"]
    parts = []
    for network in NETWORKS:
        out = here.work / "rest" / f"step-{network}.json"
        command = [here.program("bench_step"), "--model", network, "--device", "cuda", "--tuning-seconds", "40", *small,
                   "--json", out]  # fmt: skip
        graphs = here.work / "rest" / f"graphs-{network}"
        graphs.mkdir()
        parts.append(Part(f"step-{network}", 70, 90, [command], readers.step_of(out, graphs), 15,
                          skip=needed(here, "bench_step"), environment={"DPLL_GRAPHS": str(graphs)}))  # fmt: skip
    return parts


def torch_parts(here, peer, worth):
    small = ["--batch", "4", "--rounds", "2", "--steps", "2", "--screen-steps", "1"] if here.quick else [
        "--rounds", "3", "--steps", "60", "--screen-steps", "20"]  # fmt: skip
    parts = []
    for network in NETWORKS:
        name = f"torch-{peer}-{network}"
        out = here.work / "rest" / f"{name}.json"
        command = [sys.executable, ROOT / "tools" / "compare_torch", "--device", "cuda", "--network", network, "--peers", peer,
                   *small, "--python", here.python, "--bench-step", here.program("bench_step"), "--json", out]  # fmt: skip
        parts.append(Part(name, worth, 120, [command], readers.torch_of(out), 30, skip=needed(here, "bench_step"),
                          skip_code=3))  # fmt: skip
    return parts


def tuning_parts(here):
    tune = [here.program("dpll_engine"), "tune", PAPER, "--synthetic", "32x32x3,10", "--list",
            *settings([f"run.tuning_cache={here.work / 'cwd' / 'cache'}", "run.tuning_seconds=90"])]  # fmt: skip
    if here.quick:
        tune += settings(["model.depth=10", "model.width=1", "optimiser.batch=2", "evaluation.batch=2"])
    tune += settings(here.settings)
    parts = [Part("tune-wrn-34-10", 60, 120, [tune], readers.engines, 30)]
    if here.cifar:
        check = [here.program("dpll_engine"), PAPER, "--no-verify", *settings(
            [f"data.path={here.cifar}", "run.device=check", "run.check_steps=1",
             f"run.tuning_cache={here.work / 'cwd' / 'cache'}"])]  # fmt: skip
        parts.append(Part("check-wrn-34-10", 45, 240, [check], readers.device_check, 60))
    return parts


def late_parts(here):
    quick = ["--quick", "--rounds", "2", "--seconds", "0.01", "--ceiling-seconds", "0.01"] if here.quick else []
    curves = [here.program("scaling_curves"), "--device", "cuda", "--model", "wrn-28-2", "--out", here.work / "rest" / "curves",
              *quick]  # fmt: skip
    rest = here.work / "rest"
    ops = [here.program("bench_ops"), "--device", "cuda", "--json", rest / "ops.json", "--csv", rest / "ops.csv"]
    return [
        Part("curves", 40, 400, [curves], minimum=60, skip=needed(here, "scaling_curves")),
        Part("ops", 20, 600, [ops], minimum=60, skip=needed(here, "bench_ops")),
    ]


def ranks_parts(here):
    """Several GPUs: what they train is what one does, and how fast."""
    if here.gpus < 2:
        return [Part("ranks", 48, 60, skip="there is one GPU")]
    if here.mpirun is None:
        return [Part("ranks", 48, 60, skip="there is no mpirun")]
    if here.data is None:
        return [Part("ranks", 48, 60, skip="there is no Fashion-MNIST; name its folder in DPLL_FASHION_MNIST")]
    counts = ",".join(str(ranks) for ranks in (2, 4, 8) if ranks <= here.gpus)
    common = ["--engine", here.program("dpll_engine"), "--mpirun", here.mpirun, "--ranks", counts, "--device", "cuda",
              "--data", here.data]  # fmt: skip
    environment = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    return [Part(name, worth, 120, [[sys.executable, ROOT / "tools" / tool, *common]], readers.table, 20, environment=environment)
            for name, worth, tool in (("ranks-equal", 48, "compare_ranks"), ("ranks-speed", 47, "rank_speed"))]  # fmt: skip


def all_parts(here):
    query = "name,driver_version,compute_cap,memory.total,clocks.max.sm,power.limit"
    versions = [[here.program("dpll_engine"), "--version"], ["uname", "-srm"],
                ["nvidia-smi", f"--query-gpu={query}", "--format=csv"]]  # fmt: skip
    parts = [
        Part("versions", 100, 30, versions, readers.versions, 5),
        Part("cudnn-device", 99, 20, [[here.program("cudnn_plans"), "--describe"]], readers.device_description, 5,
             skip=needed(here, "cudnn_plans")),
        *test_parts(here),
        *selftest_parts(here),
        *check_parts(here),
        *training_parts(here),
        *step_parts(here),
        *torch_parts(here, "amp", 68),
        *watched_parts(here, "memcheck", 65),
        *tuning_parts(here),
        *watched_parts(here, "racecheck", 55),
        *watched_parts(here, "initcheck", 53),
        *watched_parts(here, "synccheck", 51),
        *ranks_parts(here),
        *late_parts(here),
        *torch_parts(here, "compiled", 35),
        *torch_parts(here, "published", 33),
    ]  # fmt: skip
    return sorted(parts, key=lambda part: -part.worth)
