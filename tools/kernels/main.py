"""The command line of tools/kernel_table."""

import argparse
import concurrent.futures
import difflib
import os
import pathlib
import re
import sys

from . import document, graph, sass, sources
from .sources import ROOT, Wrong

TABLE = ROOT / "docs/kernels.md"
MOST_SHOWN = 40  # lines of a difference


def compile_all(build, declared, disassembler):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(declared, pool.map(lambda path: sources.compile_kernels(build, path, disassembler), declared)))


def keep_flows(figures, before):
    """Without a disassembler, what machine code showed stays as it was written."""
    for key, said in figures.items():
        if said.flow is None and key in before:
            said.flow = before[key].flow


def written(args, before, say):
    """The sections that this machine can write, and {title: why not} of the others."""
    declared = {path: sources.declared_kernels(path) for path in sorted((ROOT / "kernels").glob("*.cu"))}
    sections, missing = {"The model": document.the_model()}, {}
    version, said = sources.compiler_version(), re.search(r"nvcc [\d.]*\d", "\n".join(before.get("", [])))
    figures = earlier = document.read_instances(before.get("Instances", []))
    if version is None:
        missing["Each kernel"] = "there is no nvcc on PATH"
    elif args.check and said and said[0] != version:
        missing["Each kernel"] = f"it is of {said[0]}, here is {version}"
    else:
        disassembler = sass.find_disassembler()
        if disassembler is None:
            say(f"no nvdisasm: what machine code shows is left as it was; {sass.INSTALL}")
        compiled = compile_all(args.build, declared, disassembler)
        figures = document.figures_of(declared, compiled)
        if disassembler is None:
            keep_flows(figures, earlier)
        sections[""] = document.introduction(version)
        sections["Each kernel"] = document.each_kernel(declared, compiled)

    program = graph.find_program([args.graphs] if args.graphs else
                                 [args.build, ROOT / "build/strict", *sorted((ROOT / "build").glob("*"))])
    newer = graph.newer_source(program) if program else None
    if args.graphs and not program:
        raise Wrong(f"{args.graphs} has no {graph.PROGRAM}")
    if program is None:
        missing["Steps"] = f"{graph.PROGRAM} is not built: tools/build strict"
    elif newer:
        missing["Steps"] = f"{newer} changed after {program}: build it again"
    else:
        graphs = graph.step_graphs(program)
        try:
            sections["Steps"] = document.steps(graphs, figures)
        except Wrong as wrong:
            if version is not None and "Each kernel" in sections:
                raise
            missing["Steps"] = str(wrong)
        if "Each kernel" in sections:
            launched = {(node.name, node.instance) for nodes in graphs.values() for node in nodes}
            sections["Instances"] = document.instances({key: figures[key] for key in figures if key in launched})
    return sections, missing


def main(program, description, argv=None):
    parser = argparse.ArgumentParser(prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a build folder that is configured with CUDA")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if docs/kernels.md would change")
    parser.add_argument("--graphs", type=pathlib.Path, metavar="BUILD",
                        help=f"a build folder with {graph.PROGRAM} (default: the first of BUILD, build/strict, build/*)")
    args = parser.parse_args(argv)
    try:
        run(args)
    except Wrong as wrong:
        return f"kernel_table: {wrong}"
    return 0


def run(args):
    before = document.sections_of(TABLE.read_text()) if TABLE.exists() else {}
    sections, missing = written(args, before, lambda text: print(f"kernel_table: {text}", file=sys.stderr))
    if not args.check:
        if "Steps" in missing or ("Each kernel" in missing and "Each kernel" not in before):
            raise Wrong(missing.get("Steps") or missing["Each kernel"])
        for title, reason in missing.items():
            print(f"kernel_table: {title} is left as it was: {reason}", file=sys.stderr)
        TABLE.write_text(document.joined({**before, **sections}))
        return
    for title, reason in missing.items():
        print(f"skipped: docs/kernels.md, {title}: {reason}")
    differing = [line for title, lines in sections.items()
                 for line in difflib.unified_diff(before.get(title, []), lines, "docs/kernels.md", title, lineterm="", n=0)]
    if differing:
        raise Wrong(f"docs/kernels.md is not of these kernels; write it again: tools/kernel_table {args.build}\n"
                    + "\n".join(differing[:MOST_SHOWN]))
    print("passed: docs/kernels.md is what these kernels are" + (f", but for: {', '.join(missing)}" if missing else ""))
