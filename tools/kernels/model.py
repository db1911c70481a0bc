"""A model of the time of a training step on a GPU that is not here.

Every constant is one line with its source. Where a measurement exists, its value and where it stands replace the line.
"""

import math
import re
from dataclasses import dataclass

from .graph import longest

# name, value on an H100 SXM and on an H200 SXM, unit, source
CONSTANTS = [
    ("multiprocessors", 132, 132, "", "NVIDIA's data sheets"),
    ("clock", 1.75, 1.75, "GHz", "assumed: boost under load; the data sheets say up to 1.98"),
    ("dram", 3.0, 4.3, "TB/s", "a copy, bytes read plus written, seen on such machines; the data sheets say 3.35 and 4.8"),
    ("l2", 5.5, 5.5, "TB/s", "assumed, from published measurements of reads"),
    ("l2_keeps", 30, 30, "MB", "assumed: a launch that moves at most this finds its tensors in the L2 cache of 50 MB"),
    ("dram_latency", 600, 600, "ns", "assumed, from published measurements under load"),
    ("l2_latency", 250, 250, "ns", "assumed, from published measurements: 150 - 200 without load"),
    ("l1_latency", 25, 25, "ns", "assumed, from published measurements"),
    ("cold_waits", 3, 3, "waits", "assumed: before its loop a thread waits so often for L2, then for L1: neighbours' lines"),
    ("gap", 1.3, 1.3, "us", "assumed: between two nodes of a graph of which one waits for the other"),
    ("dependent_gap", 0.5, 0.5, "us", "assumed: the same with programmatic dependent launch"),
    ("ramp", 1.0, 1.0, "us", "assumed: the shortest kernel, from the first block's start to the last store"),
    ("issue", 2.4, 2.4, "instructions", "assumed: of warps, each cycle and multiprocessor; the peak is 4"),
    ("dependent", 2.5, 2.5, "cycles", "assumed: between two instructions of a warp, some of which depend on each other"),
    ("library_ramp", 3.0, 3.0, "us", "assumed: the shortest convolution or product of a library"),
    ("convolution", 620, 620, "TFLOP/s", "assumed, with half_channels: 397 - 543 for 160 - 640 channels; 769 - 798 were seen for a large product"),
    ("half_channels", 90, 90, "channels", "assumed: c channels reach c / (c + this) of it; c: mean of in and out; 5x5: x 25 / 9"),
    ("product", 60, 60, "TFLOP/s", "assumed: the small products of the classifiers"),
    ("padding", 2, 2, "launches", "assumed from cuDNN's workspaces: added to a pass if channels are no multiple of 8"),
]

REGISTERS, SHARED, WARPS, BLOCKS = 65536, 233472, 64, 32  # of a multiprocessor of compute capability 9.0


@dataclass
class Machine:
    name: str
    values: dict

    def __getattr__(self, name):
        return self.values[name]


MACHINES = [Machine(name, {constant[0]: constant[1 + at] for constant in CONSTANTS})
            for at, name in enumerate(["H100", "H200"])]

KINDS = [  # by the beginning of a launch's name
    ("convolutions, products", r"(forward|weight_gradient|data_gradient|f16 product|bf16 product|f32 product)\b"),
    ("merges", r"(view_statistics|batch_norm|block_join)\S* merge"),
    ("statistics", r"view_statistics"),
    ("batch norm forward", r"(batch_norm|block_join)_forward"),
    ("batch norm backward", r"(batch_norm|block_join)_backward"),
    ("column sums", r"column_sums"),
    ("objective", r"(pll_objective|cross_entropy)"),
    ("augment", r"augment"),
    ("update", r"sgd"),
]


def kind_of(name):
    return next((kind for kind, pattern in KINDS if re.match(pattern, name)), "other")


@dataclass
class Figures:
    """What the compiler makes of an instance of a kernel, for sm_90. `flow` is a sass.Flow or None."""
    registers: int
    shared: int
    flow: object = None


@dataclass
class Occupancy:
    blocks: int  # that a multiprocessor can hold
    limit: str  # what allows no more
    warps: float  # of this launch on a multiprocessor, in its first wave
    share: float  # of the warps that a multiprocessor can hold


