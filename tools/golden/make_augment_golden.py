"""Writes tests/golden/augment.safetensors: Pillow's results on small images for every operation and for whole views.

    python3 tools/golden/make_augment_golden.py      (PyPI: pillow 13.0.0, numpy 2.4.6; the same bytes on every run)

Images: photographs of tests/fixtures, noise, a constant, gradients, two values only, and some of these with a black box.
Every operation is applied at each of AutoAugment's 10 magnitudes, and for photographs at each of RandAugment's 31, with
both signs. Most results are stored as CRC-32; one image of each kind is stored completely, so that a failure can name the
pixel. Whole views (flip, crop, Cutout, CIFAR policy, and with Cutout last) are also stored as CRC-32: this script has its
own Philox, and Pillow applies the operations.

Pillow is called as in the method's published implementation: geometry filled with 128, shear bicubic, translate and
rotate nearest, rotate by way of an alpha channel, enhancement by 1 + magnitude.
"""

import pathlib
import sys
import zlib

import numpy as np
import PIL

from golden_file_format import write

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "peers"))
from pillow_views import OPS, SIGNED, apply, from_pillow, magnitudes, read_table, to_pillow  # noqa: E402

SEED = 20240607
SIDES = {"rgb": (32, 32, 3), "grey": (28, 28, 1), "odd_rgb": (7, 9, 3), "odd_grey": (2, 5, 1)}
KEPT_WHOLE = {"rgb": 1, "grey": 1}  # index of the image
KEPT_LEVELS = (3, 9)

def crc(pixels):
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def photographs(kind):
    fixtures = ROOT / "tests" / "fixtures"
    if kind == "rgb":
        raw = np.frombuffer((fixtures / "cifar-10-batches-bin" / "data_batch_1.bin").read_bytes(), np.uint8)
        return raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    raw = (fixtures / "fashion-mnist" / "plain" / "train-images-idx3-ubyte").read_bytes()
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)


def images_of(kind, random):
    h, w, c = SIDES[kind]
    noise = random.integers(0, 256, (h, w, c), dtype=np.uint8)
    narrow = random.integers(90, 131, (h, w, c), dtype=np.uint8)
    if kind.startswith("odd"):
        return np.stack([noise, narrow])
    photos = photographs(kind)[:3]
    boxed = photos[0].copy()
    boxed[5:21, 10:26] = 0
    corner = noise.copy()
    corner[:9, -12:] = 0
    y, x = np.mgrid[0:h, 0:w]
    diagonal = np.stack([(y * 255 // (h - 1) + c0 * x) % 256 for c0 in range(c)], axis=2).astype(np.uint8)
    slope = np.stack([np.full_like(x, 40) + (x * (c0 + 1)) for c0 in range(c)], axis=2).astype(np.uint8)
    constant = np.full((h, w, c), 77, np.uint8)
    black = np.zeros((h, w, c), np.uint8)
    two = np.where(noise > 127, np.uint8(200), np.uint8(13))
    few = np.where(noise > 250, noise, np.uint8(100))
    return np.stack([*photos, boxed, noise, corner, narrow, diagonal, slope, constant, black, two, few])


def philox(key, counter):
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def view(pixels, table, words, signed_rotate, cutout_after):
    h, w, _ = pixels.shape
    below = lambda word, n: word * n >> 32
    if words[0] >> 31:
        pixels = pixels[:, ::-1]
    top, left = below(words[1], 9), below(words[2], 9)
    pixels = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), mode="reflect")[top : top + h, left : left + w].copy()
    y, x = below(words[3], h), below(words[4], w)

    def box(image):
        image = image.copy()
        image[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
        return image

    if not cutout_after:
        pixels = box(pixels)
    image = to_pillow(pixels)
    for i, (op, p, level) in enumerate(table[below(words[5], len(table))]):
        fire, sign = words[6 + 2 * i], words[7 + 2 * i]
        if fire / 2**32 < p:
            m = magnitudes(op, 10)[level]
            negative = (op in SIGNED and op != "rotate") or (op == "rotate" and signed_rotate)
            image = apply(image, op, -m if negative and sign >> 31 else m)
    pixels = from_pillow(image)
    return box(pixels) if cutout_after else pixels


def views_of(images, table_name, signed_rotate, cutout_after, epochs):
    table = list(read_table(table_name))
    result = np.zeros((epochs, len(images)), np.int64)
    for epoch in range(epochs):
        for sample, pixels in enumerate(images):
            purpose_view = 3 | 1 << 16
            words = [word for block in range(3) for word in philox(SEED, (block, sample, epoch, purpose_view))]
            result[epoch, sample] = crc(view(pixels, table, words, signed_rotate, cutout_after))
    return result


def main():
    random = np.random.default_rng(SEED)
    tensors = {}
    for levels in (10, 31):
        tensors[f"magnitudes/{levels}"] = np.stack([magnitudes(op, levels) for op in OPS]).astype(np.float64)
    for kind in SIDES:
        images = images_of(kind, random)
        tensors[f"{kind}/images"] = images
        for levels, count in ((10, len(images)), (31, 2)):
            sums = np.zeros((len(OPS), levels, 2, count), np.int64)
            for o, op in enumerate(OPS):
                for level, m in enumerate(magnitudes(op, levels)):
                    for negative in range(2):
                        signed = -m if negative and op in SIGNED else m
                        for i in range(count):
                            result = from_pillow(apply(to_pillow(images[i]), op, signed))
                            sums[o, level, negative, i] = crc(result)
                            whole = KEPT_WHOLE.get(kind) == i and levels == 10 and level in KEPT_LEVELS
                            if whole and (op in SIGNED or not negative):
                                tensors[f"{kind}/{op}/{level}/{'-' if negative else '+'}"] = result
            tensors[f"{kind}/crc/{levels}"] = sums.astype(np.uint32).view(np.int32)
    for kind in KEPT_WHOLE:
        images = tensors[f"{kind}/images"]
        for name, arguments in {
            "plcr_cifar": ("kPlcrCifarPolicy", False, False, 100),
            "plcr_cifar_cutout_after": ("kPlcrCifarPolicy", False, True, 20),
            "svhn": ("kSvhnPolicy", False, False, 50),
            "autoaugment_cifar": ("kAutoaugmentCifarPolicy", True, False, 50),
        }.items():
            tensors[f"{kind}/views/{name}"] = views_of(images, *arguments).astype(np.uint32).view(np.int32)
    metadata = {
        "generator": "tools/golden/make_augment_golden.py",
        "versions": f"pillow {PIL.__version__}, numpy {np.__version__}",
        "seed": str(SEED),
        "ops": " ".join(OPS),
        "whole": " ".join(f"{kind}={index}" for kind, index in KEPT_WHOLE.items()),
    }
    write(ROOT / "tests" / "golden" / "augment.safetensors", tensors, metadata)


if __name__ == "__main__":
    main()
