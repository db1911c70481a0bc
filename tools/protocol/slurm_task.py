"""A task of an array: trains its share of the runs, one after another, and leaves each run's exit code in a file.

    slurm_task.py ROUND.json TASK
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from protocol.files import write  # noqa: E402  (found by the line above)
from protocol.plan import Job  # noqa: E402
from protocol.pool import OUT_OF_TIME, Pool  # noqa: E402


class Run:
    """As a Job, with the command that was written down when the round was made."""

    wait_until_free = Job.wait_until_free

    def claim(self):
        """Was done when the round was made."""

    def __init__(self, entry):
        self.name, self.words = entry["name"], entry["command"]
        self.folder, self.log = pathlib.Path(entry["folder"]), pathlib.Path(entry["log"])

    def command(self, _, more):
        return [*self.words, *(word for key, value in more.items() for word in ("--set", f"{key}={value}"))]


def main(path, task):
    work = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    waiting = [Run(entry) for entry in work["runs"][int(task)::work["tasks"]]]
    codes = pathlib.Path(work["codes"])

    def ended(job, code):
        write(codes / job.name, f"{code}\n")

    def ready():
        return [waiting.pop(0)] if waiting else []

    code = Pool("", 1, max_hours=work["max_hours"]).run(ready, ended)
    for job in waiting:  # there was no time for them
        ended(job, OUT_OF_TIME)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
