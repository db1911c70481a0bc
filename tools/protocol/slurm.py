"""Runs as array jobs of Slurm. A round is one array: it takes the runs that can begin, and when it has left the queue its
results are collected and the next round is made of what is left: runs that were out of time, and the chosen settings
once a search is over. What was submitted stands in OUT/slurm, so that the same command goes on after anything."""

import getpass
import hashlib
import json
import math
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

from .files import Wrong, plain, write
from .pool import STOPPED

MOST_TASKS = 1000  # Slurm's own default, MaxArraySize, is 1001
MOST_SILENT = 20   # so often squeue may fail in turn: the controller may be restarted
MOST_LOST = 2      # so often a run may vanish (a node that fails, too little memory) before it counts as failed
TASK = pathlib.Path(__file__).resolve().with_name("slurm_task.py")


def call(*words):
    """(exit code, standard output, last line of the errors)"""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    lines = done.stderr.strip().splitlines()
    return done.returncode, done.stdout, lines[-1] if lines else f"exit code {done.returncode}"


class Slurm:
    """`most`: tasks at the same time, None: as many as Slurm lets; `options`: further options of sbatch;
    `per_task`: runs of a task, one after another; `pause`: seconds between two looks into the queue."""

    def __init__(self, out, program, max_hours, most, options, per_task, pause=15):
        if shutil.which("sbatch") is None:
            raise Wrong("--slurm: there is no sbatch on this machine; install Slurm's client (Debian: slurm-client) or "
                        "go without --slurm")
        self.folder, self.program = out / "slurm", os.path.abspath(program) if "/" in program else program
        self.max_hours, self.most, self.options, self.per_task = max_hours, most, shlex.split(options), per_task
        self.lost, self.pause = {}, pause
        self.state = read_state(out)
        digest = hashlib.sha256(os.fsencode(os.path.realpath(out))).hexdigest()[:10]
        self.name = f"sweep-{plain(out.name)}-{digest}"
        self.silent = 0

    def save(self):
        write(self.folder / "state.json", json.dumps(self.state, indent=1) + "\n")

    def script(self, stem, tasks):
        folder = shlex.quote(str(self.folder.resolve()))
        options = [f"--job-name={self.name}", f"--array=0-{tasks - 1}" + (f"%{self.most}" if self.most else "")]
        if self.max_hours is not None:
            # The runs stop by themselves before Slurm's limit, with a checkpoint.
            options.append(f"--time={math.ceil(60 * self.max_hours) + 10}")
        lines = [f"#SBATCH {option}" for option in options + self.options]
        return "\n".join(["#!/bin/sh", *lines, f"cd {shlex.quote(os.getcwd())} || exit 1",
                          f"exec {shlex.quote(sys.executable)} {shlex.quote(str(TASK))} {folder}/{stem}.json "
                          '"$SLURM_ARRAY_TASK_ID"', ""])

    def submit(self, jobs):
        """A new round."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = self.state["round"] + 1
        stem = f"round-{number}"
        for job in jobs:
            job.claim()
        tasks = min(MOST_TASKS, math.ceil(len(jobs) / self.per_task))
        runs = [{"name": job.name, "folder": str(job.folder), "log": str(job.log),
                 "command": job.command(self.program, {})} for job in jobs]
        shutil.rmtree(self.folder / stem, ignore_errors=True)
        (self.folder / stem).mkdir()
        write(self.folder / f"{stem}.json", json.dumps({"tasks": tasks, "codes": str(self.folder / stem),
                                                        "max_hours": self.max_hours, "runs": runs}, indent=1))
        write(self.folder / f"{stem}.sh", self.script(stem, tasks))
        # Written before and after: a program that is killed in between finds the array by its name.
        self.state = {"round": number, "array": None, "names": [job.name for job in jobs]}
        self.save()
        # A relative name, because a folder's may hold what Slurm reads as a pattern.
        code, said, error = call("sbatch", "--parsable", f"--chdir={self.folder.resolve()}", f"--output={stem}-%a.log",
                                 str(self.folder / f"{stem}.sh"))
        if code != 0:
            self.state["names"] = []
            self.save()
            raise Wrong(f"sbatch refused {self.folder / stem}.sh: {error}", 5)
        self.state["array"] = said.strip().split(";")[0]
        self.save()

    def left(self):
        """How many tasks of the round wait or run. 0: it has ended. None: Slurm does not answer at the moment."""
        if not self.state["names"]:
            return 0
        array = self.state["array"]
        which = ["-j", array] if array else ["-u", getpass.getuser(), f"--name={self.name}"]
        code, said, error = call("squeue", "-h", "-r", "-o", "%F", *which)
        if code != 0 and "Invalid job id" in error:
            return 0  # Slurm has forgotten it
        if code != 0:
            self.silent += 1
            if self.silent > MOST_SILENT:
                raise Wrong(f"squeue: {error}", 5)
            return None
        self.silent = 0
        if not array and said.split():
            self.state["array"] = said.split()[0]
            self.save()
        return len(said.split())

    def collect(self, plan):
        """Puts what has failed into plan.failed and calls the round ended. Yields (job, exit code or None: it left
        none) of the runs that did not finish."""
        codes = self.folder / f"round-{self.state['round']}"
        for name in self.state["names"]:
            job = plan.jobs.get(name)
            if job is None or job.results() is not None:
                continue
            try:
                code = int((codes / name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                code = None
                self.lost[name] = self.lost.get(name, 0) + 1
            if code not in STOPPED and (code is not None or self.lost[name] > MOST_LOST):
                plan.failed[name] = code
            yield job, code
        if self.state["names"]:
            self.state["names"] = []
            self.save()

    def run(self, plan, wait, tell):
        """Rounds until nothing is left. False: one is in the queue and wait is false. tell(text) gets progress."""
        told = None
        while True:
            left = self.left()
            if left != 0 and not wait:
                tell(f"array job {self.state['array']} is in the queue; the same command goes on")
                return False
            if left != 0:
                if left not in (told, None):
                    told = left
                    tell(f"array job {self.state['array']}: {left} tasks left")
                time.sleep(self.pause)
                continue
            for job, code in self.collect(plan):
                tell(f"{job.name}: " + ("left no exit code" if code is None else f"exit code {code}")
                     + (" (goes on)" if job.name not in plan.failed else ""))
            jobs = plan.ready()
            if not jobs:
                return True
            self.submit(jobs)


def read_state(out):
    try:
        return json.loads((out / "slurm" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"round": 0, "array": None, "names": []}
