"""Questions to dpll_engine that need no training."""

import concurrent.futures
import os
import pathlib
import subprocess

from .files import Wrong


def built():
    """The program of this source tree."""
    build = pathlib.Path(__file__).resolve().parents[2] / "build"
    presets = [build / preset / "dpll_engine" for preset in ("cuda", "release")]
    return str(next((path for path in presets if path.exists()), presets[-1]))


class Engine:
    def __init__(self, program):
        self.program = program

    def ask(self, file, settings):
        """(keys and values as a run would have them, warnings). Wrong with the engine's line where it refuses."""
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        try:
            done = subprocess.run([self.program, "config", file, *words], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise Wrong(f"{self.program}: {error.strerror}; --engine names the program", 2) from None
        lines = done.stderr.splitlines()
        if done.returncode != 0:
            raise Wrong(lines[-1] if lines else f"{self.program}: exit code {done.returncode}")
        return keys_of(done.stdout), [line for line in lines if line.startswith("warning: ")]

    def check(self, jobs):
        """Wrong for the first job whose settings the engine refuses, or whose draws it does not use."""
        def refused(job):
            try:
                _, warnings = self.ask(job.case.file, job.settings)
            except Wrong as error:
                return f"{job.name}: {error}"
            drawn = [line for line in warnings for key in job.drawn if f"--set {key}=" in line]
            return f"{job.name}: {drawn[0]}" if drawn else None

        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for complaint in pool.map(refused, jobs):
                if complaint:
                    pool.shutdown(wait=False)
                    raise Wrong(complaint)


def keys_of(text):
    """{section.key: value} of an INI file as the engine prints it."""
    keys, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif " = " in line + " " and not line.startswith("#"):
            key, _, value = line.partition("=")
            keys[f"{section}.{key.strip()}"] = value.strip()
    return keys
