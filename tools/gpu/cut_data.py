#!/usr/bin/env python3
"""Writes the first images of Fashion-MNIST's training set and its whole test set as uncompressed IDX files; the bundle
compresses them better.

  tools/gpu/cut_data.py FOLDER OUT COUNT
"""

import gzip
import struct
import sys
from pathlib import Path


def read(folder, name):
    plain = folder / name
    return plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())


def cut(idx, most):
    """An IDX file with its first `most` items."""
    dimensions = idx[3]
    count, *rest = struct.unpack_from(f">{dimensions}I", idx, 4)
    size = 1
    for extent in rest:
        size *= extent
    kept, start = min(count, most), 4 + 4 * dimensions
    return idx[:4] + struct.pack(f">{dimensions}I", kept, *rest) + idx[start : start + kept * size]


def main():
    folder, out, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    for part, most in (("train", count), ("t10k", 10000)):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            name = f"{part}-{kind}"
            (out / name).write_bytes(cut(read(folder, name), most))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"cut_data: {error.filename}: {error.strerror}")
