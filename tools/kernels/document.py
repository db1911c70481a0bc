"""docs/kernels.md: its sections, and what an earlier one said."""

import re
import textwrap
from collections import Counter
from dataclasses import fields

from . import model, sass
from .graph import longest
from .sources import ARCHITECTURES, Wrong

TYPES = {"float": "f32", "__half": "f16", "__nv_bfloat16": "bf16"}
TITLES = ["Each kernel", "Instances", "The model", "Steps"]
GROUPS = 15  # of a network's table


def paragraph(text):
    return textwrap.wrap(" ".join(text.split()), 140, break_long_words=False, break_on_hyphens=False)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def sections_of(text):
    """{title: lines} of a file; "" is what stands before the first title."""
    found, title = {"": []}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            title = line[3:]
            found[title] = []
        else:
            found[title].append(line)
    return {title: "\n".join(lines).strip().splitlines() for title, lines in found.items()}


def joined(sections):
    parts = ["\n".join(sections[""])] + [f"## {title}\n\n" + "\n".join(sections[title]) for title in TITLES]
    return "\n\n".join(parts) + "\n"


def introduction(version):
    return ["# Kernels", "", *paragraph(f"""Written by `tools/kernel_table` with {version}: our kernels, what a training step launches,
        and a model of its time. Nothing on this page was measured.""")]


# ---- each kernel

def kernel_rows(path, kernels, compiled):
    most = {name: {"registers": {}, "shared": 0, "stack": 0, "spills": 0} for name in kernels}
    for instance in compiled:
        name, _, arguments = instance.instance.partition("<")
        if name not in kernels:
            raise Wrong(f"{path}: the compiler made a kernel {instance.instance}, which no Cost comment is above")
        use = most[name]
        key = (instance.architecture, TYPES.get(re.match(r"\w*", arguments)[0], ""))
        use["registers"][key] = max(instance.registers, use["registers"].get(key, 0))
        use["shared"], use["stack"] = max(instance.shared, use["shared"]), max(instance.stack, use["stack"])
        use["spills"] = max(instance.spilled, use["spills"])
    for name, (launch, unit, moved, computed, note) in kernels.items():
        use, cells = most[name], [f"`{launch}`", unit, moved, computed]
        for architecture in ARCHITECTURES:
            types = [use["registers"][(architecture, t)] for t in [*TYPES.values(), ""]
                     if (architecture, t) in use["registers"]]
            if not types:
                raise Wrong(f"{path}: the compiler says nothing of kernel {name} on sm_{architecture}")
            cells.append(" / ".join(str(registers) for registers in types))
        yield cells + [str(use["shared"]), str(use["stack"]), str(use["spills"]), note or ""]


def each_kernel(declared, compiled):
    rows = [row for path, kernels in declared.items() for row in kernel_rows(path, kernels, compiled[path])]
    return [*paragraph("""S is the number of bytes of an element, V the number of views. Bytes are those that must be read from or
            written to device memory once. Operations are floating-point operations; a fused multiply-add counts as two.
            Registers are those of a thread of the instance that needs most, for f32 / f16 / bf16. Shared memory
            (static, of a block), stack (of a thread) and spilled bytes are the maxima over all instances and
            architectures. A kernel that spills registers does not compile."""), "",
            *table(["launch", "of", "bytes", "operations", *(f"sm_{a}" for a in ARCHITECTURES), "shared", "stack", "spills",
                    "more"], rows)]


# ---- the instances that steps launch

def figures_of(declared, compiled):
    """{(launch name, instance): Figures} for sm_90."""
    return {(kernels[instance.instance.partition("<")[0]][0], instance.instance):
            model.Figures(instance.registers, instance.shared, instance.flow)
            for path, kernels in declared.items() for instance in compiled[path] if instance.architecture == "90"}


