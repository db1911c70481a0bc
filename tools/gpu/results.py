"""The results of tools/gpu_check on disk. After every part summary.txt, all.txt and results.json have all results so far;
at the end one archive has the rest. If the disk is full, files that do not fit are missing, and the summary says so."""

import json
import os
import re
import tarfile
import time
from pathlib import Path

RESERVE = 1 << 16  # bytes that are reserved for the summary if the disk is full
LARGEST = 15 << 20  # of any file here: files from a short rental may have at most 16 MiB
SHOWN_OF_A_PART = 200_000  # characters in all.txt; the archive has more
TEXTS = {".txt", ".json", ".csv", ".log", ".md", ".ini"}


class Results:
    def __init__(self, out, paths, about):
        """`paths`: what a text calls folders of this machine, {folder: name}."""
        self.out, self.about = Path(out), about
        self.records, self.full = [], ""
        self._paths = sorted(((str(path), name) for path, name in paths.items() if len(str(path)) > 1), key=lambda p: -len(p[0]))
        self._all_bytes = 0
        self._lines = []
        self._write("reserve", lambda path: path.write_bytes(b"\0" * RESERVE))

    def clean(self, text):
        """Without paths of this machine: a file's name is left of them."""
        for path, name in self._paths:
            text = text.replace(path, name)
        return re.sub(r"(?<![\w./~<>-])/(?:[^\s/'\":;,()<>|]+/)+", "", text)

    def say(self, line):
        line = self.clean(line)
        print(line, flush=True)
        self._lines.append(line)
        self._append("summary.txt", line + "\n")

    def add(self, record, output):
        """One part that has ended: all of it is on disk before the next begins."""
        record["finding"] = self.clean(record["finding"])
        self.records.append(record)
        if output is not None:
            self._add_output(record, self.clean(output))
        self.write_json()

    def _add_output(self, record, text):
        if len(text) > SHOWN_OF_A_PART:
            half = SHOWN_OF_A_PART // 2
            text = f"{text[:half]}\n[{len(text) - 2 * half} characters are left out here]\n{text[-half:]}"
        text = f"==== {record['name']}: {record['result']}, {record['seconds']} s\n{text.rstrip()}\n\n"
        size = len(text.encode())
        if self._all_bytes + size > LARGEST:
            return
        if self._append("all.txt", text):
            self._all_bytes += size

    def write_json(self):
        self.about["parts"] = self.records
        text = self.clean(json.dumps(self.about, indent=1, default=str)) + "\n"

        def replace(path):
            new = path.with_name("results.json.new")
            try:
                with open(new, "w") as f:
                    f.write(text)
                    f.flush()
                    os.fsync(f.fileno())
                os.replace(new, path)
            finally:
                new.unlink(missing_ok=True)

        self._write("results.json", replace)

    def _append(self, name, text):
        def append(path):
            before = path.stat().st_size if path.exists() else 0
            try:
                with open(path, "a") as f:
                    f.write(text)
                    f.flush()
                    os.fsync(f.fileno())
            except OSError:
                # No half of a part.
                os.truncate(path, before)
                raise

        return self._write(name, append)

    def _write(self, name, write):
        try:
            write(self.out / name)
            return True
        except OSError as error:
            first = not self.full
            if first:
                self.full = f"{name}: {error.strerror}"
                (self.out / "reserve").unlink(missing_ok=True)
                if name == "summary.txt":
                    return self._write(name, write)
            return False

    def finish(self, rest, closing):
        """The last words, and the archive of `rest`, a folder; then four files are there."""
        (self.out / "reserve").unlink(missing_ok=True)
        if self.full:
            self.about["disk"] = self.clean(self.full)
            self.say(f"the disk took not everything: {self.full}; what had been written before is there")
        self.say(closing)
        if not (self.out / "all.txt").exists():
            self._append("all.txt", "no part ran\n")
        try:
            self._archive(rest)
        except OSError as error:
            print(f"tools/gpu_check: no archive: {error.strerror}", flush=True)
            for path in self.out.glob("rest.tar.*"):
                path.unlink()
        self.write_json()

    def _archive(self, rest):
        files = []
        for path in sorted(Path(rest).rglob("*")):
            if path.is_file() and not path.is_symlink():
                if path.suffix in TEXTS:
                    path.write_text(self.clean(path.read_bytes().decode(errors="replace")))
                files.append(path)
        # Where it is too large the largest files are left out.
        files.sort(key=lambda path: path.stat().st_size)
        while True:
            archive = self._write_archive(files, rest)
            if archive.stat().st_size <= LARGEST or not files:
                return
            files.pop()

    def _write_archive(self, files, rest):
        try:
            import lzma  # noqa: F401

            kind = "xz"
        except ImportError:
            kind = "gz"
        archive = self.out / f"rest.tar.{kind}"

        def anonymous(info):
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            return info

        options = {"preset": 1} if kind == "xz" else {}
        with tarfile.open(archive, f"w:{kind}", **options) as tar:
            for path in files:
                tar.add(path, arcname=f"gpu-check/{path.relative_to(rest)}", filter=anonymous)
        return archive


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
