"""The command line of tools/sweep and tools/benchmark."""

import argparse
import fcntl
import pathlib
import re
import signal
import sys
import time

from . import engine, tables
from .files import Wrong, duration, write
from .plan import Plan
from .pool import Pool
from .results import PROTOCOLS
from .slurm import Slurm, read_state
from .spec import METHOD, Spec


def parse(program, description, argv):
    parser = argparse.ArgumentParser(prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="INI file of the sweep")
    parser.add_argument("--into", type=pathlib.Path, metavar="FILE",
                        help="when all runs are finished, put the comparison into this text file, between the lines "
                        "<!-- begin NAME --> and <!-- end NAME -->, NAME being that of the INI file without .ini")
    parser.add_argument("--engine", default=engine.built(), help="the program (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the runs and whether they are finished, and stop")
    parser.add_argument("--jobs", type=number_from(1, int), metavar="N",
                        help="runs at the same time (default: 1, with --devices one on each); with --slurm: tasks")
    parser.add_argument("--devices", type=gpus, default=[], metavar="0,1,...", help="GPUs, dealt out to the runs")
    parser.add_argument("--max-hours", type=number_from(0, float), metavar="H",
                        help="stop all runs with a checkpoint after so many hours (exit code 75); with --slurm: "
                        "those of a task")
    parser.add_argument("--slurm", action="store_true",
                        help="submit the runs as array jobs and collect what they leave")
    parser.add_argument("--no-wait", action="store_true",
                        help="with --slurm: submit and leave; the same command collects")
    parser.add_argument("--sbatch", default="", metavar="OPTIONS", help='with --slurm: "--partition=p --gres=gpu:1"')
    parser.add_argument("--poll", type=number_from(0, float), default=15, metavar="S",
                        help="with --slurm: seconds between two looks into the queue (default: 15)")
    parser.add_argument("--runs-per-task", type=number_from(1, int), default=1, metavar="N",
                        help="with --slurm: runs that a task trains one after another (default: 1)")
    arguments = parser.parse_args(argv)
    if arguments.slurm and arguments.devices:
        parser.error("--devices is for this machine; with --slurm ask for GPUs by --sbatch")
    if not arguments.slurm and (arguments.no_wait or arguments.sbatch):
        parser.error("--no-wait and --sbatch need --slurm")
    return arguments


def number_from(least, kind):
    def convert(text):
        value = kind(text)
        if not least <= value < 1e9 or value == 0:
            raise ValueError
        return value
    convert.__name__ = "number"
    return convert


def gpus(text):
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", text) or len(set(text.split(","))) != len(text.split(",")):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of GPUs like 0,1")
    return text.split(",")


class Progress:
    """Lines about what is done and what is left."""

    def __init__(self, plan):
        self.plan = plan
        self.began, self.before = time.monotonic(), len(plan.finished())

    def tell(self, text, running=0):
        finished, failed, total = len(self.plan.finished()), len(self.plan.failed), self.plan.total()
        line = f"sweep: {finished} of {total} runs finished"
        if failed:
            line += f", {failed} failed"
        if running:
            line += f", {running} running"
        here = finished - self.before
        if here and finished + failed < total:
            left = (time.monotonic() - self.began) * (total - finished - failed) / here
            line += f", about {duration(left)} left"
        print(f"{line}: {text}", flush=True)

    def ended(self, job, code, running):
        results = job.results()
        if results is None:
            self.tell(f"{job.name} ended with exit code {code}{last_words(job)}", running)
            return
        accuracy = results.accuracy("last_epoch")
        said = "" if accuracy is None else f", {100 * accuracy:.2f}% {PROTOCOLS['last_epoch']}"
        self.tell(f"{job.name} in {duration(results.seconds)}{said}", running)


def last_words(job):
    """The engine's own line about an error, or nothing."""
    try:
        lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((f": {line}" for line in reversed(lines) if line.startswith("dpll_engine: ")), "")


