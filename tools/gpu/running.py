"""Runs a command until it ends or reaches its time limit."""

import os
import signal
import subprocess
import time

KILL_AFTER = 5  # seconds that a command has to end after its time limit
READ = 4 << 20  # bytes of an output that are read
LARGEST_FILE = 1 << 31  # bytes that a command may write into one file, so that it cannot fill the disk


class Ended:
    def __init__(self, code, seconds, in_time, output):
        self.code, self.seconds, self.in_time, self.output = code, seconds, in_time, output

    def words(self):
        """How it ended, if it failed."""
        if not self.in_time:
            return f"no end after {self.seconds:.0f} s"
        if self.code > 128:
            try:
                return f"ended by {signal.Signals(self.code - 128).name}"
            except ValueError:
                pass
        return f"exit code {self.code}"


def limit_files():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard == resource.RLIM_INFINITY or hard > LARGEST_FILE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def end_group(process, number):
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def run(command, limit, log, folder, environment):
    """All that the command prints goes to the file `log`, behind what is there; it ends after `limit` seconds."""
    begin = time.monotonic()
    limit = max(1, round(limit))
    start = log.stat().st_size if log.exists() else 0
    words = ["timeout", "-k", str(KILL_AFTER), str(limit), *map(str, command)]
    with open(log, "ab") as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=folder,
                                   env=environment, start_new_session=True, preexec_fn=limit_files)  # fmt: skip
    try:
        # Should even timeout be stuck: a process that waits for a driver cannot be killed.
        code = process.wait(limit + KILL_AFTER + 2)
    except subprocess.TimeoutExpired:
        code = 128 + signal.SIGKILL
    except BaseException:
        end_group(process, signal.SIGTERM)
        try:
            process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            pass
        raise
    finally:
        # What the command left behind must not take the GPU's memory from the next one.
        end_group(process, signal.SIGKILL)
    seconds = time.monotonic() - begin
    code = 128 - code if code < 0 else code
    in_time = not (seconds >= limit and code in (124, 128 + signal.SIGKILL))
    with open(log, "rb") as f:
        f.seek(start)
        output = f.read(READ)
        size = f.seek(0, os.SEEK_END)
        if size - start > READ:
            f.seek(max(start + READ, size - READ // 4))
            output += b"\n[what comes here is left out]\n" + f.read()
    return Ended(code, seconds, in_time, output.decode(errors="replace"))
