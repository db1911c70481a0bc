"""Runs on this machine, several at a time, over cores and GPUs."""

import ctypes
import os
import signal
import subprocess
import time

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
OUT_OF_TIME = 75  # run.max_hours
STOPPED = (OUT_OF_TIME, *(128 + number for number in STOPPING))
LIBC = ctypes.CDLL(None, use_errno=True)


def prepare_child():
    """In the child: a process group of its own, so that Ctrl-C reaches it once, through this program; and SIGTERM when
    this program dies, so that no training is left behind (Linux)."""
    os.setpgrp()
    LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Slot:
    """A place for one run at a time."""

    def __init__(self, device):
        self.device = device
        self.job = self.child = None

    def start(self, job, program, environment, hours):
        job.claim()
        job.wait_until_free()
        more = {"run.device": f"cuda:{self.device}"} if self.device is not None else {}
        if hours is not None:
            more["run.max_hours"] = f"{max(hours, 1e-6):.6f}"
        with open(job.log, "ab") as log:
            self.child = subprocess.Popen(job.command(program, more), stdout=log, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL, env=environment, preexec_fn=prepare_child)
        self.job = job

    def ended(self):
        """The engine's exit code, or None while it runs."""
        code = self.child.poll() if self.child else None
        return 128 - code if code is not None and code < 0 else code


class Pool:
    """`devices`: numbers of GPUs, dealt out to `slots` runs in turn; empty: the configuration's run.device.
    `max_hours`: of all runs together, None: no limit."""

    def __init__(self, program, slots, devices=(), max_hours=None):
        self.program = program
        self.slots = [Slot(devices[i % len(devices)] if devices else None) for i in range(slots)]
        self.deadline = None if max_hours is None else time.monotonic() + 3600 * max_hours
        self.environment = dict(os.environ)
        if slots > 1:
            # Every run its share of the cores, unless its configuration or the user names a number.
            share = max(1, len(os.sched_getaffinity(0)) // slots)
            self.environment.setdefault("OMP_NUM_THREADS", str(share))

    def hours_left(self):
        return None if self.deadline is None else (self.deadline - time.monotonic()) / 3600

    def busy(self):
        return [slot for slot in self.slots if slot.job is not None]

    def run(self, ready, ended):
        """Trains what ready() gives until it gives nothing more; ended(job, code) hears of each run's end. A signal, or
        a run that is out of time, ends it: no run begins any more, the others are waited for. Returns 0, or the
        code of what ended it."""
        self.code = 0
        handlers = {number: signal.signal(number, self.stop) for number in STOPPING}
        try:
            pause, news = 0.005, True
            while True:
                for slot in self.busy():
                    code = slot.ended()
                    if code is None:
                        continue
                    job, slot.job, slot.child = slot.job, None, None
                    if code in STOPPED and not self.code:
                        self.code = code
                    ended(job, code)
                    pause, news = 0.005, True
                if news and not self.code:  # what is ready changes only when a run ends
                    news = False
                    under_way = {slot.job.name for slot in self.busy()}
                    waiting = [job for job in ready() if job.name not in under_way]
                    for slot, job in zip((slot for slot in self.slots if slot.job is None), waiting):
                        if self.code:
                            break
                        slot.start(job, self.program, self.environment, self.hours_left())
                        if self.code > 128:  # the signal came while the run began
                            slot.child.send_signal(self.code - 128)
                if not self.busy():
                    return self.code
                time.sleep(pause)
                pause = min(0.2, pause * 1.3)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def stop(self, number, _):
        self.code = self.code or 128 + number
        for slot in self.busy():
            if slot.child is not None and slot.child.poll() is None:
                slot.child.send_signal(number)
