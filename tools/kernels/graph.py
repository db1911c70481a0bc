"""The graph of a training step, as the emulated runtime captures it (tests/emulation/step_graph_main.cpp)."""

import json
import subprocess
from dataclasses import dataclass, field

from .sources import ROOT, Wrong, demangle, instance_name

NETWORKS = ["lenet", "wrn-16-2", "wrn-28-2", "wrn-34-10", "resnet-32"]
PROGRAM = "tests/dpll_step_graph"


@dataclass
class Node:
    name: str
    instance: str  # of our kernels; "" for a call of a library
    layer: str = ""
    stream: int = 0
    after: list = field(default_factory=list)  # numbers of the nodes that it waits for
    blocks: tuple = (0, 0, 0)
    threads: int = 0
    shared: int = 0  # dynamic
    bytes: float = 0
    operations: float = 0
    dependent_launch: bool = False  # begins while the nodes that it waits for still run

    def grid(self):
        return self.blocks[0] * self.blocks[1] * self.blocks[2]


def find_program(folders):
    """The first dpll_step_graph in these build folders, or None."""
    return next((folder / PROGRAM for folder in folders if (folder / PROGRAM).exists()), None)


def newer_source(program):
    """A source of the step that changed after the program was built, or None."""
    built = program.stat().st_mtime
    for path in sorted([*(ROOT / "kernels").iterdir(), *(ROOT / "src/backend/cuda").glob("*.*")]):
        if path.suffix in (".cu", ".cuh", ".cpp", ".h") and path.stat().st_mtime > built:
            return path.relative_to(ROOT)
    return None


def kernels_of(program):
    """{address: instance} of the functions in the program."""
    lines = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    symbols = [line.split() for line in lines if "emulated_cuda" in line and line.split()[1] in "tTwW"]
    return {int(symbol[0], 16): instance_name(name)
            for symbol, name in zip(symbols, demangle([symbol[2] for symbol in symbols]))}


def step_graphs(program):
    """{network: [Node]}."""
    kernels, graphs = kernels_of(program), {}
    for network in NETWORKS:
        done = subprocess.run([program, network], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Wrong(f"{program} {network}: {done.stderr.strip()}")
        graphs[network] = [node_of(said, kernels) for said in json.loads(done.stdout)["nodes"]]
    return graphs


def node_of(said, kernels):
    if said["function"] and said["function"] not in kernels:
        raise Wrong(f"nm does not know kernel {said['name']} at {said['function']:#x}")
    return Node(said["name"], kernels[said["function"]] if said["function"] else "", said["layer"], said["stream"],
                said["after"], tuple(said["blocks"]), said["threads"], said["shared"], said["bytes"], said["operations"],
                bool(said.get("dependent_launch")))


def longest(nodes, weight):
    """The largest sum of weight(node) along nodes of which each waits for the one before it."""
    length = []
    for node in nodes:
        length.append(weight(node) + max((length[at] for at in node.after), default=0))
    return max(length, default=0)
