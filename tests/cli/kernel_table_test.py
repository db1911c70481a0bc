"""What tools/kernel_table is made of (tools/kernels). Run by tests/cli/kernel_table_test.cpp.

usage: kernel_table_test.py TOOLS STEP_GRAPH
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

TOOLS, STEP_GRAPH = (os.path.abspath(path) for path in sys.argv[1:3])
del sys.argv[1:3]
sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True

from kernels import document, graph, main, model, sass, sources  # noqa: E402  (found by the line above)


def code(text):
    """Instructions of one kernel from lines like "LDG.E.128 R4, desc[UR4][R2.64]", labels end with a colon."""
    lines = [f"{line}" if line.endswith(":") else f"        /*{at * 16:04x}*/                   {line} ;"
             for at, line in enumerate(text.split("\n"))]
    return dict(sass.functions(".text.kernel:\n" + "\n".join(lines) + "\n"))["kernel"]


class MachineCode(unittest.TestCase):
    ROWS = """S2R R0, SR_TID.X
LDG.E R8, desc[UR4][R2.64]
FADD R9, R8, R8
.L_x_0:
LDG.E.128 R4, desc[UR4][R2.64]
{}
IADD3 R2, R2, 0x10, RZ
STG.E.128 desc[UR4][R2.64], R4
ISETP.GE.AND P0, PT, R2, R1, PT
@!P0 BRA `(.L_x_0)
EXIT
.L_x_1:
BRA `(.L_x_1)"""

    def flow(self, between, wanted=16):
        return sass.flow(code(self.ROWS.format(between)), wanted)

    def test_a_loop_of_one_load(self):
        self.assertEqual(self.flow("FADD R4, R4, R4"), sass.Flow(16, 6, 1, 32, 4, 1, 0))

    def test_two_loads_wait_once_and_two_waits_are_counted(self):
        both = self.flow("LDG.E.128 R12, desc[UR4][R2.64]\nFADD R4, R4, R12\nFADD R5, R5, R13")
        self.assertEqual((both.in_flight, both.loop_waits, both.loop_bytes), (32, 1, 48))
        apart = self.flow("FADD R4, R4, R4\nLDG.E.128 R12, desc[UR4][R2.64]\nFADD R4, R4, R12")
        self.assertEqual((apart.in_flight, apart.loop_waits, apart.loop_bytes), (16, 2, 48))

    def test_an_overwritten_register_is_waited_for(self):
        self.assertEqual(self.flow("MOV R7, RZ\nLDG.E.128 R12, desc[UR4][R2.64]\nMOV R12, RZ").in_flight, 16)

    def test_a_load_for_the_next_pass_stays_in_flight(self):
        ahead = self.flow("FADD R4, R4, R12\nLDG.E.128 R12, desc[UR4][R2.64+0x10]")
        self.assertEqual(ahead.in_flight, 32)

    def test_an_optional_tensor_does_not_count_but_a_row_with_a_condition_does(self):
        part = "{}\n@!P1 BRA `(.L_x_9)\nLDG.E.128 R12, desc[UR4][R2.64]\nFADD R4, R4, R12\n.L_x_9:"
        test = "ISETP.NE.U32.AND P1, PT, R40, RZ, PT\nISETP.NE.AND.EX P1, PT, {}, RZ, PT, P1"
        row = self.flow(part.format("ISETP.GE.AND P1, PT, R2, R1, PT"))
        self.assertEqual((row.in_flight, row.loop, row.loop_bytes), (32, 9, 48))
        changing = self.flow(part.format(test.format("R2")))
        self.assertEqual((changing.in_flight, changing.loop, changing.loop_bytes), (32, 10, 48))
        optional = self.flow(part.format(test.format("R41")))
        self.assertEqual((optional.in_flight, optional.loop, optional.loop_bytes), (16, 8, 32))
        predicated = self.flow(test.format("UR6") + "\n@P1 LDG.E.128 R12, desc[UR4][R2.64]\nFADD R4, R4, R12")
        self.assertEqual((predicated.in_flight, predicated.loop_bytes), (16, 32))

    def test_a_merge_behind_the_rows_is_not_the_main_loop(self):
        rows = self.ROWS[:self.ROWS.index("EXIT")].format("HADD2.F32 R5, -RZ, R4.H0_H0")
        merge = ("ATOMG.E.INC R60, desc[UR4][R2.64], R1\nISETP.NE.AND P3, PT, R60, R1, PT\n@P3 EXIT\n.L_x_5:\n"
                 "LDG.E.128 R40, desc[UR4][R2.64]\nLDG.E.128 R44, desc[UR4][R2.64]\nDADD R50, R40, R44\n@!P3 BRA `(.L_x_5)\nEXIT")
        self.assertEqual(sass.flow(code(rows + merge), 16), sass.Flow(16, 6, 1, 32, 11, 1, 2))

    def test_the_main_loop_has_the_wanted_width(self):
        before = "\n".join([".L_x_7:", *(f"LDG.E R{at}, desc[UR4][R2.64]" for at in range(20, 40)), "FADD R20, R20, R39",
                            "@P2 BRA `(.L_x_7)"])
        narrow = self.ROWS.format("NOP").replace(".128", ".U16")
        flow = sass.flow(code(before + "\n" + narrow), 2)
        self.assertEqual((flow.in_flight, flow.loop, flow.loop_bytes), (2, 6, 4))

    def test_without_a_loop_all_counts(self):
        flow = sass.flow(code("LDG.E.64 R2, desc[UR4][R0.64]\nLDG.E.U16 R4, desc[UR4][R0.64]\nFADD R2, R2, R4\n"
                              "STG.E desc[UR4][R0.64], R2\nEXIT"))
        self.assertEqual(flow, sass.Flow(10, 0, 0, 14, 5, 1, 0))


class Names(unittest.TestCase):
    def test_emulated_and_compiled_kernels_have_the_same(self):
        emulated = ("void dpll::emulated_cuda::(anonymous namespace)::reduce<dpll::emulated_cuda::Half, 8, (dpll::Pool)0>"
                    "(dpll::emulated_cuda::(anonymous namespace)::Task)")
        compiled = ("void dpll::cuda::(anonymous namespace)::reduce<__half, 8, (dpll::Pool)0>"
                    "(dpll::cuda::(anonymous namespace)::Task)")
        self.assertEqual(sources.instance_name(emulated), "reduce<__half, 8, (Pool)0>")
        self.assertEqual(sources.instance_name(compiled), sources.instance_name(emulated))
        self.assertEqual(sources.vector_bytes("reduce<__half, 8, (Pool)0>"), 16)
        self.assertEqual(sources.instance_name("dpll::cuda::(anonymous namespace)::merge(int)"), "merge")


class Model(unittest.TestCase):
    MACHINE = model.MACHINES[0]

    def test_occupancy_is_limited_by_what_is_scarce(self):
        node = graph.Node("a", "a", blocks=(5000, 1, 1), threads=256)
        for registers, shared, blocks, limit in [(32, 0, 8, "threads"), (33, 0, 6, "registers"), (64, 0, 4, "registers"),
                                                 (16, 100_000, 2, "shared memory")]:
            held = model.occupancy(node, model.Figures(registers, shared), self.MACHINE)
            self.assertEqual((held.blocks, held.limit), (blocks, limit))
        odd = graph.Node("a", "a", blocks=(5000, 1, 1), threads=160)  # 25 warps would have registers, four at a time get them
        self.assertEqual(model.occupancy(odd, model.Figures(80, 0), self.MACHINE).blocks, 4)
        few = graph.Node("a", "a", blocks=(66, 1, 1), threads=256)
        held = model.occupancy(few, model.Figures(16, 0), self.MACHINE)
        self.assertEqual((held.limit, held.warps), ("grid", 4))

    def test_more_loads_in_flight_make_a_kernel_faster_until_bandwidth_limits_it(self):
        node = graph.Node("a", "a", blocks=(132 * 16, 1, 1), threads=256, bytes=400e6)
        times = [model.kernel_time(node, model.Figures(64, 0, sass.Flow(size, 20, 1, size * 2, 20, 1, 0)), self.MACHINE)
                 for size in (4, 8, 64, 256)]
        self.assertEqual([time.limit for time in times], ["latency", "latency", "DRAM bandwidth", "DRAM bandwidth"])
        self.assertGreater(times[0].run, 1.5 * times[1].run)
        self.assertAlmostEqual(times[3].run, 400e6 / (self.MACHINE.dram * 1e12), delta=3e-6)

    def test_streams_overlap_but_not_more_than_the_machine_allows(self):
        def conv(*after):
            return graph.Node("forward f16 192x32x32x160 to 160 channels, 3x3, stride 1, pad 1", "", after=list(after),
                              operations=90e9, bytes=1e6)
        chain = model.step_time([conv(), conv(0)], {}, self.MACHINE)
        self.assertAlmostEqual(model.step_time([conv(), conv()], {}, self.MACHINE), chain, delta=3e-6)
        small = [graph.Node("a", "a", after=after, blocks=(1, 1, 1), threads=32) for after in ([], [0], [])]
        figures = {("a", "a"): model.Figures(32, 0)}
        self.assertAlmostEqual(model.step_time(small, figures, self.MACHINE), 2 * 2.3e-6, delta=1e-7)


class Page(unittest.TestCase):
    FIGURES = {("a b", "k<__half, 8>"): model.Figures(40, 128, sass.Flow(16, 20, 1, 32, 9, 2, 3)), ("c", "m"): model.Figures(9, 0)}

    def test_what_it_says_of_instances_is_read_again(self):
        self.assertEqual(document.read_instances(document.instances(self.FIGURES)), self.FIGURES)
        page = document.joined({"": ["# Kernels"], **{title: [title.lower()] for title in document.TITLES}})
        self.assertEqual(document.sections_of(page)["Steps"], ["steps"])
        self.assertEqual(document.joined(document.sections_of(page)), page)

    def test_equal_nodes_are_one_row_and_what_is_small_is_summed(self):
        nodes = [graph.Node(f"f16 product of {at % 20}", "", layer=f"l{at}", operations=1e9 * (at % 20)) for at in range(40)]
        rows = document.network_table(nodes, {})[2:]
        self.assertEqual(len(rows), document.GROUPS + 1)
        self.assertTrue(rows[0].startswith("| 2 | f16 product of 19 | l19 ... |"))
        self.assertTrue(rows[-1].startswith("| 10 | the other 5 groups |"))

    def test_a_kernel_without_figures_is_named(self):
        with self.assertRaisesRegex(sources.Wrong, "no figures of k<float> .launched as x"):
            document.steps({"lenet": [graph.Node("x", "k<float>", blocks=(1, 1, 1), threads=32)]}, {})


@unittest.skipUnless(os.path.exists(STEP_GRAPH), "dpll_step_graph is not built")
class Check(unittest.TestCase):
    """tools/kernel_table --check where there is neither nvcc nor nvdisasm."""

    @classmethod
    def setUpClass(cls):
        cls.kernels, cls.graphs = graph.kernels_of(STEP_GRAPH), graph.step_graphs(STEP_GRAPH)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.build = pathlib.Path(self.folder.name)
        self.page = self.build / "kernels.md"
        program = self.build / graph.PROGRAM
        program.parent.mkdir()
        self.program = program
        program.write_text(f'#!/bin/sh\nexec "{STEP_GRAPH}" "$@"\n')
        program.chmod(0o755)
        figures = {(node.name, node.instance): model.Figures(32, 0)
                   for nodes in self.graphs.values() for node in nodes if node.instance}
        self.page.write_text(document.joined({
            "": document.introduction("nvcc 1.2.3"), "Each kernel": ["-"], "Instances": document.instances(figures),
            "The model": document.the_model(), "Steps": document.steps(self.graphs, figures)}))

    def check(self):
        output = []
        with mock.patch.object(main, "TABLE", self.page), mock.patch.object(graph, "kernels_of", lambda _: self.kernels), \
                mock.patch.object(sources, "compiler_version", lambda: None), \
                mock.patch("builtins.print", lambda *words, **_: output.append(" ".join(words))):
            result = main.main("kernel_table", "", [str(self.build), "--check", "--graphs", str(self.build)])
        return result, "\n".join(output)

    def test_counts_are_checked(self):
        self.assertEqual(self.check(), (0, "skipped: docs/kernels.md, Each kernel: there is no nvcc on PATH\n"
                                        "passed: docs/kernels.md is what these kernels are, but for: Each kernel"))
        text = self.page.read_text()
        count = len(json.loads(subprocess.check_output([STEP_GRAPH, "lenet"]))["nodes"])
        self.page.write_text(text.replace(f"| lenet | {count} |", f"| lenet | {count + 1} |"))
        result, _ = self.check()
        self.assertIn("write it again: tools/kernel_table", result)
        self.assertIn(f"-| lenet | {count + 1} |", result)

    def test_without_the_program_or_with_an_old_one_steps_are_skipped(self):
        os.utime(self.program, (0, 0))
        result, said = self.check()
        self.assertEqual(result, 0)
        self.assertIn("build it again", said)
        self.program.unlink()
        self.assertEqual(self.check()[0], f"kernel_table: {self.build} has no tests/dpll_step_graph")


if __name__ == "__main__":
    unittest.main()
