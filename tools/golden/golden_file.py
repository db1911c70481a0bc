"""Numbers and files that the golden-value generators share.

Importing this module fixes PyTorch's arithmetic (one thread, no processor-specific code paths), so it must come
before `import torch`; then the generators write the same bytes on any x86-64 machine with the same versions.

Needs PyPI: numpy (2.4.6), torch (2.15.0).
"""

import json
import os
import struct

os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def hash32(text):
    """FNV-1a."""
    h = 0x811C9DC5
    for byte in text.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def pattern(name, shape):
    """Numbers in [-1, 1) that C++ and Python compute identically (tests/golden/pattern.h is the other copy):
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


_DTYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint64": "U64", "uint8": "U8"}


def write(path, tensors, metadata):
    """safetensors with sorted keys: the library's own writer leaves the order of metadata to chance."""
    header = {"__metadata__": {key: metadata[key] for key in sorted(metadata)}}
    data = b""
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        raw = array.tobytes()
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(tensors[name].shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def metadata(generator, cases):
    """`cases`: what the tests need besides tensors, as JSON."""
    return {
        "generator": generator,
        "versions": f"torch {torch.__version__.split('+')[0]}, numpy {np.__version__}",
        "seed": "none: all inputs are pattern(name, shape) of tools/golden/golden_file.py",
        "cases": json.dumps(cases, separators=(",", ":"), sort_keys=True),
    }