def occupancy(node, figures, machine):
    warps = math.ceil(node.threads / 32)
    of_registers = math.ceil(figures.registers / 8) * 8 * 32  # a warp's
    shared = math.ceil((figures.shared + node.shared) / 128) * 128 + 1024
    limits = [(WARPS // warps, "threads"), (BLOCKS, "blocks"), (SHARED // shared, "shared memory"),
              (REGISTERS // of_registers // 4 * 4 // warps, "registers")]  # handed out to four warps at a time
    blocks, limit = min(limits, key=lambda pair: pair[0])
    if node.grid() < blocks * machine.multiprocessors:
        limit = "grid"
    resident = min(blocks * machine.multiprocessors, node.grid()) * warps / machine.multiprocessors
    return Occupancy(blocks, limit, resident, resident / WARPS)


@dataclass
class Time:
    gap: float  # before it, in seconds
    run: float
    limit: str
    share: float = 1  # of the machine that it fills

    def total(self):
        return self.gap + self.run


def bandwidth(moved, machine):
    """(bytes a second, seconds of latency, name) for a launch that moves so many bytes."""
    if moved <= machine.l2_keeps * 1e6:
        return machine.l2 * 1e12, machine.l2_latency * 1e-9, "L2 bandwidth"
    return machine.dram * 1e12, machine.dram_latency * 1e-9, "DRAM bandwidth"


def kernel_time(node, figures, machine):
    """Of one of our kernels."""
    gap = (machine.dependent_gap if node.dependent_launch else machine.gap) * 1e-6
    ramp = machine.ramp * 1e-6
    if figures is None:
        return Time(gap, ramp, "launch")
    held = occupancy(node, figures, machine)
    waves = node.grid() / (held.blocks * machine.multiprocessors)
    rate, latency, of = bandwidth(node.bytes, machine)
    parts = {of: node.bytes / rate}
    if figures.flow:
        flow, cycle = figures.flow, 1e-9 / machine.clock
        cold = min(flow.once_waits, machine.cold_waits)
        once = ((cold + flow.tail_waits) * machine.l2_latency + (flow.once_waits - cold) * machine.l1_latency) * 1e-9 \
            + flow.once * machine.dependent * cycle
        threads = node.grid() * node.threads
        passes = node.bytes / (flow.loop_bytes * threads) if flow.loop and flow.loop_bytes else 0
        one = once + passes * (flow.loop_waits * latency + flow.loop * machine.dependent * cycle)  # a thread's time
        parts["latency"] = max(1, waves) * one
        if flow.in_flight:  # Little's law
            resident = held.warps * 32 * machine.multiprocessors
            parts["latency"] = max(parts["latency"], once + node.bytes * latency / (flow.in_flight * resident))
        parts[of] += once
        parts["instructions"] = threads / 32 * (flow.once + passes * flow.loop) * cycle \
            / (machine.issue * min(machine.multiprocessors, node.grid()))
    limit = max(parts, key=parts.get)
    return Time(gap, ramp + parts[limit], limit if parts[limit] > gap + ramp else "launch", min(1, waves))


def convolution_rate(node, machine):
    shape = re.search(r"x(\d+) to (\d+) channels, (\d+)x(\d+)", node.name)
    if not shape:
        return machine.product * 1e12
    channels_in, channels_out, height, width = map(int, shape.groups())
    mean = math.sqrt(channels_in * channels_out) * max(1, height * width / 9)  # taps lengthen the sums as channels do
    return machine.convolution * 1e12 * mean / (mean + machine.half_channels)


def library_time(node, machine):
    rate, _, of = bandwidth(node.bytes, machine)
    parts = {"arithmetic": node.operations / convolution_rate(node, machine), of: node.bytes / rate}
    limit = max(parts, key=parts.get)
    ramp, gap = machine.library_ramp * 1e-6, machine.gap * 1e-6
    channels = re.search(r"x(\d+) to (\d+) channels", node.name)
    padded = channels and (int(channels[1]) % 8 or int(channels[2]) % 8)
    padding = machine.padding * (gap + machine.ramp * 1e-6) if padded else 0
    return Time(gap, ramp + padding + parts[limit], limit if parts[limit] > gap + ramp + padding else "launch")


def time_of(node, figures, machine):
    return kernel_time(node, figures.get((node.name, node.instance)), machine) if node.instance \
        else library_time(node, machine)


def step_time(nodes, figures, machine):
    """Seconds of a step: of its longest chain, or of all its work if that fills the machine for longer."""
    times = {id(node): time_of(node, figures, machine) for node in nodes}
    chain = longest(nodes, lambda node: times[id(node)].total())
    return max(chain, sum(time.run * time.share for time in times.values()))
