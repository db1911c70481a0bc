"""Writes tests/golden/candidates.txt: candidate labels from NumPy's legacy generator.

    python3 tools/golden/make_candidates.py      (needs numpy; about a minute; the same text on every run)

Lines, fields separated by spaces, floats in C's hexadecimal form:
  sets CLASSES RATE MIN_DISTRACTORS SEED COUNT SHA256 SHOWN
      COUNT samples with labels i * 7919 % CLASSES; SHA-256 as dpll::candidates_sha256 computes it. SHOWN lines follow,
      the first samples' sets: one hexadecimal number each, bit c for label c.
  bernoulli SEED P DRAWS ONES SHA256 NEXT
      DRAWS results of binomial(1, P), their sum, their SHA-256 as bytes, and the generator's next 32-bit word, which
      shows how many words were used.
  randint SEED N DRAWS SHA256 NEXT
      the same for randint(0, N), results as little-endian 32-bit words.
"""

import hashlib
import pathlib
import platform
import struct

import numpy as np

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "candidates.txt"


def next_word(generator):
    return int(generator.randint(0, 2**32, dtype=np.uint32))


def draw_sets(classes, rate, min_distractors, seed, count):
    generator = np.random.RandomState(seed)
    table = np.zeros((count, classes), dtype=np.uint8)
    for i in range(count):
        label = i * 7919 % classes
        table[i] = generator.binomial(1, rate, size=classes)
        table[i, label] = 1
        while table[i].sum() < 1 + min_distractors:
            table[i, generator.randint(0, classes)] = 1
    return table


def sets_lines(classes, rate, min_distractors, seed, count, shown):
    table = draw_sets(classes, rate, min_distractors, seed, count)
    digest = hashlib.sha256(struct.pack("<qq", count, classes) + table.tobytes()).hexdigest()
    yield f"sets {classes} {float(rate).hex()} {min_distractors} {seed} {count} {digest} {shown}"
    for row in table[:shown]:
        yield f"{sum(1 << int(c) for c in np.flatnonzero(row)):x}"


def bernoulli_line(seed, p, draws):
    generator = np.random.RandomState(seed)
    values = generator.binomial(1, p, size=draws).astype(np.uint8)
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return f"bernoulli {seed} {float(p).hex()} {draws} {values.sum()} {digest} {next_word(generator)}"


def randint_line(seed, n, draws):
    generator = np.random.RandomState(seed)
    values = np.array([generator.randint(0, n) for _ in range(draws)], dtype="<u4")
    return f"randint {seed} {n} {draws} {hashlib.sha256(values.tobytes()).hexdigest()} {next_word(generator)}"


def lines():
    yield f"# tools/golden/make_candidates.py with NumPy {np.__version__}, Python {platform.python_version()}"
    for rate in (0.1, 0.3, 0.5, 0.7, 0.9):
        yield from sets_lines(10, rate, 1, 2, 50000, 300)
    for rate in (0.01, 0.05, 0.1, 0.2):
        yield from sets_lines(100, rate, 1, 2, 50000, 300)
    yield from sets_lines(10, 0.0, 1, 2, 50000, 300)
    yield from sets_lines(10, 0.0, 0, 2, 50000, 20)
    yield from sets_lines(10, 0.3, 0, 2, 50000, 300)
    yield from sets_lines(2, 0.3, 1, 2, 50000, 200)
    yield from sets_lines(2, 0.6, 0, 4294967295, 50000, 200)
    yield from sets_lines(10, 0.1, 1, 0, 50000, 300)
    yield from sets_lines(64, 0.03, 1, 7, 50000, 200)
    yield from sets_lines(65, 0.03, 1, 7, 50000, 200)
    yield from sets_lines(1000, 0.001, 1, 2, 5000, 60)
    yield from sets_lines(1000, 0.6, 1, 2, 2000, 20)

    edges = [0.0, 5e-324, 1e-300, 1e-17, 2.0**-53, 1e-9, np.nextafter(0.5, 0), 0.5, np.nextafter(0.5, 1)]
    edges += [1 - 1e-9, 1 - 2.0**-53]
    for p in edges + [k / 37 for k in range(1, 37)]:
        yield bernoulli_line(2, p, 2000)
    for seed in (0, 1, 3, 2**31, 2**32 - 1):
        yield bernoulli_line(seed, 0.3, 2000)
    for n in [1, 2, 3, 4, 5, 7, 8, 9, 10, 16, 17, 20, 63, 64, 65, 100, 128, 129, 1000, 1024, 1025, 65535, 2**31 - 1]:
        yield randint_line(2, n, 500)


def main():
    text = "\n".join(lines()) + "\n"
    OUTPUT.write_text(text)
    print(f"{OUTPUT}: {len(text)} bytes")


if __name__ == "__main__":
    main()
