"""The parts of tools/faults: each tests one kind of failure at many points and reports the outcome of each."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from faults import engine as engines
from faults.power import power_cuts


@dataclass
class Trial:
    part: str
    what: str
    outcome: str  # "went on", "recovered" or "lost"
    why: str = ""


def recovered(trial, reference, *settings):
    """After a failure the same command continues the run and reaches the results of a run without failure; otherwise the reason."""
    again = trial.go_on(*settings)
    if again.code != 0:
        return f"it does not go on: {again.words()}"
    return trial.verdict(reference)


def checkpoints(points, last):
    """How many checkpoints were in place when point `last` was reached."""
    return sum(p.call == "rename" and p.more.endswith("/checkpoint.safetensors") for p in points if p.number < last)


def trains(trial):
    """Whether there is anything that a signal could lose: a run that has begun and has not ended."""
    done = checkpoints(trial.points(), 1 << 30)
    return done > 0 and not (trial.run_folder / "summary.json").exists()


def killed(part, engine, reference, points, number, fault):
    with engine.trial() as trial:
        ended = trial.run(fault=fault, at=number)
        what = f"{fault} at {points[number - 1].call} {Path(points[number - 1].path).name}"
        if ended.code != -signal.SIGKILL:
            return Trial(part, what, "lost", f"it was not killed: {ended.words()}")
        again = trial.go_on()
        why = trial.verdict(reference) if again.code == 0 else f"it does not go on: {again.words()}"
        done = checkpoints(trial.points(), number)
        if why is None and 0 < done < 3 and "checkpoint.every_steps" not in " ".join(engine.settings):
            # No epoch is trained a second time that has a checkpoint.
            if f"going on from epoch {done + 1}, step 0" not in again.out:
                why = f"{done} epochs had a checkpoint, and it did not go on behind them: {again.out[-300:]}"
        return Trial(part, what, "lost" if why else "recovered", why or "")


def kills(engine, spread):
    """kill -9 before every change of the file system, and in the middle of every write."""
    for part, settings in (("killed", []), ("killed, a checkpoint every step", ["checkpoint.every_steps=1"])):
        hurt = engine.with_settings(*settings)
        reference, points = hurt.reference()
        for point in spread(points):
            yield killed, part, hurt, reference, points, point.number, "kill"
        for point in spread([p for p in points if p.call == "write" and p.more != "copy"]):
            yield killed, part, hurt, reference, points, point.number, "torn"


# What each call may answer. EINTR and a short write are no failures: the program has to go on as if nothing were.
ERRORS = {
    "create": [errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.EIO],
    "open": [errno.EACCES, errno.EMFILE],
    "write": [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EINTR, "short"],
    "sync": [errno.EIO, errno.ENOSPC, errno.EINTR],
    "rename": [errno.EIO, errno.ENOSPC, errno.EACCES],
    "link": [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EIO],
    "unlink": [errno.EIO, errno.EACCES],
    "mkdir": [errno.ENOSPC, errno.EACCES],
    "truncate": [errno.EIO],
    "flock": [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINTR, errno.EIO],
}
HARMLESS = {errno.EINTR, "short"}


def failing(part, engine, reference, point, error, forever=False):
    with engine.trial() as trial:
        name = error if error == "short" else errno.errorcode[error]
        what = f"{name} from {point.call} {Path(point.path).name}"
        fault = "short" if error == "short" else f"full={error}" if forever else f"errno={error}"
        ended = trial.run(fault=fault, at=point.number)
        why, outcome = None, "went on"
        if ended.code == 0:
            why = trial.verdict(reference)
        elif error in HARMLESS:
            why = f"that is no failure, and ended it: {ended.words()}"
        elif ended.code not in (4, 5) or not engines.said_in_one_line(ended):
            why = f"it did not say in one line what is wrong: {ended.words()}"
        if ended.code == 0 and why:
            # A warning may stand for what could not be written; then the next start writes it.
            why = why if "warning: " not in ended.err + ended.out else None
            outcome = "recovered"
        if why is None and (ended.code != 0 or outcome == "recovered"):
            why, outcome = recovered(trial, reference), "recovered"
        return Trial(part, what, "lost" if why else outcome, why or "")


def errors(engine, spread):
    """Every call of the file system fails once, in each way that it can."""
    reference, points = engine.reference()
    for point, error in spread([(p, e) for p in points for e in ERRORS.get(p.call, [])]):
        yield failing, "a call fails", engine, reference, point, error


def full(engine, spread):
    """From some point on there is no room: charts and tables can wait, a checkpoint cannot."""
    reference, points = engine.reference()
    for point in spread(points):
        yield failing, "the disk is full", engine, reference, point, errno.ENOSPC, True


def power(engine, spread):
    """The power fails: what was not synced may be there or not."""
    reference, points = engine.reference()
    for point in spread(points):
        yield power_cut, engine, reference, point, "nothing"
        yield power_cut, engine, reference, point, "names"


def power_cut(engine, reference, point, survives):
    with engine.trial() as trial:
        trial.run(fault="kill", at=point.number)
        power_cuts(trial, survives)
        why = recovered(trial, reference)
        what = f"power fails before {point.call} {Path(point.path).name}, {survives} of what was not synced survives"
        return Trial("power cut", what, "lost" if why else "recovered", why or "")


def signalled(engine, reference, point, number):
    with engine.trial() as trial:
        ended = trial.run(fault=f"signal={number}", at=point.number)
        what = f"{signal.Signals(number).name} at {point.call} {Path(point.path).name}"
        if ended.code == 0:
            # It came when there was nothing left to stop.
            why, outcome = trial.verdict(reference), "went on"
        elif ended.code == 128 + number or (ended.code == -number and not trains(trial)):
            # Before and after the run the signal itself ends the process, which a shell tells by the same number.
            why, outcome = recovered(trial, reference), "recovered"
        else:
            why, outcome = f"not the exit code of that signal: {ended.words()}", "lost"
        return Trial("signals", what, "lost" if why else outcome, why or "")


def signals(engine, spread):
    """Signals that ask a run to stop, in every phase."""
    reference, points = engine.reference()
    asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    for number, point in spread([(number, p) for p in points for number in asking]):
        yield signalled, engine, reference, point, number


def two_at_once(engine, reference):
    with engine.trial() as trial:
        begun = [trial.start("run.resume=auto", "run.epochs=200", hurt=False) for _ in range(2)]
        while all(process.poll() is None for process in begun):
            time.sleep(0.01)
        for process in begun:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        ended = [trial.wait(process) for process in begun]
        codes = sorted(one.code for one in ended)
        refused = next((one for one in ended if one.code == 5), None)
        why = None
        if codes not in ([5, 143], [-signal.SIGTERM, 5]) or refused is None or "in use" not in refused.err:
            why = "; ".join(one.words() for one in ended)
        return Trial("two processes", "two at once", "lost" if why else "went on", why or "")


def twice(engine, spread):
    """Two processes that want one run folder at once: one of them gets it."""
    reference, _ = engine.reference()
    for _ in spread(range(10)):
        yield two_at_once, engine, reference


def limited(part, what, engine, reference, limits, faults):
    with engine.trial() as trial:
        ended = trial.run(limits=limits, hurt=bool(faults), **faults)
        # Below what the loader needs, the program has not begun.
        if ended.code == 127 and "error while loading shared libraries" in ended.err:
            return Trial(part, what, "went on")
        outcome = "went on"
        if ended.code == 0:
            why = trial.verdict(reference)
        elif ended.code in (3, 4, 5, 6) and engines.said_in_one_line(ended):
            why, outcome = recovered(trial, reference), "recovered"
        else:
            why = f"it did not say in one line what is wrong: {ended.words()}"
        return Trial(part, what, "lost" if why else outcome, why or "")


def memory(engine, spread):
    """An allocation that fails, each in turn; and an address space that is too small."""
    reference, _ = engine.reference()
    for number in spread(range(1, 80)):
        yield limited, "no memory", f"allocation {number} fails", engine, reference, (), {"DPLL_FAULT_MEMORY": number}
    for megabytes in spread((8, 16, 32, 64, 128, 192, 256, 512, 1024)):
        limit = ((resource.RLIMIT_AS, megabytes << 20),)
        yield limited, "no memory", f"an address space of {megabytes} MiB", engine, reference, limit, {}


def descriptors(engine, spread):
    """Few file descriptors."""
    reference, _ = engine.reference()
    for count in spread(range(4, 20)):
        limit = ((resource.RLIMIT_NOFILE, count),)
        yield limited, "few descriptors", f"{count} descriptors", engine, reference, limit, {}


def mounted(trial, options):
    trial.runs.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", trial.runs], capture_output=True)
    return done.returncode == 0


def small_disk(engine, reference, kilobytes):
    with engine.trial() as trial:
        what = f"a file system of {kilobytes} KiB"
        if not mounted(trial, f"size={kilobytes}k"):
            return Trial("full tmpfs", what, "skipped", "mounting needs root")
        try:
            ended = trial.run(hurt=False)
            why, outcome = None, "went on"
            if ended.code not in (0, 5) or (ended.code == 5 and not engines.said_in_one_line(ended)):
                why = f"it did not say in one line what is wrong: {ended.words()}"
            subprocess.run(["mount", "-o", "remount,size=100m", trial.runs], check=True)
            if why is None and (ended.code != 0 or trial.verdict(reference)):
                why, outcome = recovered(trial, reference), "recovered"
        finally:
            subprocess.run(["umount", trial.runs], check=True)
        return Trial("full tmpfs", what, "lost" if why else outcome, why or "")


def small_disks(engine, spread):
    """File systems that are too small, and then are given more room."""
    reference, _ = engine.reference()
    for kilobytes in spread([4, 8, 16, 40, 60, 64, 100, 120, 124, 128, 160, 180, 200, 240]):
        yield small_disk, engine, reference, kilobytes


def read_only(engine, reference, with_run):
    with engine.trial() as trial:
        what = "a read-only folder" + (" with a run in it" if with_run else "")
        if not mounted(trial, "size=100m"):
            return Trial("read-only folder", what, "skipped", "mounting needs root")
        try:
            if with_run:
                trial.run("run.epochs=2", hurt=False)
            subprocess.run(["mount", "-o", "remount,ro", trial.runs], check=True)
            ended = trial.run("run.resume=auto", hurt=False)
            why = None
            if ended.code != 5 or not engines.said_in_one_line(ended):
                why = f"it did not say in one line what is wrong: {ended.words()}"
            subprocess.run(["mount", "-o", "remount,rw", trial.runs], check=True)
            why = why or recovered(trial, reference)
        finally:
            subprocess.run(["umount", trial.runs], check=True)
        return Trial("read-only folder", what, "lost" if why else "recovered", why or "")


def read_only_folders(engine, spread):
    """Folders that cannot be written to, even by root."""
    reference, _ = engine.reference()
    for with_run in (False, True):
        yield read_only, engine, reference, with_run


def resident(process):
    try:
        with open(f"/proc/{process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def flat_memory(engine, epochs, steps):
    """No growth from the second fifth of a long run to its end, but for what the history of its epochs takes."""
    with engine.trial() as trial:
        process = trial.start(f"run.epochs={epochs}", "checkpoint.every=50", hurt=False)
        samples, table = [], trial.run_folder / "metrics.csv"
        while process.poll() is None:
            try:
                done = table.stat().st_size
            except OSError:
                done = 0
            samples.append((done, resident(process)))
            time.sleep(0.05)
        ended = trial.wait(process)
        what = f"{steps} steps in {epochs} epochs"
        if ended.code != 0:
            return Trial("flat memory", what, "lost", ended.words())
        samples = [bytes_ for done, bytes_ in samples if done > 0 and bytes_ > 0]
        late = samples[len(samples) // 5 :]
        if not late:
            return Trial("flat memory", what, "lost", "it ended before it could be measured")
        growth = max(late) - late[0]
        allowed = (1 << 20) + 2048 * epochs  # a page here and there, and 2 KiB an epoch
        why = f"from {late[0] >> 10} to {max(late) >> 10} KiB" if growth > allowed else None
        return Trial("flat memory", f"{what}: {growth >> 10} KiB more", "lost" if why else "went on", why or "")


def long_run(engine, spread):
    """Many steps with the same memory."""
    epochs = 10000 if len(list(spread(range(1000)))) == 1000 else 500
    yield flat_memory, engine, epochs, 2 * epochs


def gpu_fails(engine, reference, fault):
    with engine.trial() as trial:
        ended = trial.run(hurt=False, DPLL_EMULATED_FAULT=fault)
        outcome = "went on"
        if ended.code == 0:
            why = trial.verdict(reference)
        elif ended.code == 6 and engines.said_in_one_line(ended):
            # Before the first checkpoint there is nothing to go on with; auto begins anew.
            why, outcome = recovered(trial, reference), "recovered"
        else:
            why = f"it did not say in one line what is wrong: {ended.words()}"
        return Trial("the GPU fails", fault, "lost" if why else outcome, why or "")


def gpu(engine, spread):
    """An emulated GPU that is lost, refuses a call, or has no memory, at every one of its calls."""
    emulated = engine.program.parent / "dpll_engine_emulated"
    if not emulated.exists():
        yield Trial, "the GPU fails", "emulated", "skipped", f"there is no '{emulated.name}': build the tests"
        return
    hurt = engine.with_settings("run.device=cuda", "run.qualify=false", "run.tuning=false", "run.precision=f32",
                                program=emulated, DPLL_EMULATED_GPUS="right")  # fmt: skip
    reference, _ = hurt.reference()
    for fault in spread([f"{kind}@{call}" for call in range(1, 201) for kind in ("lost", "refused")]):
        yield gpu_fails, hurt, reference, fault
    for fault in spread([f"memory@{call}" for call in range(1, 16)]):
        yield gpu_fails, hurt, reference, fault


PARTS = {
    "kills": kills,
    "errors": errors,
    "full": full,
    "power": power,
    "signals": signals,
    "twice": twice,
    "memory": memory,
    "descriptors": descriptors,
    "small-disks": small_disks,
    "read-only": read_only_folders,
    "long-run": long_run,
    "gpu": gpu,
}
