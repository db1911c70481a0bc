"""Reads machine code of NVIDIA GPUs as nvdisasm prints it, for what a thread does in its main loop.

The code is walked in order. A load from global memory is in flight until an instruction names a register that it
writes; then everything that was loaded before it counts as arrived as well. The main loop is that with most bytes in
flight among the loops with loads of the width at which the kernel walks its tensors, and which convert 16-bit values
if any loop does: merges of partial results, in float32, are not it. Of branches in a loop, the way with most such
loads, stores and conversions is taken, so rows that are unrolled with a condition each all count. What depends on a
flag or pointer that stays the same (compared with zero) is optional and does not count: a second gradient, dropout.
Before the loop the shortest way is taken, behind it that with most loads: the last block to finish, which merges,
ends the kernel.
"""

import os
import pathlib
import re
import shutil
import site
import sysconfig
from dataclasses import dataclass

INSTALL = "pip install nvidia-cuda-nvdisasm"
LINE = re.compile(r"^\s*/\*([0-9a-f]+)\*/\s+(?:(@!?U?P\w+)\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
REGISTER = re.compile(r"\bR(\d+)\b")


@dataclass
class Instruction:
    predicate: str
    opcode: str
    operands: str
    target: str  # the label of a branch
    labels: list  # that stand before it

    def moved(self):
        """Bytes of device memory that a thread loads (> 0) or stores (< 0)."""
        if not re.match(r"(LDG|STG|LD|ST)\b", self.opcode):
            return 0
        width = re.search(r"\.(128|64|U16|S16|U8|S8)\b", self.opcode)
        size = {"128": 16, "64": 8, "U16": 2, "S16": 2, "U8": 1, "S8": 1}[width[1]] if width else 4
        return size if self.opcode.startswith("LD") else -size


@dataclass
class Flow:
    """What a thread of a kernel does."""
    in_flight: int  # bytes of loads at the same time
    loop: int  # instructions of a pass through the main loop; 0: there is none
    loop_waits: int  # times that such a pass waits for memory
    loop_bytes: int  # that it loads and stores
    once: int  # instructions outside of it
    once_waits: int  # before it, for memory
    tail_waits: int  # behind it, for memory, atomic operations and fences


def find_disassembler():
    """Its path, or None: on PATH, beside nvcc, or in Python's packages."""
    places = [shutil.which("nvdisasm")]
    compiler = shutil.which("nvcc")
    if compiler:
        places.append(os.path.join(os.path.dirname(compiler), "nvdisasm"))
    for packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()}:
        places += sorted(str(path) for path in pathlib.Path(packages).glob("nvidia/**/bin/nvdisasm"))
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


def functions(text):
    """(mangled name, its instructions) for every kernel in the output of nvdisasm -c."""
    for part in re.split(r"^\.text\.", text, flags=re.M)[1:]:
        name, _, body = part.partition(":\n")
        instructions, labels = [], []
        for line in body.splitlines():
            label = re.match(r"^(\S+):$", line)
            found = LINE.match(line)
            if line.lstrip().startswith(".section"):
                break
            if label:
                labels.append(label[1])
            elif found:
                target = re.search(r"`\((\S+?)\)", found[4]) if found[3].startswith("BRA") else None
                instructions.append(Instruction(found[2] or "", found[3], found[4], target[1] if target else "", labels))
                labels = []
        yield name, instructions