def put_into(path, name, text):
    """Replaces what stands between two lines of a file. Wrong where they are missing; without `text` it only looks."""
    old = path.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if begin not in old or end not in old.partition(begin)[2]:
        raise Wrong(f"{path}: there are no lines {begin.strip()} and {end}", 2)
    before, _, rest = old.partition(begin)
    if text is not None:
        write(path, f"{before}{begin}{text}{end}{rest.partition(end)[2]}")


def write_tables(plan):
    for name, text in tables.all_tables(plan).items():
        write(plan.spec.out / name, text)


def train_here(plan, arguments):
    slots = arguments.jobs or max(1, len(arguments.devices))
    pool = Pool(arguments.engine, slots, arguments.devices, arguments.max_hours)
    progress = Progress(plan)

    def ended(job, code):
        if code != 0 and not pool.code:
            plan.failed[job.name] = code
        elif code == 0 and job.results() is None:
            plan.failed[job.name] = "0, but no summary.json"
        progress.ended(job, code, len(pool.busy()))
        write_tables(plan)

    progress.tell("begins" if plan.ready() else "nothing is left to do")
    code = pool.run(plan.ready, ended)
    if code:
        progress.tell("stopped; the same command goes on")
    return code


def train_on_slurm(plan, arguments):
    slurm = Slurm(plan.spec.out, arguments.engine, arguments.max_hours, arguments.jobs, arguments.sbatch,
                  arguments.runs_per_task, arguments.poll)
    progress = Progress(plan)

    def tell(text):
        progress.tell(text)
        write_tables(plan)

    try:
        return slurm.run(plan, not arguments.no_wait, tell)
    except KeyboardInterrupt:
        progress.tell("stopped waiting; what is in the queue stays there, and the same command goes on")
        raise


def sweep(arguments):
    spec = Spec(arguments.file)
    if arguments.into:
        if len(spec.grid.get(METHOD, [])) < 2:
            raise Wrong(f"--into: {arguments.file} has no methods to compare", 2)
        put_into(arguments.into, pathlib.Path(arguments.file).stem, None)
    plan = Plan(spec, engine.Engine(arguments.engine))
    if plan.missing:
        print(f"sweep: this dpll_engine does not have {', '.join(sorted(plan.missing))}: "
              f"the preset {spec.search.preset} goes without", file=sys.stderr)
    if arguments.list:
        for job in plan.known():
            print("finished" if job.results() else "to do   ", job.name)
        later = plan.total() - len(plan.known())
        if later:
            print(f"and {later} runs of the settings that are chosen then")
        return 0
    # All settings are checked before the first run begins, those of the chosen ones as draws.
    plan.engine.check([job for job in plan.known() if not job.is_claimed() and job.results() is None])
    spec.out.mkdir(parents=True, exist_ok=True)
    with open(spec.out / ".sweep.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Wrong(f"{spec.out}: another tools/sweep is at work there", 5) from None
        return train(plan, arguments)


def train(plan, arguments):
    out = plan.spec.out
    for job in plan.known():
        job.is_claimed()
    if arguments.slurm:
        over = train_on_slurm(plan, arguments)
        code = 0
        if not over:
            return 0
    else:
        left = read_state(out)
        if left["names"]:
            raise Wrong(f"{out}: array job {left['array']} was submitted; go on with --slurm, or cancel it and remove "
                        f"{out}/slurm/state.json", 5)
        code = train_here(plan, arguments)
    write_tables(plan)
    if code:
        return code
    if arguments.into and not plan.failed:
        put_into(arguments.into, pathlib.Path(arguments.file).stem, (out / "comparison.md").read_text(encoding="utf-8"))
    for name in ("comparison.md", "table.md"):
        if (out / name).exists():
            sys.stdout.write((out / name).read_text(encoding="utf-8") + "\n")
    causes = {}
    for name, code in plan.failed.items():
        causes.setdefault(f"(exit code {code}){last_words(plan.jobs[name])}", []).append(name)
    for cause, names in causes.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(f"sweep: failed: {names[0]}{others} {cause}", file=sys.stderr)
    return 1 if plan.failed else 0


def main(program, description, argv=None):
    """The process's exit code."""
    try:
        return sweep(parse(program, description, argv))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Wrong as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 5
