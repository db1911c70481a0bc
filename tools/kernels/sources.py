"""What the sources of the kernels say about them, and what the compiler makes of them."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass

from . import sass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ARCHITECTURES = ["80", "90", "120"]
COST = re.compile(r'^Cost "([^"]+)" of ([^:]+): (.+?) bytes, (.+?) operations?(?:; (.+))?\.$')
ANONYMOUS = "(anonymous namespace)::"


class Wrong(Exception):
    """Why there is no table: one line."""


def declared_kernels(path):
    """{name of the kernel's function: (launch name, unit, bytes, operations, note)} of one file, in its order."""
    kernels, comment = {}, []
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("//"):
            comment.append(line[2:].strip())
        elif "__global__" in line:
            name = re.search(r"__global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(", line)
            if not name:
                raise Wrong(f"{path}:{number}: a kernel must begin on one line: __global__ void name(")
            begin = max((i for i, text in enumerate(comment) if text.startswith('Cost "')), default=None)
            cost = COST.match(" ".join(comment[begin:])) if begin is not None else None
            if not cost:
                raise Wrong(f"{path}:{number}: kernel {name[1]} needs a comment that ends with a line like: // Cost "
                            f'"launch name" of a value of x: 2 S bytes, 4 operations.')
            kernels[name[1]] = cost.groups()
            comment = []
        elif not line.startswith("template"):
            comment = []
    launched, said = set(re.findall(r'\blaunch\(\s*"([^"]+)"', text)), {cost[0] for cost in kernels.values()}
    if launched != said:
        raise Wrong(f"{path}: launches {sorted(launched)}, but the Cost comments name {sorted(said)}")
    return kernels


def instance_name(demangled):
    """A kernel's name and template arguments, equal for nvcc's kernel and the emulated one: reduce<__half, 8, (Pool)0>."""
    name = demangled[len("void "):] if demangled.startswith("void ") else demangled
    depth = 0
    for at, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0 and not name.startswith(ANONYMOUS, at):
            name = name[:at]
            break
    name = re.sub(r"\bdpll::(?:emulated_cuda|cuda)::(?:\(anonymous namespace\)::)?", "", name)
    name = name.replace(ANONYMOUS, "").replace("(int)", "").replace("dpll::", "")
    return re.sub(r"\bBfloat\b", "__nv_bfloat16", re.sub(r"\bHalf\b", "__half", name))


def demangle(names):
    done = subprocess.run(["c++filt"], input="\n".join(names), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


@dataclass
class Compiled:
    """One instance of a kernel for one architecture. `flow` (sm_90 alone) is what its machine code shows, or None."""
    instance: str
    architecture: str
    registers: int
    shared: int
    stack: int
    spilled: int
    flow: sass.Flow = None


def compiler_version():
    """"nvcc 13.0.88", or None where there is no nvcc."""
    try:
        text = subprocess.run(["nvcc", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return "nvcc " + re.search(r"V([\d.]+)", text)[1]


def flags_of(build, path):
    """What the build gives nvcc for this file, but for architectures and outputs."""
    try:
        commands = json.loads((build / "compile_commands.json").read_text())
    except OSError:
        raise Wrong(f"{build} has no compile_commands.json: cmake --preset cuda -B {build}")
    for entry in commands:
        if pathlib.Path(entry["file"]) == path and "--generate-code" in entry["command"]:
            words = shlex.split(entry["command"])
            return [word for word in words if re.match(r"-(D|I|O|isystem=|std=|-expt)", word)]
    raise Wrong(f"{build} does not compile {path}: configure it with CUDA")


def compile_kernels(build, path, disassembler):
    """[Compiled] of a file's kernels. Their machine code is read by `disassembler`, unless that is None."""
    with tempfile.TemporaryDirectory() as folder:
        code = [f"--generate-code=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
        command = ["nvcc", "-fatbin", "-Xptxas=-v", "--keep", "--keep-dir", folder, "-o", os.path.join(folder, "out"),
                   *code, *flags_of(build, path), str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Wrong(f"{shlex.join(command)}:\n{done.stdout.strip()}")
        code = {}
        if disassembler:
            for cubin in pathlib.Path(folder).glob("*_90.cubin"):
                text = subprocess.run([disassembler, "-c", cubin], stdout=subprocess.PIPE, text=True, check=True).stdout
                code = dict(sass.functions(text))
    return read_report(done.stdout, code)


def read_report(report, code):
    """[Compiled] from what ptxas says, and {mangled name: instructions} of sm_90."""
    found, names = [], []
    for part in report.split("Compiling entry function ")[1:]:
        name, architecture = re.match(r"'(\w+)' for 'sm_(\d+)'", part).groups()
        stack, stores, loads = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                                         part).groups()
        shared = re.search(r"(\d+) bytes smem", part)
        names.append(name)
        found.append(Compiled("", architecture, int(re.search(r"Used (\d+) registers", part)[1]),
                              int(shared[1]) if shared else 0, int(stack), int(stores) + int(loads)))
    for compiled, mangled, name in zip(found, names, demangle(names)):
        compiled.instance = instance_name(name)
        if compiled.architecture == "90" and mangled in code:
            compiled.flow = sass.flow(code[mangled], vector_bytes(compiled.instance))
    return found


def vector_bytes(instance):
    """Bytes of the vectors of an instance like reduce<__half, 8, ...>; 0 if it does not say."""
    said = re.match(r"\w+<(float|__half|__nv_bfloat16), (\d+)\b", instance)
    return int(said[2]) * (4 if said[1] == "float" else 2) if said else 0
