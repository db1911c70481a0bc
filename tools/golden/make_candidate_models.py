"""Writes tests/golden/candidate_models.txt: the candidate models of include/dpll/candidates.h that draw with Philox,
drawn by an independent Philox4x32-10.

    python3 tools/golden/make_candidate_models.py      (only the standard library; the same text in every run)

One line for each model: NAME CLASSES SEED COUNT SHA256 TRUTHS, for COUNT samples with labels i * 7919 % CLASSES. SHA-256 is
that of dpll::candidates_sha256; TRUTHS is the number of sets with the true label. The parameters of the models are also in
tests/golden/candidate_models_test.cpp.
"""

import hashlib
import math
import pathlib
import struct

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "candidate_models.txt"
MASK = 0xFFFFFFFF
CANDIDATES = 5  # Purpose::candidates


def philox_block(key, counter):
    k0, k1 = key & MASK, key >> 32
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & MASK, (a >> 32) ^ c3 ^ k1, a & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(seed, sample, stage):
    block = 0
    while True:
        yield from philox_block(seed, (block, sample, 0, CANDIDATES | stage << 16))
        block += 1


def draws(seed, sample, count):
    source = words(seed, sample, 0)
    return [(next(source) >> 8) * 2.0**-24 for _ in range(count)]


def by_chances(classes, seed, count, chance):
    """Label c joins the truth with chance(sample, truth, c)."""
    sets = []
    for i in range(count):
        truth = i * 7919 % classes
        u = draws(seed, i, classes)
        sets.append({truth} | {c for c in range(classes) if c != truth and u[c] < chance(i, truth, c)})
    return sets


def distractors(classes, seed, count, matrix):
    sets = []
    for i in range(count):
        truth = i * 7919 % classes
        u, total, chosen = draws(seed, i, 1)[0], 0.0, truth
        for c in range(classes):
            if matrix[truth][c] == 0:
                continue
            total, chosen = total + matrix[truth][c], c
            if u < total:
                break
        sets.append({truth, chosen})
    return sets


def noisy(sets, classes, seed, rate):
    changed = []
    for i, labels in enumerate(sets):
        truth = i * 7919 % classes
        source = words(seed, i, 1)
        labels = set(labels)
        if (next(source) >> 8) * 2.0**-24 < rate:
            labels.discard(truth)
            if not labels:
                labels = {[c for c in range(classes) if c != truth][next(source) * (classes - 1) >> 32]}
        changed.append(labels)
    return changed


def instance_chance(classes, scale):
    """Logits in steps of 1/8, exact in float32."""

    def logit(i, c):
        return (i * 31 + c * 17) % 97 / 8 - 6

    def chance(i, truth, c):
        p = [0.0 if k == truth else math.exp(logit(i, k)) for k in range(classes)]
        r = [x / max(p) for x in p]
        return min(1.0, r[c] / (sum(r) / classes) * scale)

    return chance


def line(name, classes, seed, sets):
    table = bytes(int(c in labels) for labels in sets for c in range(classes))
    digest = hashlib.sha256(struct.pack("<qq", len(sets), classes) + table).hexdigest()
    truths = sum(i * 7919 % classes in labels for i, labels in enumerate(sets))
    return f"{name} {classes} {seed} {len(sets)} {digest} {truths}"


def lines():
    yield "# tools/golden/make_candidate_models.py"
    inclusion = [[1, 0.5, 0.25, 0], [0.1, 1, 0.9, 0.3], [0, 0, 1, 1], [0.6, 0.7, 0.8, 1]]
    yield line("inclusion", 4, 7, by_chances(4, 7, 2000, lambda i, y, c: inclusion[y][c]))
    distractor = [[0.5, 0.25, 0.125, 0.125], [0, 0, 1, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 1]]
    yield line("distractor", 4, 7, distractors(4, 7, 2000, distractor))
    yield line("pair", 10, 2, by_chances(10, 2, 2000, lambda i, y, c: 0.7 if c == (y + 1) % 10 else 0))
    hierarchical = by_chances(100, 4294967295, 2000, lambda i, y, c: 0.5 if c % 20 == y % 20 else 0)
    yield line("hierarchical", 100, 4294967295, hierarchical)
    yield line("noisy", 100, 4294967295, noisy(hierarchical, 100, 4294967295, 0.3))
    yield line("instance", 10, 2, by_chances(10, 2, 2000, instance_chance(10, 0.4)))


if __name__ == "__main__":
    OUTPUT.write_text("\n".join(lines()) + "\n")
