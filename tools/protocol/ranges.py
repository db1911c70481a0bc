"""Ranges of hyper-parameters and seeded draws from them.

A range is one of
    uniform A to B         log_uniform A to B         integer A to B (both ends)         choice A | B | C

A draw depends on the seed, the key and the number of the draw alone, neither on other keys nor on the method, so that
all methods try the same learning rates.
"""

import hashlib
import math
import re

from .files import Wrong

FORMS = "uniform A to B, log_uniform A to B, integer A to B, or choice A | B | C"


def items(text):
    """Values separated by |, because a value may hold commas."""
    return [item.strip() for item in text.split("|")]


def chance(*words):
    """A number of [0, 1), the same for the same words on every machine and with every Python."""
    digest = hashlib.sha256("\0".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class Range:
    """Raises Wrong with `where` in front."""

    def __init__(self, text, where):
        kind, _, rest = text.strip().partition(" ")
        self.kind = kind
        if kind == "choice":
            self.values = items(rest)
            if "" in self.values or len(set(self.values)) != len(self.values):
                raise Wrong(f"{where} = {text}: a value is empty or stands twice")
            return
        ends = re.fullmatch(r"\s*(\S+)\s+to\s+(\S+)\s*", rest)
        if kind not in ("uniform", "log_uniform", "integer") or not ends:
            raise Wrong(f"{where} = {text}: expected {FORMS}")
        try:
            self.low, self.high = (int(end) if kind == "integer" else float(end) for end in ends.groups())
        except ValueError:
            raise Wrong(f"{where} = {text}: an end is not a {'whole ' if kind == 'integer' else ''}number") from None
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise Wrong(f"{where} = {text}: nothing lies between; the first end must be below the second")
        if kind == "log_uniform" and self.low <= 0:
            raise Wrong(f"{where} = {text}: the ends of log_uniform must be above 0")

    def size(self):
        """How many values there are."""
        if self.kind == "choice":
            return len(self.values)
        return self.high - self.low + 1 if self.kind == "integer" else math.inf

    def at(self, u):
        """The value, as text, of u in [0, 1)."""
        if self.kind == "choice":
            return self.values[int(u * len(self.values))]
        if self.kind == "integer":
            return str(self.low + int(u * self.size()))
        if self.kind == "uniform":
            return f"{self.low + u * (self.high - self.low):.6g}"
        return f"{math.exp(math.log(self.low) + u * math.log(self.high / self.low)):.6g}"


def draw(ranges, seed, count, where):
    """`count` different settings {key: value}. Raises Wrong where there are not so many."""
    combinations = math.prod(one.size() for one in ranges.values())
    if count > combinations:
        raise Wrong(f"{where}: {count} draws would repeat: the ranges have only {combinations} different settings")
    settings = []
    for number in range(count):
        attempt = 0
        while True:
            setting = {key: one.at(chance(seed, key, number, attempt)) for key, one in ranges.items()}
            if setting not in settings:
                break
            attempt += 1
            if attempt > 10000:
                raise Wrong(f"{where}: {count} draws would repeat: the ranges are too narrow")
        settings.append(setting)
    return settings
