"""What tools/protocol computes: draws, statistics, choices, tables, and what files it refuses. Run by
tests/cli/protocol_runner_test.cpp.

usage: protocol_runner_test.py TOOLS ENGINE FIXTURES
"""

import csv
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FIXTURES, ENGINE, TOOLS = (os.path.abspath(sys.argv.pop()) for _ in range(3))
sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True

from protocol import tables  # noqa: E402  (found by the lines above)
from protocol.engine import Engine  # noqa: E402
from protocol.files import Wrong, duration  # noqa: E402
from protocol.plan import Plan  # noqa: E402
from protocol.presets import Preset  # noqa: E402
from protocol.ranges import Range, draw  # noqa: E402
from protocol.spec import Spec  # noqa: E402
from protocol.welch import Sample, incomplete_beta, welch  # noqa: E402

TABULAR = f"""[data]
dataset = tabular
path = {FIXTURES}/tabular/sparse.mat
folds = 3
[candidates]
mode = dataset
[model]
architecture = mlp
hidden = 8
[optimiser]
batch = 16
"""


class Folder(unittest.TestCase):
    """Each test has a folder with tab.ini."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.write("tab.ini", TABULAR)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def spec(self, sections, sweep="seeds = 1\n"):
        head = f"[sweep]\nconfigs = {self.folder}/tab.ini\nout = {self.folder}/out\n"
        return Spec(str(self.write("sweep.ini", head + sweep + sections)))

    def plan(self, sections, sweep="seeds = 1\n"):
        return Plan(self.spec(sections, sweep), Engine(ENGINE))

    def refused(self, part, function, *arguments, code=3):
        with self.assertRaises(Wrong) as caught:
            function(*arguments)
        self.assertIn(part, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(caught.exception.exit_code, code)


class Ranges(Folder):
    def drawn(self, text, count=200):
        return [setting["a.b"] for setting in draw({"a.b": Range(text, "x")}, 7, count, "x")]

    def test_draws_lie_in_their_range_and_fill_it(self):
        uniform = [float(value) for value in self.drawn("uniform -1 to 3")]
        self.assertTrue(all(-1 <= value < 3 for value in uniform))
        self.assertAlmostEqual(sum(uniform) / 200, 1, delta=5 * 4 / math.sqrt(12 * 200))
        logs = [math.log10(float(value)) for value in self.drawn("log_uniform 1e-5 to 1e-1")]
        self.assertTrue(all(-5 <= value < -1 for value in logs))
        self.assertAlmostEqual(sum(logs) / 200, -3, delta=5 * 4 / math.sqrt(12 * 200))
        self.assertEqual(sorted(self.drawn("integer 3 to 9", 7), key=int), list("3456789"))
        self.assertEqual(sorted(self.drawn("choice b | a | c, d", 3)), ["a", "b", "c, d"])

    def test_a_draw_depends_on_seed_key_and_number_alone(self):
        one = {"optimiser.lr": Range("uniform 0 to 1", "x")}
        more = {**one, "lws.beta": Range("uniform 0 to 1", "x")}
        first, second = draw(one, 1, 5, "x"), draw(more, 1, 8, "x")
        self.assertEqual([s["optimiser.lr"] for s in first], [s["optimiser.lr"] for s in second[:5]])
        self.assertNotEqual(first, draw(one, 2, 5, "x"))
        # The same numbers on every machine and with every Python.
        self.assertEqual(first[0], {"optimiser.lr": "0.761132"})

    def test_draws_are_different_or_refused(self):
        ranges = {"a.b": Range("choice 1 | 2", "x"), "a.c": Range("integer 1 to 3", "x")}
        settings = draw(ranges, 1, 6, "x")
        self.assertEqual(len({tuple(sorted(setting.items())) for setting in settings}), 6)
        self.refused("7 draws would repeat: the ranges have only 6 different settings", draw, ranges, 1, 7, "x")

    def test_ranges_that_are_none(self):
        for text, part in [("normal 0 to 1", "expected uniform A to B"), ("uniform 1 2", "expected uniform A to B"),
                           ("uniform 2 to 1", "the first end must be below the second"),
                           ("integer 3 to 3", "the first end must be below"), ("integer 1.5 to 3", "not a whole number"),
                           ("log_uniform 0 to 1", "must be above 0"), ("uniform 0 to inf", "nothing lies between"),
                           ("choice 1 | | 2", "empty or stands twice"), ("choice 1 | 1", "empty or stands twice")]:
            self.refused(part, Range, text, "[range] a.b")

    def test_the_preset_of_plench(self):
        known = {key: "" for key in ("optimiser.kind", "optimiser.lr", "optimiser.weight_decay", "optimiser.batch",
                                     "optimiser.schedule", "data.selection_fraction", "lws.beta")}
        preset = Preset("plench", "tabular", "lws", known)
        self.assertEqual(preset.fixed["optimiser.kind"], "adam")
        self.assertEqual(preset.unknown, [])
        self.assertEqual(preset.ranges["lws.beta"], "choice 1 | 2")
        lr = Range(preset.ranges["optimiser.lr"], "x")
        self.assertAlmostEqual(math.log10(lr.low), -4.5)
        self.assertAlmostEqual(math.log10(lr.high), -2.5)
        self.assertEqual(preset.ranges["optimiser.batch"], "choice 32 | 64 | 128")
        self.assertEqual(Preset("plench", "cifar10", "cc", known).ranges["optimiser.batch"], "choice 64 | 128 | 256")
        known.pop("lws.beta")
        preset = Preset("plench", "tabular", "lws", known)
        self.assertEqual(preset.unknown, ["lws.beta"])
        self.assertNotIn("lws.beta", preset.ranges)


class Statistics(unittest.TestCase):
    # SciPy 1.x: scipy.special.betainc, scipy.stats.ttest_ind(equal_var=False).
    BETA = [((0.5, 0.5, 0.3), 0.36901011956554536), ((2, 0.5, 0.9), 0.5414697392755851),
            ((50, 0.5, 0.99), 0.3173043978741973), ((500.5, 0.5, 0.5), 7.694577913274501e-153),
            ((1, 3, 0.25), 0.578125), ((0.7, 12, 1e-06), 0.00039197249404844314)]
    WELCH = [([70.1, 71.5, 69.8], [68.0, 70.2, 69.9, 71.0], 0.8397558492652673, 4.999569684385448, 0.4393434700126911),
             ([1, 2, 3, 4, 5], [2, 3, 4, 5, 60], -1.0411944844894727, 4.031264177806127, 0.35615362402144957),
             ([50.01, 50.02], [50.5, 50.9], -3.4239301889478426, 1.0012499995117201, 0.18065328927544094),
             ([90.1, 90.3, 90.2, 90.0, 90.4], [88.1, 88.0, 88.3], 18.2828025632073, 4.473572938689298,
              2.2446398706562078e-05),
             ([10, 20], [10, 20, 30, 15, 1000.0], -1.0186331473967243, 4.005186372087246, 0.3659063097371571)]

    def test_the_incomplete_beta_function_is_scipys(self):
        for arguments, expected in self.BETA:
            self.assertAlmostEqual(incomplete_beta(*arguments) / expected, 1, delta=1e-11)
        self.assertEqual((incomplete_beta(2, 3, 0), incomplete_beta(2, 3, 1)), (0, 1))

    def test_welchs_test_is_scipys(self):
        for first, second, *expected in self.WELCH:
            found = welch(Sample(first), Sample(second))
            for value, right in zip(found, expected):
                self.assertAlmostEqual(value / right, 1, delta=1e-10)

    def test_samples_without_spread_and_of_one(self):
        self.assertIsNone(welch(Sample([1]), Sample([1, 2])))
        self.assertEqual(welch(Sample([1, 1]), Sample([1, 1]))[2], 1)
        self.assertEqual(welch(Sample([1, 1]), Sample([2, 2]))[2], 0)

    def test_mean_deviation_and_standard_error(self):
        sample = Sample([1, 2, 3, 6])
        self.assertEqual(sample.mean, 3)
        self.assertAlmostEqual(sample.deviation, math.sqrt(14 / 3))
        self.assertAlmostEqual(sample.error, math.sqrt(14 / 3) / 2)
        self.assertEqual(tables.text_of(sample, 2), "3.00 ± 2.16")
        self.assertEqual(tables.text_of(Sample([5]), 1), "5.0")
        self.assertEqual(tables.text_of(Sample([]), 1), "-")
        self.assertEqual((duration(59.6), duration(3600 + 62)), ("1:00", "1:01:02"))


class Files(Folder):
    SEARCH = "[search]\ndraws = 2\nchoose = covering_rate\n"

    def test_what_contradicts_or_is_unknown(self):
        lr = "optimiser.lr = uniform 0.1 to 0.2\n"
        for sections, part in [
                ("[search]\n", "[search] draws is missing"), ("[search]\ndraws = 0\n", "from 1 on"),
                ("[search]\ndraws = 2\nchoose = luck\n", "'luck' is not one of covering_rate, approximated_accuracy"),
                (self.SEARCH + "preset = best\n", "'best' is not one of plench"),
                (self.SEARCH + "tries = 2\n", "[search] tries: unknown"),
                (self.SEARCH + "seeds = one\n", "'one' is not a whole number"),
                (self.SEARCH + "configs = other.ini\n", "'other.ini' is not in [sweep] configs"),
                ("[range]\n" + lr, "[range] needs a section [search]"),
                (self.SEARCH + "[range]\nlr = uniform 0 to 1\n", "'lr' is no key"),
                (self.SEARCH + "[range]\nrun.seed = integer 1 to 9\n", "run.seed is set by the sweep"),
                (self.SEARCH + "[range]\n" + lr + lr, "already exists"),
                (self.SEARCH + "[range]\n" + lr + "[set]\noptimiser.lr = 0.1\n", "in [set] and in [range]"),
                (self.SEARCH + "[range]\n" + lr + "[grid]\noptimiser.lr = 0.1\n", "in [grid] and in [range]"),
                ("[repeat]\nrun.epochs = 1\n[set]\nrun.epochs = 2\n", "in [repeat] and in [set]"),
                ("[set plcr]\nrun.epochs = 1\n[set]\nrun.epochs = 2\n[grid]\nrun.epochs = 3\n", "contradict"),
                ("[config tab]\nfile = x\n", "[config tab] is not in [sweep] configs"),
                ("[grid]\nobjective.method = plcr | plcr\n", "empty or stands twice"),
                ("[grids]\n", "[grids] is no section")]:
            with self.subTest(sections=sections):
                self.refused(part, self.spec, sections)
        methods = "seeds = 1\nmethods = plcr | lws\n"
        self.refused("'proden' has a section", self.spec, "[set proden]\nrun.epochs = 1\n", methods)
        self.refused("both name methods", self.spec, "[grid]\nobjective.method = plcr\n", methods)
        self.refused("report: 'x' is not one of", self.spec, "", "seeds = 1\nreport = x\n")

    def test_what_the_engine_would_refuse_is_refused_before_the_first_run(self):
        def check(sections, sweep="seeds = 1\n"):
            plan = self.plan(sections, sweep)
            plan.engine.check(plan.known())

        held = "[set]\ndata.selection_fraction = 0.2\n"
        self.refused("unknown key; did you mean optimiser.lr", check, "[set]\noptimiser.learning = 1\n")
        self.refused("objective.method", check, "", "seeds = 1\nmethods = plcr | magic\n")
        self.refused("needs data.selection_fraction above 0", check,
                     self.SEARCH + "[range]\noptimiser.lr = uniform 0.1 to 0.2\n")
        self.refused("has no range to draw from", check, self.SEARCH + held)
        # Ranges that exclude each other: no rate of the one is below any of the other.
        self.refused("tab_draw=1_seed=1: dpll_engine: --set optimiser.lr_min", check, self.SEARCH + held + "optimiser.schedule = cosine\n"
                     "[range]\noptimiser.lr = uniform 0.01 to 0.02\noptimiser.lr_min = uniform 0.1 to 0.2\n")
        self.refused("momentum", check, self.SEARCH + held + "[range]\noptimiser.momentum = uniform 1 to 2\n")
        self.refused("lws.beta=", check, self.SEARCH + held + "[range]\nlws.beta = uniform 1 to 2\n")
        check(self.SEARCH + held + "[range lws]\nlws.beta = uniform 1 to 2\n[range plcr]\nplcr.lambda_max = choice 1 | 2\n",
              "seeds = 1\nmethods = plcr | lws\n")
        self.write("tab.ini", TABULAR.replace("sparse", "none"))
        self.refused("there is no file", check, "", code=4)


class Choices(Folder):
    """Folders of runs as the engine leaves them, with figures of our own."""

    SECTIONS = ("[search]\ndraws = 3\nchoose = covering_rate\nseeds = 7 | 8\n[range]\noptimiser.lr = uniform 0.1 to 0.2\n"
                "[set]\ndata.selection_fraction = 0.2\n")

    def finish(self, job, epochs, seconds=1.0):
        """`epochs`: (covering rate, test accuracy) of each."""
        lines = ["epoch,selection_covering_rate,validation_accuracy,test_accuracy"]
        lines += [f"{number},{rate},,{accuracy}" for number, (rate, accuracy) in enumerate(epochs, 1)]
        self.write(f"out/{job.name}/metrics.csv", "\n".join(lines) + "\n")
        best = max(epochs, key=lambda epoch: epoch[0])
        self.write(f"out/{job.name}/summary.json", json.dumps(
            {"seconds": seconds, "protocols": {"last_epoch": {"test_accuracy": epochs[-1][1]},
                                               "covering_rate": {"test_accuracy": best[1]}, "best_epoch": None}}))

    def names(self, jobs):
        return [job.name for job in jobs]

    def test_the_setting_with_the_best_mean_is_run_on_the_other_seeds(self):
        plan = self.plan(self.SECTIONS, "seeds = 1 | 2\n")
        row = plan.rows[0]
        self.assertEqual(self.names(plan.ready()), [f"tab_draw={n}_seed={s}" for n in range(3) for s in (7, 8)])
        self.assertEqual(plan.total(), 8)
        self.assertEqual(row.draws[0], {})
        rates = {(0, "7"): [(0.9, 0.1), (0.5, 0.2)], (0, "8"): [(0.2, 0.3)], (1, "7"): [(0.6, 0.1), (0.6, 0.9)],
                 (1, "8"): [(0.3, 0), (0.7, 0)], (2, "7"): [(0.5, 1)], (2, "8"): [(0.5, 1)]}
        jobs = plan.ready()
        for job in jobs[:-1]:
            self.finish(job, rates[job.number, job.seed])
        self.assertEqual(self.names(plan.ready()), ["tab_draw=2_seed=8"])
        self.finish(jobs[-1], rates[2, "8"])
        # Means of the best epochs: 0.55, 0.65, 0.5. Neither test accuracies nor last epochs count.
        self.assertEqual(self.names(plan.ready()), ["tab_draw=1_seed=1", "tab_draw=1_seed=2"])
        self.assertEqual(plan.ready()[0].settings["optimiser.lr"], row.draws[1]["optimiser.lr"])
        self.finish(plan.ready()[0], [(0.5, 0.25), (0.75, 0.5), (0.75, 0.75)])
        self.finish(plan.ready()[0], [(0.5, 1), (0.4, 0)])
        self.assertEqual((plan.ready(), plan.total()), ([], 8))
        files = tables.all_tables(plan)
        self.assertEqual(files["table.md"].splitlines()[2],
                         "| tab | 2 | 37.50 ± 53.03 (se 37.50) | 75.00 ± 35.36 (se 25.00) | 1.0 ± 0.0 |")
        search = list(csv.DictReader(io.StringIO(files["search.csv"])))
        self.assertEqual([(row["chosen"], row["covering_rate"], row["epochs"]) for row in search],
                         [("no", "0.55", "1 1"), ("yes", "0.65", "1 2"), ("no", "0.5", "1 1")])

    def test_equal_settings_failed_ones_and_ones_without_a_score(self):
        plan = self.plan(self.SECTIONS)
        for job in plan.ready():
            if job.number == 0:
                plan.failed[job.name] = 5
            else:
                self.finish(job, [(0.5, 0.5)])
        self.assertEqual(self.names(plan.ready()), ["tab_draw=1_seed=1"])
        other = self.plan(self.SECTIONS)
        for job in other.known():
            self.finish(job, [("", 0.5)])
        other = self.plan(self.SECTIONS)
        self.assertEqual((other.ready(), other.total()), ([], 6))
        self.assertIn("| tab | 0 | - | - |", tables.all_tables(other)["table.md"])

    def test_a_choice_for_each_seed_alone(self):
        plan = self.plan(self.SECTIONS.replace("7 | 8", "each"), "seeds = 1 | 2\n")
        self.assertEqual(len(plan.ready()), 6)
        for job in plan.known():
            self.finish(job, [(0.5 + 0.1 * (job.number == int(job.seed)), 0.5)])
        self.assertEqual(plan.ready(), [])
        self.assertEqual(self.names(plan.rows[0].final_jobs()), ["tab_draw=1_seed=1", "tab_draw=2_seed=2"])

    def test_a_setting_is_judged_on_the_first_fold_or_on_all(self):
        sections = self.SECTIONS.replace("7 | 8", "1") + "[repeat]\ndata.fold = 0 | 1\n"
        plan = self.plan(sections)
        self.assertEqual(self.names(plan.ready()), [f"tab_fold=0_draw={n}_seed=1" for n in range(3)])
        self.assertEqual(plan.total(), 4)
        self.assertEqual(len(self.plan(sections.replace("draws = 3", "draws = 3\nrepeat = all")).ready()), 6)

    def test_what_the_file_fixes_or_lists_is_not_drawn_from_a_preset(self):
        search = "[search]\ndraws = 3\nchoose = covering_rate\npreset = plench\n"
        fixed = "[set]\noptimiser.batch = 16\ndata.selection_fraction = 0.2\n"
        for sections in (search + fixed + "[grid]\noptimiser.weight_decay = 0.5\n",
                         search + "[config c]\nfile = " + str(self.folder / "tab.ini") + "\noptimiser.weight_decay = 0.5\n"
                         + fixed):
            head = f"[sweep]\nconfigs = {'c' if '[config' in sections else self.folder / 'tab.ini'}\nseeds = 1\n"
            path = self.write("sweep.ini", head + f"out = {self.folder}/out\n" + sections)
            row = Plan(Spec(str(path)), Engine(ENGINE)).rows[0]
            self.assertEqual([sorted(drawn) for drawn in row.draws], [["optimiser.lr"]] * 3)
            for job in row.search_jobs():
                settings = job.settings
                self.assertEqual((settings["optimiser.batch"], settings["optimiser.weight_decay"],
                                  settings["data.selection_fraction"]), ("16", "0.5", "0.2"))

    def test_methods_side_by_side(self):
        sweep = "seeds = 1 | 2 | 3\nmethods = plcr | proden | lws | cross_entropy\nupper_bounds = cross_entropy\n"
        plan = self.plan("[grid]\ncandidates.rate = 0.1 | 0.3\n[set]\ncandidates.mode = uniform\n", sweep)
        base = {"plcr": 0.70, "proden": 0.50, "lws": 0.69, "cross_entropy": 0.95}
        for job in plan.known():
            better = 0.1 if job.values["candidates.rate"] == "0.3" and job.values["objective.method"] == "lws" else 0
            self.finish(job, [(0.5, base[job.values["objective.method"]] + better + 0.01 * int(job.seed))], 2.0)
        files = tables.all_tables(plan)
        self.assertEqual(files["comparison.md"].splitlines()[:6], [
            "| method | tab, rate 0.1 | tab, rate 0.3 |", "| --- | --- | --- |",
            "| plcr | **72.00 ± 1.00 (se 0.58, n = 3)** | 72.00 ± 1.00 (se 0.58, n = 3) • |",
            "| proden | 52.00 ± 1.00 (se 0.58, n = 3) • | 52.00 ± 1.00 (se 0.58, n = 3) • |",
            "| lws | 71.00 ± 1.00 (se 0.58, n = 3) | **81.00 ± 1.00 (se 0.58, n = 3)** |",
            "| cross_entropy (upper bound) | 97.00 ± 1.00 (se 0.58, n = 3) | 97.00 ± 1.00 (se 0.58, n = 3) |"])
        self.assertIn("| seconds a run | tab, rate 0.1 |", files["comparison.md"])
        self.assertIn("\\textbf{72.00 $\\pm$ 1.00 (se 0.58, n = 3)}", files["comparison.tex"])
        self.assertIn("cross\\_entropy", files["comparison.tex"])
        numbers = [row for row in csv.DictReader(io.StringIO(files["table.csv"])) if row["protocol"] == "last_epoch"]
        lws = next(row for row in numbers if row["method"] == "lws")
        test = welch(Sample([71, 72, 73]), Sample([70, 71, 72]))
        self.assertEqual((lws["best"], lws["n"], lws["standard_error"]), ("no", "3", "0.57735"))
        self.assertAlmostEqual(float(lws["p_against_best"]), test[2], delta=1e-4)
        self.assertNotIn("Oracle", files["comparison.md"])
        oracle = self.plan("[set]\ncandidates.mode = uniform\n", sweep + "report = best_epoch\n")
        self.assertIn("no fair result", tables.all_tables(oracle)["comparison.md"])


class FromVotes(Folder):
    VOTES = ("annotator,sample,label,when\nann,0,cat,1\nbob,0,dog,2\ncid,0,cat,3\nann,2,1,4\nann,2,cow,5\nbob,2,dog,6\n"
             "cid,2,cow,7\n")

    def run_votes(self, *options, votes=None):
        self.write("votes.csv", self.VOTES if votes is None else votes)
        self.write("names.txt", "cat\ndog\ncow\n")
        done = subprocess.run([sys.executable, os.path.join(TOOLS, "votes"), "votes.csv", "--out", "sets.csv", *options],
                              cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        return done.returncode, done.stdout, done.stderr

    def sets(self, *options, votes=None):
        code, out, err = self.run_votes("--names", "names.txt", *options, votes=votes)
        self.assertEqual((code, err), (0, ""))
        lines = (self.folder / "sets.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[1], "sample,candidates")
        return [lines[0], *lines[2:]], out

    def test_union(self):
        lines, out = self.sets()
        self.assertEqual(lines, ["# dpll candidates, classes = 3, count = 3", "0,0 1", "1,0 1 2", "2,1 2"])
        self.assertIn("3 samples, 3 classes, mean size 2.333; 1 samples without votes have all labels", out)

    def test_threshold(self):
        # Sample 0: cat 2/3, dog 1/3; sample 2: dog 2/3, cow 2/3.
        self.assertEqual(self.sets("--rule", "threshold", "--share", "0.5")[0][1:], ["0,0", "1,0 1 2", "2,1 2"])
        self.assertEqual(self.sets("--rule", "threshold", votes="annotator,sample,label\na,0,cat\na,0,dog\nb,0,cat\n")[0][1:],
                         ["0,0 1"])  # exactly half
        lines, out = self.sets("--rule", "threshold", "--share", "0.7", "--samples", "4")
        self.assertEqual(lines[1:], ["0,0", "1,0 1 2", "2,1 2", "3,0 1 2"])
        self.assertIn("2 samples where no label reached the share", out)

    def test_weighted(self):
        self.write("weights.csv", "annotator,weight\nann,1\nbob,8\ncid,1\n")
        options = ["--rule", "weighted", "--share", "0.3"]
        # Sample 0: cat 0.2, dog 0.8; sample 2: dog 0.9, cow 0.2.
        self.assertEqual(self.sets(*options, "--weights", "weights.csv")[0][1:], ["0,1", "1,0 1 2", "2,1"])
        # By agreement: ann 3/4, bob 1/4, cid 2/4. Sample 0: dog has 0.25 of 1.5; sample 2: dog 1, cow 1.25 of 1.5.
        options = ["--rule", "weighted", "--share"]
        self.assertEqual(self.sets(*options, "0.17")[0][1:], ["0,0", "1,0 1 2", "2,1 2"])
        self.assertEqual(self.sets(*options, "0.16")[0][1:], ["0,0 1", "1,0 1 2", "2,1 2"])
        self.assertEqual(self.sets(*options, "0.7")[0][1:], ["0,0", "1,0 1 2", "2,2"])

    def test_file_names(self):
        self.write("files.txt", "a,b.png\n1\n0\n")
        lines, _ = self.sets("--files", "files.txt", votes='sample,label,annotator\n"a,b.png",cow,x\n0,cat,x\n1,dog,x\n')
        self.assertEqual(lines[1:], ["0,2", "1,1", "2,0"])  # a name goes before a number

    def test_what_cannot_be_used(self):
        head = "annotator,sample,label\n"
        for votes, part in [(head + "a,9,cat\n", "line 2: unknown sample '9': it is not a number from 0 to 3"),
                            (head + "a,0,dgo\n", "unknown class 'dgo': it is not a number from 0 to 2 and no name that "
                             "is known; did you mean 'dog'?"), (head + "a,0,3\n", "unknown class '3'"),
                            (head + "a,-1,0\n", "unknown sample '-1'"), (head + "a,0,0\na,0,cat\n", "line 3: a gave"),
                            (head + "a,0\n", "line 2: expected annotator,sample,label"), (head, "there is no vote"),
                            ("annotator,sample\na,0\n", "names no column 'label'"), ("", "names no column"),
                            (head + 'a,0,"ca\n', "votes.csv: "), (head + "a,0,0,0\n", "line 2: expected")]:
            code, out, err = self.run_votes("--names", "names.txt", "--samples", "4", votes=votes)
            with self.subTest(votes=votes):
                self.assertEqual((code, out, err.count("\n")), (3, "", 1))
                self.assertIn(part, err)
                self.assertFalse((self.folder / "sets.csv").exists())
        for options, code in [([], 2), (["--classes", "0"], 2), (["--classes", "3", "--share", "2"], 2),
                              (["--classes", "3", "--weights", "w"], 2), (["--names", "none.txt"], 3),
                              (["--classes", "3"], 3), (["--names", "names.txt", "--files", "none.txt"], 3)]:
            with self.subTest(options=options):
                self.assertEqual(self.run_votes(*options)[0], code)
        for weights, part in [("ann,1\nbob,1\n", "annotator 'cid' has votes and no weight"),
                              ("ann,-1\n", "weight '-1' is not a number"), ("ann,1\nann,2\n", "has a weight before")]:
            self.write("weights.csv", "annotator,weight\n" + weights)
            code, _, err = self.run_votes("--names", "names.txt", "--rule", "weighted", "--weights", "weights.csv")
            self.assertEqual(code, 3)
            self.assertIn(part, err)

    def test_soft(self):
        self.sets("--soft", "soft.csv")
        rows = (self.folder / "soft.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(rows[0], "sample,weights")
        weights = [{int(item.split(":")[0]): float(item.split(":")[1]) for item in row.split(",")[1].split()}
                   for row in rows[1:]]
        self.assertEqual([row.split(",")[0] for row in rows[1:]], ["0", "1", "2"])
        # Sample 0: cat 2 votes, dog 1; sample 1: none; sample 2: dog 2, cow 2.
        for found, wanted in zip(weights, [{0: 2 / 3, 1: 1 / 3}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}, {1: 0.5, 2: 0.5}]):
            self.assertEqual(found.keys(), wanted.keys())
            for label, weight in wanted.items():
                self.assertAlmostEqual(found[label], weight)
        self.write("weights.csv", "annotator,weight\nann,0\nbob,0\ncid,0\n")  # nobody counts: equal parts
        self.sets("--rule", "weighted", "--weights", "weights.csv", "--soft", "soft.csv")
        self.assertEqual((self.folder / "soft.csv").read_text(encoding="utf-8").splitlines()[1], "0,0:0.5 1:0.5")

    def test_the_engine_reads_the_sets(self):
        count = 150  # samples of sparse.mat
        self.sets("--samples", str(count), "--soft", "soft.csv")
        settings = ["candidates.mode=file", f"candidates.file={self.folder}/sets.csv",
                    f"candidates.weights={self.folder}/soft.csv"]
        words = [word for setting in settings for word in ("--set", setting)]
        subprocess.run([ENGINE, "candidates", str(self.folder / "tab.ini"), "--out", str(self.folder / "read.csv"), *words],
                       check=True, stdout=subprocess.DEVNULL)
        lines = (self.folder / "read.csv").read_text(encoding="utf-8").splitlines()
        self.assertIn("classes = 3", lines[0])


if __name__ == "__main__":
    unittest.main()