def instances(figures):
    rows = []
    for (launch, instance), said in sorted(figures.items()):
        flow = said.flow
        numbers = [said.registers, said.shared] + ([flow.in_flight, flow.loop, flow.loop_waits, flow.loop_bytes, flow.once,
                                                    flow.once_waits, flow.tail_waits] if flow else 7 * ["-"])
        rows.append([f"`{launch}`", f"`{instance}`", *map(str, numbers)])
    return [*paragraph("""The instances of kernels that the steps below launch, on sm_90. From the machine code: the bytes of loads
            from device memory that a thread has in flight at most in its main loop; instructions, waits for such loads
            and bytes moved of a pass through that loop; instructions and waits before and behind it
            (`tools/kernels/sass.py`)."""), "",
            *table(["launch", "instance", "registers", "shared", "in flight", "pass: instructions", "waits", "bytes",
                    "once: instructions", "waits before", "behind"], rows)]


def read_instances(lines):
    """{(launch name, instance): Figures} as instances() wrote them."""
    found = {}
    for line in lines:
        row = re.match(r"\| `([^`]+)` \| `([^`]+)` \| (\d+) \| (\d+) \| (.+) \|$", line)
        if row:
            numbers = row[5].split(" | ")
            said = len(numbers) == len(fields(sass.Flow)) and "-" not in numbers  # else not known, or of an older page
            flow = sass.Flow(*map(int, numbers)) if said else None
            found[(row[1], row[2])] = model.Figures(int(row[3]), int(row[4]), flow)
    return found


# ---- the model

def the_model():
    rows = [[f"`{name}`", str(h100), str(h200), unit, source] for name, h100, h200, unit, source in model.CONSTANTS]
    return [*paragraph("""No constant was fitted to a measurement of these kernels, for there is none. A measured value replaces its
            line in `tools/kernels/model.py`, with the command and the machine as its source, and `tools/kernel_table`
            writes this page again."""), "",
            *table(["constant", "H100", "H200", "unit", "source"], rows), "",
            "The time of a node is `gap`, `ramp` and the largest of these:", "",
            "- *DRAM* or *L2 bandwidth*: bytes / bandwidth, after what a thread does before its loop;",
            "- *latency*: bytes x latency / bytes of loads in flight on the whole GPU (Little's law; stores count as loads do), or",
            "  the time of one thread: its waits x latency and its instructions x `dependent`, times the number of waves of blocks;",
            "- *instructions*: the instructions of all warps / `issue`.", "",
            *paragraph("""A pass moves a value as often as it loads it, so kernels that read their neighbours' values again come
            out too fast. Of a merge by the last block, one pass counts."""), "",
            *paragraph("""It is marked *launch* if `gap` and `ramp` are the larger part. A convolution or product takes `gap`,
            `library_ramp` and the larger of its bytes / bandwidth and its operations / rate (*arithmetic*). Kernels
            whose bytes are unknown (-) have no loop here. A step takes as long as its longest chain, or as the sum over
            all nodes of time x share of the GPU that the node's blocks fill, if that is longer.""")]


# ---- steps

def label_of(node):
    """Its name; the passes of a convolution, which take the same time here, have the same."""
    if node.instance:
        return f"`{node.name}`"
    return re.sub(r"^(forward|weight_gradient|data_gradient) ", "convolution ", node.name)


def grouped(nodes):
    """Lists of nodes that are equal but for their layer."""
    groups = {}
    for node in nodes:
        key = (label_of(node), node.instance, node.blocks, node.threads, node.shared, node.bytes, node.operations,
               node.dependent_launch)
        groups.setdefault(key, []).append(node)
    return list(groups.values())


def microseconds(seconds):
    return f"{seconds * 1e6:.1f}"


