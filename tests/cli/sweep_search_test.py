"""Whole searches by tools/sweep and tools/benchmark: several runs at a time, killed and stopped, and as array jobs of Slurm.
Run by tests/cli/protocol_runner_test.cpp.

usage: sweep_search_test.py TOOLS ENGINE FIXTURES [Class ...]
"""

import csv
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOOLS, ENGINE, FIXTURES = (os.path.abspath(path) for path in sys.argv[1:4])
del sys.argv[1:4]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from local_slurm import LocalSlurm  # noqa: E402  (found by the line above)

CONFIG = f"""[run]
threads = 1
epochs = 3
device = cpu
[data]
dataset = tabular
path = {FIXTURES}/tabular/sparse.mat
folds = 3
selection_fraction = 0.2
[candidates]
mode = dataset
[model]
architecture = mlp
hidden = 8
[optimiser]
batch = 16
[plcr]
ramp_epochs = 2
[log]
charts = false
"""
SEARCH = """[search]
draws = 3
choose = approximated_accuracy
[range]
optimiser.lr = log_uniform 1e-3 to 0.3
"""
MODELS = "model.safetensors"


class Searches(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.environment = dict(os.environ)
        (self.folder / "tab.ini").write_text(CONFIG, encoding="utf-8")
        self.sweep(SEARCH)

    def sweep(self, sections, out="out", head="methods = plcr | proden\n"):
        (self.folder / "s.ini").write_text(f"[sweep]\nconfigs = tab.ini\nseeds = 1 | 2\nout = {out}\n{head}{sections}",
                                           encoding="utf-8")

    def command(self, *options, program="sweep"):
        return [sys.executable, os.path.join(TOOLS, program), "s.ini", "--engine", ENGINE, *options]

    def run_sweep(self, *options, program="sweep"):
        done = subprocess.run(self.command(*options, program=program), cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8", env=self.environment)
        return done.returncode, done.stdout, done.stderr

    def done(self, *options, **more):
        code, out, err = self.run_sweep(*options, **more)
        self.assertEqual((code, err), (0, ""), out)
        return out

    def runs(self, out="out"):
        return sorted(path.parent.name for path in (self.folder / out).glob("*/summary.json"))

    def models(self, out="out"):
        return {path.parent.name: path.read_bytes() for path in (self.folder / out).glob("*/" + MODELS)}

    def table(self, name, out="out"):
        with open(self.folder / out / name, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def start(self, *options):
        return subprocess.Popen(self.command(*options), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                encoding="utf-8", env=self.environment)

    def wait_for(self, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)


class Local(Searches):
    def test_search_choice_and_tables(self):
        out = self.done("--jobs", "2", program="benchmark")
        # Six draws, the chosen ones once more each: on seed 1 they were already trained.
        self.assertEqual(len(self.runs()), 8)
        self.assertIn("sweep: 8 of 8 runs finished", out)
        self.assertIn("| method | tab |", out)
        draws = self.table("search.csv")
        self.assertEqual([row["method"] for row in draws], ["plcr"] * 3 + ["proden"] * 3)
        self.assertEqual((draws[0]["optimiser.lr"], draws[3]["optimiser.lr"]), ("", ""))  # the configuration's own
        self.assertEqual(draws[1]["optimiser.lr"], draws[4]["optimiser.lr"])
        for method in ("plcr", "proden"):
            of_method = [row for row in draws if row["method"] == method]
            scores = []
            for row in of_method:
                summary = json.loads((self.folder / f"out/tab_method={method}_draw={row['draw']}_seed=1/summary.json")
                                     .read_text(encoding="utf-8"))
                scores.append(summary["protocols"]["approximated_accuracy"]["approximated_accuracy"])
                self.assertAlmostEqual(float(row["approximated_accuracy"]), scores[-1], delta=1e-5)
                self.assertEqual(int(row["epochs"]), summary["protocols"]["approximated_accuracy"]["epoch"])
            chosen = [row["draw"] for row in of_method if row["chosen"] == "yes"]
            self.assertEqual(chosen, [str(scores.index(max(scores)))])
            self.assertIn(f"tab_method={method}_draw={chosen[0]}_seed=2", self.runs())
        config = (self.folder / "out/tab_method=plcr_draw=1_seed=1/config.ini").read_text(encoding="utf-8")
        self.assertIn(f"\nlr = {draws[1]['optimiser.lr']}\n", config)

    def test_killed_and_stopped_it_ends_as_one_that_was_left_alone(self):
        self.sweep(SEARCH + "[set]\nrun.epochs = 30\ncheckpoint.every = 5\n")
        self.done()
        whole = self.models()
        self.sweep(SEARCH + "[set]\nrun.epochs = 30\ncheckpoint.every = 5\n", out="other")
        child = self.start("--jobs", "3")
        self.wait_for(lambda: len(list((self.folder / "other").glob("*/checkpoint.safetensors"))) >= 3)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        child = self.start("--jobs", "2")
        # One more than a run that the killed sweep had begun just before, whose folder may come late.
        before = self.runs("other")
        self.wait_for(lambda: len(self.runs("other")) > len(before) + 1 or child.poll() is not None)
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate()
        self.assertEqual(child.returncode, 128 + signal.SIGTERM, said)
        self.assertIn("stopped; the same command goes on", said)
        self.assertLess(len(self.runs("other")), 8)
        self.done("--jobs", "2")
        self.assertEqual(self.models("other"), whole)

    def test_out_of_time(self):
        self.sweep("[set]\nrun.epochs = 100000\n")
        code, out, err = self.run_sweep("--max-hours", "0.0005", "--jobs", "2")
        self.assertEqual((code, err), (75, ""), out)
        self.assertIn("0 of 4 runs finished", out)

    def test_two_at_once_and_a_table_put_into_a_text(self):
        self.sweep("")
        page = self.folder / "page.md"
        page.write_text("before\n<!-- begin s -->\nold\n<!-- end s -->\nafter\n", encoding="utf-8")
        self.done("--into", "page.md")
        text = page.read_text(encoding="utf-8")
        comparison = (self.folder / "out/comparison.md").read_text(encoding="utf-8")
        self.assertEqual(text, f"before\n<!-- begin s -->\n{comparison}<!-- end s -->\nafter\n")
        page.write_text("nothing\n", encoding="utf-8")
        code, _, err = self.run_sweep("--into", "page.md")
        self.assertEqual((code, err), (2, "tools/sweep: page.md: there are no lines <!-- begin s --> and <!-- end s -->\n"))

        with open(self.folder / "out/.sweep.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, _, err = self.run_sweep()
        self.assertEqual((code, err), (5, "tools/sweep: out: another tools/sweep is at work there\n"))

    def test_gpus_are_dealt_out(self):
        # A stand-in for the engine that writes down what it was asked, on a machine without GPUs.
        stand_in = self.folder / "engine"
        stand_in.write_text(f"""#!/bin/sh
[ "$1" != config ] || exec {ENGINE} "$@"
echo "$OMP_NUM_THREADS $*" >>{self.folder}/asked
sleep 0.2
exit 6
""", encoding="utf-8")
        stand_in.chmod(0o755)
        self.sweep("")
        self.environment.pop("OMP_NUM_THREADS", None)
        code, _, err = self.run_sweep("--engine", str(stand_in), "--devices", "2,5")
        self.assertEqual(code, 1)
        self.assertIn("failed: tab_method=plcr_seed=1 and 3 more (exit code 6)", err)
        asked = (self.folder / "asked").read_text(encoding="utf-8").splitlines()
        self.assertEqual(sorted(line.count("run.device=cuda:2 ") for line in asked), [0, 0, 1, 1])
        self.assertEqual(sorted(line.count("run.device=cuda:5 ") for line in asked), [0, 0, 1, 1])
        share = str(max(1, len(os.sched_getaffinity(0)) // 2))
        self.assertTrue(all(line.split()[0] == share for line in asked))
        for options in (["--devices", "0,0"], ["--devices", "a"], ["--jobs", "0"], ["--max-hours", "-1"], ["--no-wait"],
                        ["--slurm", "--devices", "0"]):
            self.assertEqual(self.run_sweep(*options)[0], 2)
        code, _, err = self.run_sweep("--engine", "./none")
        self.assertEqual((code, err.count("\n")), (2, 1))


class WithoutSlurm(Searches):
    """Slurm that is missing or refuses, by stand-ins for its programs."""

    def program(self, name, text):
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)

    def test_no_sbatch(self):
        self.environment["PATH"] = str(self.folder)
        code, _, err = self.run_sweep("--slurm")
        self.assertEqual((code, err.count("\n")), (3, 1))
        self.assertIn("--slurm: there is no sbatch on this machine", err)

    def test_refused_lost_and_without_an_answer(self):
        self.environment["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        self.sweep("", head="")
        self.program("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1\n")
        self.program("squeue", "exit 0\n")
        code, _, err = self.run_sweep("--slurm", "--sbatch=--partition=x")
        self.assertEqual((code, err.count("\n")), (5, 1))
        self.assertIn("round-1.sh: sbatch: error: invalid partition specified: x", err)
        # A node that never runs anything: each run is tried three times.
        self.program("sbatch", f"echo run >>{self.folder}/rounds; echo '7;cluster'\n")
        code, out, err = self.run_sweep("--slurm", "--poll", "0.01")
        self.assertEqual(code, 1)
        self.assertEqual((self.folder / "rounds").read_text(encoding="utf-8").count("run"), 3)
        self.assertIn("failed: tab_seed=1 and 1 more (exit code None)", err)
        self.program("squeue", "echo 7; echo 7\n")
        out = self.done("--slurm", "--no-wait")
        self.assertIn("array job 7 is in the queue; the same command goes on", out)
        code, _, err = self.run_sweep()
        self.assertEqual(code, 5)
        self.assertIn("array job 7 was submitted", err)
        script = sorted((self.folder / "out/slurm").glob("*.sh"))[-1].read_text(encoding="utf-8")
        self.assertIn("#SBATCH --array=0-1\n", script)


class WithSlurm(Searches):
    """A real Slurm of one machine."""

    @classmethod
    def setUpClass(cls):
        cls.slurm = LocalSlurm()
        if cls.slurm.missing:
            raise unittest.SkipTest(cls.slurm.missing)
        cls.addClassCleanup(cls.slurm.stop)
        cls.slurm.start()

    def setUp(self):
        super().setUp()
        self.environment["SLURM_CONF"] = self.slurm.conf

    def test_a_search_in_arrays_collects_what_they_leave(self):
        out = self.done("--slurm", "--poll", "0.2", "--max-hours", "1", "--runs-per-task", "2", "--jobs", "2")
        self.assertEqual(len(self.runs()), 8)
        self.assertIn("| method | tab |", out)
        script = (self.folder / "out/slurm/round-1.sh").read_text(encoding="utf-8")
        self.assertIn("#SBATCH --array=0-2%2\n", script)
        self.assertIn("#SBATCH --time=70\n", script)
        arrays = self.models()
        self.sweep(SEARCH, out="here")
        self.done()
        self.assertEqual(self.models("here"), arrays)

    def test_out_of_time_submitted_again_and_killed_while_waiting(self):
        self.sweep("[set]\nrun.epochs = 60\n", head="")
        self.assertIn("is in the queue", self.done("--slurm", "--max-hours", "0.000001", "--no-wait"))

        def second_round():
            state = json.loads((self.folder / "out/slurm/state.json").read_text(encoding="utf-8"))
            return state["round"] == 2 and state["array"]

        child = self.start("--slurm", "--poll", "0.2", "--max-hours", "1")
        self.wait_for(second_round)
        child.send_signal(signal.SIGKILL)
        said, _ = child.communicate()
        self.assertIn("tab_seed=1: exit code 75 (goes on)", said)
        self.done("--slurm", "--poll", "0.2")
        self.assertEqual(len(self.runs()), 2)
        self.assertEqual(len(list((self.folder / "out/slurm").glob("round-*.sh"))), 2)

    def test_a_failed_run_is_named(self):
        self.sweep("[grid]\noptimiser.batch = 16 | 99\n", head="")
        code, _, err = self.run_sweep("--slurm", "--poll", "0.2")
        self.assertEqual(code, 1)
        self.assertIn("failed: tab_batch=99_seed=1 and 1 more (exit code 3): dpll_engine: optimiser.batch = 99", err)
        self.assertEqual(len(self.runs()), 2)


if __name__ == "__main__":
    unittest.main()
