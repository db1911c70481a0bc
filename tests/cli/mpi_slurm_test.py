"""Ranks under a real Slurm of one machine. Run by tests/cli/mpi_test.cpp.

usage: mpi_slurm_test.py RANK_CHECK [Class ...]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from local_slurm import LocalSlurm  # noqa: E402  (found by the line above)

# The name of srun's plugin, its start in our messages, our library.
KINDS = (("pmix", "Open MPI", "libdpll_openmpi.so"), ("pmi2", "MPICH", "libdpll_mpich.so"))


class Ranks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.slurm = LocalSlurm()
        if cls.slurm.missing:
            raise unittest.SkipTest(cls.slurm.missing)
        if os.cpu_count() < 2:
            raise unittest.SkipTest("Slurm gives each of two tasks a core, and there is one")
        cls.addClassCleanup(cls.slurm.stop)
        cls.slurm.start()
        listed = cls.srun("--mpi=list")
        cls.kinds = [kind for kind in KINDS if kind[0] in listed.stdout + listed.stderr]

    @classmethod
    def srun(cls, *arguments):
        return subprocess.run([shutil.which("srun"), *arguments], env=cls.slurm.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8")

    def ranks(self, plugin, *arguments):
        done = self.srun("--quiet", f"--mpi={plugin}", "--ntasks=2", CHECK, *arguments)
        ours = [line for line in done.stderr.splitlines() if line.startswith("dpll_engine: ")]
        return done.returncode, done.stdout, ours, done.stderr

    def kinds_here(self):
        found = [kind for kind in self.kinds if (pathlib.Path(CHECK).parent / kind[2]).exists()]
        if not found:
            self.skipTest("Slurm has no plugin for the MPI of this build")
        return found

    def test_ranks_train_together_and_a_killed_one_is_named(self):
        for plugin, mpi, _ in self.kinds_here():
            with self.subTest(plugin=plugin):
                code, out, _, err = self.ranks(plugin, "collectives")
                self.assertEqual(code, 0, err)
                self.assertIn("done: 2 ranks, " + mpi, out)
                code, out, ours, err = self.ranks(plugin, "killed", "1")
                self.assertNotEqual(code, 0)
                self.assertEqual(len(ours), 1, err)
                self.assertRegex(ours[0], r"rank 1 on \S+ \(process \d+\) has ended before the others")

    def test_the_program_trains_and_a_time_limit_stops_all(self):
        engine, data = pathlib.Path(CHECK).with_name("dpll_engine"), pathlib.Path(__file__).parents[1] / "fixtures/fashion-mnist/plain"
        for plugin, _, _ in self.kinds_here():
            with self.subTest(plugin=plugin), tempfile.TemporaryDirectory() as folder:
                config = pathlib.Path(folder) / "config.ini"
                config.write_text(f"[run]\nname = a\nepochs = 2\nthreads = 1\nout_dir = {folder}\n[data]\ndataset = fashion_mnist\n"
                                  f"path = {data}\nverify = false\n[model]\narchitecture = lenet\n[optimiser]\nbatch = 8\n"
                                  "[log]\ncharts = false\n[evaluation]\nbatch = 8\n")  # fmt: skip
                done = self.srun("--quiet", f"--mpi={plugin}", "--ntasks=2", str(engine), str(config))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("2 ranks; batch norm over the samples of all", done.stdout)
                self.assertEqual(json.loads((pathlib.Path(folder) / "a" / "summary.json").read_text())["ranks"]["count"], 2)
                # A time limit on the ranks: all stop after the same step.
                done = self.srun("--quiet", f"--mpi={plugin}", "--ntasks=2", str(engine), str(config), "--resume", "--set",
                                 "run.epochs=100000", "--set", "run.max_hours=0.0005")  # fmt: skip
                self.assertIn("stopped by run.max_hours", done.stdout, done.stderr)
                self.assertNotEqual(done.returncode, 0)

    def test_a_step_without_either_refuses(self):
        code, _, ours, err = self.ranks("none", "collectives")
        self.assertEqual((code, len(ours)), (3, 1), err)
        self.assertIn("rank 0 of 2, started by srun without PMIx and PMI2", ours[0])


if __name__ == "__main__":
    unittest.main()