def number(value):
    """Two digits behind the point where there are less than ten before it."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def group_row(group, figures):
    node, machine = group[0], model.MACHINES[0]
    times = [model.time_of(node, figures, machine) for machine in model.MACHINES]
    said = figures.get((node.name, node.instance))
    name = label_of(node)
    if node.instance.partition("<")[2]:
        name += f" `<{node.instance.partition('<')[2]}`"
    cells = [str(len(group)), name, node.layer + (" ..." if len({other.layer for other in group}) > 1 else "")]
    if not node.instance:
        cells += ["-"] * 7  # from here on, what our own launches alone have
    else:
        cells += ["x".join(map(str, node.blocks)) + f" of {node.threads}", number(node.grid() / machine.multiprocessors)]
        if said:
            held = model.occupancy(node, said, machine)
            cells += [str(said.registers), f"{held.blocks} ({held.limit})", f"{number(held.warps)} ({held.share:.0%})"]
            flow = said.flow
            cells += [str(flow.in_flight), f"{flow.in_flight * held.warps * 32 / 1000:.1f}"] if flow else ["-", "-"]
        else:
            cells += ["-"] * 5
    cells.append(number(node.bytes / 1e6) if node.bytes else "-")
    cells.append(" / ".join(microseconds(time.total()) for time in times))
    cells.append(" / ".join(microseconds(time.total() * len(group)) for time in times))
    return cells + [" / ".join(dict.fromkeys(time.limit for time in times))]


def network_table(nodes, figures):
    def total(group, machine=model.MACHINES[0]):
        return sum(model.time_of(node, figures, machine).total() for node in group)

    groups = sorted(grouped(nodes), key=total, reverse=True)
    rows, rest = [group_row(group, figures) for group in groups[:GROUPS]], groups[GROUPS:]
    if rest:
        others = [node for group in rest for node in group]
        sums = " / ".join(microseconds(total(others, machine)) for machine in model.MACHINES)
        rows.append([str(len(others)), f"the other {len(rest)} groups", *["-"] * 8,
                     number(sum(node.bytes for node in others) / 1e6), "-", sums, "-"])
    return table(["nodes", "of", "layer", "blocks of threads", "blocks / SM", "registers", "an SM holds", "warps / SM",
                  "in flight: B / thread", "KB / SM", "MB", "us each", "us", "limit"], rows)


def steps(graphs, figures):
    missing = sorted({(node.name, node.instance) for nodes in graphs.values() for node in nodes
                      if node.instance and (node.name, node.instance) not in figures})
    if missing:
        raise Wrong(f"no figures of {missing[0][1]} (launched as {missing[0][0]}): nvcc must compile the kernels")
    summary, kinds = [], {}
    for network, nodes in graphs.items():
        streams = Counter(node.stream for node in nodes)
        own = [node for node in nodes if node.instance]
        summary.append([network, str(len(nodes)), str(len(own)), str(longest(nodes, lambda node: 1)),
                        " + ".join(str(streams[stream]) for stream in sorted(streams)),
                        f"{sum(node.bytes for node in own) / 1e6:.0f}",
                        *(f"{model.step_time(nodes, figures, machine) * 1e3:.3f}" for machine in model.MACHINES)])
        for machine in model.MACHINES:
            for node in nodes:
                time = model.time_of(node, figures, machine)
                for kind in (model.kind_of(node.name), "gaps"):
                    cell = kinds.setdefault(kind, Counter())
                    cell[(network, machine.name)] += time.gap if kind == "gaps" else time.total()
    order = [kind for kind, _ in model.KINDS] + ["other"]
    rows = [[kind, *(" / ".join(f"{kinds[kind][(network, machine.name)] * 1e6:.0f}" for machine in model.MACHINES)
                     for network in graphs)] for kind in order if kind in kinds]
    rows.append(["of all these, gaps", *(f"{kinds['gaps'][(network, 'H100')] * 1e6:.0f}" for network in graphs)])
    lines = [*paragraph("""A step has 64 samples x 3 views in f16 and 10 classes, with the plain variant of every layer. A call of
            cuDNN or cuBLAS counts as one node. The chain is the longest of nodes of which each waits for the one before
            it. The bytes are those of our own kernels."""), "",
             *table(["network", "nodes", "our kernels", "longest chain", "by stream", "MB", "H100, ms", "H200, ms"], summary), "",
             "Microseconds on an H100 / H200, all nodes one after another:", "",
             *table(["", *graphs], rows), "",
             *paragraph("""The tables below have the groups of equal nodes that take most time; us includes the gap before a node. An
            SM is a multiprocessor; what allows no more blocks on it is named (grid: there are no more). Warps and loads
            in flight are those of the first wave of blocks, on average over all SMs.""")]
    for network, nodes in graphs.items():
        lines += ["", f"### {network}", "", *network_table(nodes, figures)]
    return lines
