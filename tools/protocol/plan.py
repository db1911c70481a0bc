"""Which runs a file asks for: for every row of the tables first the search, then the chosen setting on all seeds."""

import fcntl
import itertools
import json
import os
import time

from .files import Wrong, plain, write
from .presets import Preset
from .ranges import Range, draw
from .results import RULES, Results
from .spec import METHOD


class Job:
    """A run: one process of the engine, until it is finished."""

    def __init__(self, out, case, values, seed, fixed, number=None, drawn=None):
        self.case, self.values, self.seed, self.number, self.drawn = case, values, seed, number, drawn or {}
        parts = [case.name, *(f"{key.split('.')[1]}={value}" for key, value in values.items())]
        if number is not None:
            parts.append(f"draw={number}")
        self.name = plain("_".join([*parts, f"seed={seed}"]))
        self.out = out
        self.folder = out / self.name
        self.settings = {**case.settings, **fixed, **self.drawn, **values, "run.seed": seed}
        self.found = None

    def command(self, program, more):
        settings = {**self.settings, **more, "run.name": self.name, "run.out_dir": str(self.out), "run.resume": "auto"}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return [program, self.case.file, *words]

    def results(self):
        """None: not finished."""
        if self.found is None:
            self.found = Results.of(self.folder)
        return self.found

    @property
    def log(self):
        """What the engine says to the console."""
        return self.out / f"{self.name}.log"

    def note(self):
        """The file that ties the run's folder to its settings, and what is in it."""
        made_with = {"config": self.case.text, "set": self.settings}
        return self.out / f"{self.name}.sweep.json", json.dumps(made_with, indent=1, sort_keys=True) + "\n"

    def is_claimed(self):
        """A changed file must never mix results: Wrong where the folder has other settings."""
        note, text = self.note()
        try:
            same = note.read_text(encoding="utf-8") == text
        except OSError:
            return False
        if not same and self.folder.exists():
            raise Wrong(f"{self.folder}: was made with other settings ({note} has them); choose another [sweep] out")
        return same

    def claim(self):
        """Wrong as is_claimed()."""
        if not self.is_claimed():
            write(*self.note())

    def wait_until_free(self, seconds=60):
        """The engine of a sweep that was killed may need a moment to stop."""
        try:
            with open(self.folder / ".lock", "rb") as lock:
                for _ in range(10 * seconds):
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        return
                    except BlockingIOError:
                        time.sleep(0.1)
        except OSError:
            pass


