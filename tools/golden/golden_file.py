"""Numbers and files that the golden-value generators share.

Importing this module fixes PyTorch's arithmetic (one thread, no processor-specific code paths), so it must come
before `import torch`; then the generators write the same bytes on any x86-64 machine with the same versions.

Needs PyPI: numpy (2.4.6), torch (2.15.0).
"""

import json
import os

os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402

from golden_file_format import write  # noqa: E402, F401

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def hash32(text):
    """FNV-1a."""
    h = 0x811C9DC5
    for byte in text.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def pattern(name, shape):
    """Numbers in [-1, 1) that C++ and Python compute identically (src/selftest/pattern.h is the other copy):
    element i is the 32-bit finaliser of MurmurHash3 over hash32(name) ^ i * 0x9E3779B1, upper 20 bits.
    Multiples of 2^-19, so they and simple sums with small dyadic numbers are exact in float32."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint32)
    with np.errstate(over="ignore"):
        h = np.uint32(hash32(name)) ^ (i * np.uint32(0x9E3779B1))
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    return ((h >> np.uint32(12)).astype(np.float64) * 2.0**-19 - 1).reshape(shape)


def integers(name, shape, below):
    return np.minimum((pattern(name, shape) + 1) / 2 * below, below - 1).astype(np.int64)


def metadata(generator, cases):
    """`cases`: what the tests need besides tensors, as JSON."""
    return {
        "generator": generator,
        "versions": f"torch {torch.__version__.split('+')[0]}, numpy {np.__version__}",
        "seed": "none: all inputs are pattern(name, shape) of tools/golden/golden_file.py",
        "cases": json.dumps(cases, separators=(",", ":"), sort_keys=True),
    }
