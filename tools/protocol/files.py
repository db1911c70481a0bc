"""Errors of one line, atomic files, names of folders."""

import os
import re


class Wrong(Exception):
    """Something that the user has to put right: one line. exit_code is as dpll_engine's."""

    def __init__(self, text, exit_code=3):
        super().__init__(" ".join(str(text).split()))
        self.exit_code = exit_code


def write(path, text):
    """Atomically."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def plain(text):
    """Text as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9.,=+-]+", "_", text)


def duration(seconds):
    """h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