def destination(instruction):
    """Numbers of the registers that a load writes."""
    first = REGISTER.search(instruction.operands)
    return range(int(first[1]), int(first[1]) + max(1, instruction.moved() // 4)) if first else range(0)


class Walk:
    """Loads in flight along instructions."""

    def __init__(self):
        self.loads, self.most = [], 0  # loads: (registers, bytes), the oldest first
        self.waits, self.travelling = 0, set()  # registers of loads since the last wait

    def step(self, instruction):
        named = {int(number) for number in REGISTER.findall(instruction.operands)}
        if instruction.opcode.startswith("MEMBAR"):
            self.waits += 1
        if named & self.travelling:  # the others left soon after it, so they arrive soon after it
            self.waits += 1
            self.travelling = set()
        for at in range(len(self.loads) - 1, -1, -1):
            if named & set(self.loads[at][0]):
                del self.loads[:at + 1]
                break
        if instruction.opcode.startswith("ATOM"):
            self.travelling |= set(destination(instruction))
        if instruction.moved() > 0:
            self.loads.append((destination(instruction), instruction.moved()))
            self.travelling |= set(self.loads[-1][0])
            self.most = max(self.most, sum(size for _, size in self.loads))


def walked(instructions, path, rounds):
    """The Walk along a path, and how often its last round waits. With a second round, loads for the next pass are in
    flight where a pass begins."""
    walk = Walk()
    for _ in range(rounds):
        earlier = walk.waits
        for at in path:
            walk.step(instructions[at])
    return walk, walk.waits - earlier


def successors(instructions, places, at):
    """Where execution may go on, but for branches back."""
    instruction = instructions[at]
    if instruction.opcode == "EXIT" and not instruction.predicate:
        return []
    if not instruction.target:
        return [at + 1]
    there = places.get(instruction.target, -1)
    ways = [there] if there > at else []
    return ways + [at + 1] if instruction.predicate or re.search(r"\bU?P\d", instruction.operands) else ways


def best_path(instructions, places, begin, ends, worth, optional=frozenset()):
    """Indices of the way from `begin` to one of `ends` whose instructions are worth most, the shortest of these. At
    optional branches the way that is worth least is taken."""
    last = max(ends)
    best = {}  # index: (worth from there on, -length, next index)
    for at in range(last, begin - 1, -1):
        ways = [(best[to][0], best[to][1], to) for to in successors(instructions, places, at) if to in best]
        if at in ends:
            ways.append((0, 0, None))
        if ways:
            sign = -1 if at in optional else 1
            value, length, to = max(ways, key=lambda way: (sign * way[0], way[1]))
            best[at] = (value + (0 if at in optional else worth(instructions[at])), length - 1, to)
    path, at = [], begin if begin in best else None
    while at is not None:
        if at not in optional or instructions[at].target:
            path.append(at)
        at = best[at][2]
    return path


def options(instructions, begin, end):
    """Indices of [begin, end] whose predicate says whether a value that does not change there is zero."""
    written = set()
    for instruction in instructions[begin:end + 1]:
        if re.match(r"R\d", instruction.operands):  # not predicates, addresses, labels
            written |= set(destination(instruction))
    found, tests = set(), {}  # predicate: whether it is such a test
    for at, instruction in enumerate(instructions[:end + 1]):
        predicate = re.sub(r"\W", "", instruction.predicate)
        if at >= begin and tests.get(predicate):
            found.add(at)
        words = [word.strip(" -!|~") for word in instruction.operands.split(",")]
        for set_here in [word for word in words[:2] if re.match(r"U?P\d$", word)] if "SETP" in instruction.opcode else []:
            zero = re.match(r"U?ISETP\.(NE|EQ)\.", instruction.opcode) and len(words) > 3 and {"RZ", "URZ"} & set(words[2:4])
            registers = {int(number) for word in words[2:4] for number in REGISTER.findall(word)}
            chained = [tests.get(word, False) for word in words[4:] if re.match(r"U?P\d$", word)]
            tests[set_here] = bool(zero) and not registers & written and all(chained)
    return found


def flow(instructions, wanted=0):
    """The Flow of a kernel. `wanted`: bytes of a load at which it walks its tensors, if that is known."""
    places = {label: at for at, instruction in enumerate(instructions) for label in instruction.labels}
    exits = {at for at, instruction in enumerate(instructions) if instruction.opcode == "EXIT" and not instruction.predicate}
    last = max(exits)  # what is behind it are subroutines
    loops = [(places[instruction.target], at) for at, instruction in enumerate(instructions[:last + 1])
             if instruction.target in places and places[instruction.target] < at]
    widths = {instruction.moved() for instruction in instructions[:last + 1] if instruction.moved() > 0}
    in_loops = {i.moved() for begin, end in loops for i in instructions[begin:end + 1] if i.moved() > 0}
    width = wanted if wanted in widths else 16 if 16 in widths else max(in_loops or widths, default=0)

    def is_main(instruction):
        return int(instruction.moved() == width)

    def work(instruction):
        return int(abs(instruction.moved()) == width or instruction.opcode.startswith("HADD2.F32"))

    def is_load(instruction):
        return int(instruction.moved() > 0 or instruction.opcode.startswith("ATOM"))

    def converts(of_loop):
        return any(instruction.opcode.startswith("HADD2.F32") for instruction in of_loop)

    def moved(path):
        return sum(abs(instructions[at].moved()) for at in path)

    found = [(begin, end) for begin, end in loops if width and any(map(is_main, instructions[begin:end + 1]))]
    if converts(instructions[:last + 1]):
        found = [(begin, end) for begin, end in found if converts(instructions[begin:end + 1])]
    if not found:
        path = best_path(instructions, places, 0, exits, work, options(instructions, 0, last))
        walk, waits = walked(instructions, path, 1)
        return Flow(walk.most, 0, 0, moved(path), len(path), waits, 0)

    def path_of(loop):  # one that is entered in the middle: all of it
        begin, end = loop
        return best_path(instructions, places, begin, {end}, work, options(instructions, begin, end)) \
            or list(range(begin, end + 1))

    def in_flight(loop):
        return walked(instructions, path_of(loop), 2)[0].most

    begin, end = max(found, key=lambda loop: (in_flight(loop), loop[0] - loop[1]))
    path = path_of((begin, end))
    ahead = best_path(instructions, places, 0, {begin}, lambda _: 0)[:-1]
    behind = best_path(instructions, places, end, exits, is_load)[1:]
    return Flow(in_flight((begin, end)), len(path), walked(instructions, path, 2)[1], moved(path), len(ahead) + len(behind),
                walked(instructions, ahead, 1)[1], walked(instructions, behind, 1)[1])