class Row:
    """A row of the tables: a configuration and values of the grid."""

    def __init__(self, plan, case, values):
        self.plan, self.case, self.values = plan, case, values
        spec = plan.spec
        self.label = " ".join([case.name, *(f"{key.split('.')[1]}={value}" for key, value in values.items())])
        keys = self.ask({**case.settings, **spec.fixed, **values})
        path = keys["data.path"].strip('"')
        if keys["data.dataset"] in ("tabular", "safetensors") and not os.path.exists(path) and "\\" not in path:
            raise Wrong(f"{spec.path}: {self.label}: data.path: there is no file '{path}'", 4)
        self.method = keys[METHOD]
        own_fixed, own_ranges = spec.of_methods.get(self.method, ({}, {}))
        self.fixed = {**spec.fixed, **own_fixed}
        self.draws = None
        if case.is_searched:
            self.draws = self.draw(spec, keys, own_ranges)
            key = RULES[spec.search.choose][2]
            if key and float(self.ask(self.search_jobs()[0].settings)[key]) == 0:
                raise Wrong(f"{spec.path}: [search] choose = {spec.search.choose} needs {key} above 0 ({self.label})")

    def ask(self, settings):
        """All keys as a run would have them."""
        try:
            return self.plan.engine.ask(self.case.file, settings)[0]
        except Wrong as error:
            raise Wrong(f"{self.plan.spec.path}: {self.label}: {error}", error.exit_code) from None

    def draw(self, spec, keys, own_ranges):
        ranges, first = {}, {}
        if spec.search.preset:
            preset = Preset(spec.search.preset, keys["data.dataset"], self.method, keys)
            self.plan.missing.update(preset.unknown)
            taken = {**self.case.settings, **self.fixed, **self.values, **spec.repeat}
            self.fixed = {**preset.fixed, **self.fixed}
            # What the file itself fixes or lists is not drawn.
            ranges = {key: Range(text, key) for key, text in preset.ranges.items() if key not in taken}
            first = {key: value for key, value in preset.first.items() if key not in taken}
        ranges = {**ranges, **spec.ranges, **own_ranges}
        if not ranges:
            raise Wrong(f"{spec.path}: [search] has no range to draw from ({self.label})")
        if not spec.search.first_is_default:
            return draw(ranges, spec.search.seed, spec.search.draws, f"{spec.path}: {self.label}")
        drawn = draw(ranges, spec.search.seed, spec.search.draws - 1, f"{spec.path}: {self.label}")
        return [first, *drawn]

    def job(self, seed, repeated, number=None, drawn=None):
        return self.plan.job(self.case, {**self.values, **repeated}, seed, self.fixed, number, drawn)

    def repeats(self):
        """What the mean is over: {key: value of [repeat]}."""
        repeat = self.plan.spec.repeat
        return [dict(zip(repeat, values)) for values in itertools.product(*repeat.values())]

    def groups(self):
        """(seeds that a setting is judged on, seeds that it is reported on), for each choice that is made."""
        spec = self.plan.spec
        if self.draws is None:
            return []
        if spec.search.each_seed:
            return [([seed], [seed]) for seed in spec.sweep_seeds]
        return [(spec.search.seeds, spec.sweep_seeds)]

    def searched(self, number, seeds):
        """The runs that a draw is judged by."""
        repeats = self.repeats() if self.plan.spec.search.all_repeats else self.repeats()[:1]
        return [self.job(seed, repeated, number, self.draws[number]) for seed in seeds for repeated in repeats]

    def search_jobs(self):
        return [job for seeds, _ in self.groups() for number in range(len(self.draws))
                for job in self.searched(number, seeds)]

    def score(self, number, seeds):
        """(mean of the rule's best value, None where a run has none; the runs' best epochs)."""
        column = RULES[self.plan.spec.search.choose][0]
        best = [job.results() and job.results().best(column) for job in self.searched(number, seeds)]
        if not all(best):
            return None, []
        return sum(value for value, _, _ in best) / len(best), best

    def chosen(self, seeds):
        """The number of the draw with the best score, the first among equals. None: the search is not over, or no
        draw has a score."""
        for number in range(len(self.draws)):
            if not all(job.results() or job.name in self.plan.failed for job in self.searched(number, seeds)):
                return None
        scores = [(self.score(number, seeds)[0], number) for number in range(len(self.draws))]
        scores = [(-score, number) for score, number in scores if score is not None]
        return min(scores)[1] if scores else None

    def final_jobs(self):
        """The runs whose mean is reported; those of settings that are not chosen yet are missing."""
        if self.draws is None:
            return self.jobs_of(self.plan.spec.sweep_seeds, None)
        chosen = [(self.chosen(judged), reported) for judged, reported in self.groups()]
        return [job for number, reported in chosen if number is not None for job in self.jobs_of(reported, number)]

    def jobs_of(self, seeds, number):
        drawn = None if number is None else self.draws[number]
        return [self.job(seed, repeated, number, drawn) for seed in seeds for repeated in self.repeats()]

    def count(self):
        """How many runs the row will have had, as far as one can say."""
        names = {job.name for job in self.search_jobs() + self.final_jobs()}
        again = 0
        for judged, reported in self.groups():
            if self.chosen(judged) is None and any(job.results() is None and job.name not in self.plan.failed
                                                   for job in self.search_jobs()):
                searched = {job.name for job in self.searched(0, judged)}
                again += len({job.name for job in self.jobs_of(reported, 0)} - searched)
        return len(names) + again


class Plan:
    def __init__(self, spec, engine):
        self.spec, self.engine = spec, engine
        self.jobs, self.failed, self.missing = {}, {}, set()
        self.rows = [Row(self, case, dict(zip(spec.grid, values))) for case in spec.cases
                     for values in itertools.product(*spec.grid.values())]

    def job(self, case, values, seed, fixed, number, drawn):
        """The same object for the same run."""
        job = Job(self.spec.out, case, values, seed, fixed, number, drawn)
        return self.jobs.setdefault(job.name, job)

    def known(self):
        """All runs that are known so far, each once: the search's first."""
        jobs = [job for row in self.rows for job in row.search_jobs()]
        jobs += [job for row in self.rows for job in row.final_jobs()]
        return list({job.name: job for job in jobs}.values())

    def ready(self):
        """The runs that can begin: known, neither finished nor failed."""
        return [job for job in self.known() if job.name not in self.failed and job.results() is None]

    def total(self):
        return sum(row.count() for row in self.rows)

    def finished(self):
        return [job for job in self.known() if job.results() is not None]
