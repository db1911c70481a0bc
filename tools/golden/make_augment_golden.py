"""Writes tests/golden/augment.safetensors: Pillow's results on small images for every operation and for whole views.

    python3 tools/golden/make_augment_golden.py      (PyPI: pillow 13.0.0, numpy 2.4.6; the same bytes on every run)

Images: photographs of tests/fixtures, noise, a constant, gradients, two values only, and some of these with a black box.
Every operation is applied at each of AutoAugment's 10 magnitudes, and for photographs at each of RandAugment's 31, with
both signs. Most results are stored as CRC-32; one image of each kind is stored completely, so that a failure can name the
pixel. Whole views (flip, crop, Cutout, CIFAR policy, and with Cutout last) are also stored as CRC-32: this script has its
own Philox, and Pillow applies the operations. So are views with a black border, resized crops, colour jitter and grey,
which torchvision makes with the same calls of Pillow, and, each by itself, enlarged lines and turned hues.

Pillow is called as in the method's published implementation: geometry filled with 128, shear bicubic, translate and
rotate nearest, rotate by way of an alpha channel, enhancement by 1 + magnitude.
"""

import math
import pathlib
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageEnhance

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


def views_of(images, epochs, make_view):
    result = np.zeros((epochs, len(images)), np.int64)
    for epoch in range(epochs):
        for sample, pixels in enumerate(images):
            purpose_view = 3 | 1 << 16
            words = [word for block in range(20) for word in philox(SEED, (block, sample, epoch, purpose_view))]
            result[epoch, sample] = crc(make_view(pixels, words))
    return result


def policy_views_of(images, table_name, signed_rotate, cutout_after, epochs):
    table = list(read_table(table_name))
    return views_of(images, epochs, lambda pixels, words: view(pixels, table, words, signed_rotate, cutout_after))


def uniform(word):
    return np.float32((word >> 8) / 2**24)


def resized_crop(image, words, scale, ratio):
    """torchvision's RandomResizedCrop."""
    w, h = image.size

    def part(top, left, height, width):
        box = (left, top, left + width, top + height)
        return image.crop(box).resize((w, h), Image.Resampling.BILINEAR)

    for i in range(10):
        attempt = words[32 + 4 * i : 36 + 4 * i]
        area = h * w * (scale[0] + float(uniform(attempt[0])) * (scale[1] - scale[0]))
        low, high = math.log(ratio[0]), math.log(ratio[1])
        aspect = math.exp(low + float(uniform(attempt[1])) * (high - low))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= w and 0 < height <= h:
            return part(attempt[2] * (h - height + 1) >> 32, attempt[3] * (w - width + 1) >> 32, height, width)
    width, height = w, h
    if w / h < ratio[0]:
        height = round(w / ratio[0])
    elif w / h > ratio[1]:
        width = round(h * ratio[1])
    return part((h - height) // 2, (w - width) // 2, height, width)


def turned_hue(image, turns):
    """torchvision's adjust_hue."""
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    hues = np.asarray(h) + np.array(int(float(turns) * 255) & 255, np.uint8)
    return Image.merge("HSV", (Image.fromarray(hues), s, v)).convert("RGB")


def changed_colours(image, words, probability, strengths, grey):
    """torchvision's ColorJitter, applied with a probability, and RandomGrayscale."""
    if uniform(words[72]) < np.float32(probability):
        order, changes, left = words[73] * 24 >> 32, [], [0, 1, 2, 3]
        for orders in (6, 2, 1, 1):
            changes.append(left.pop(order // orders))
            order %= orders
        for change in changes:
            strength, u = np.float32(strengths[change]), uniform(words[76 + change])
            if strength == 0:
                continue
            if change == 3:
                image = turned_hue(image, strength * (np.float32(2) * u - np.float32(1)))
                continue
            low = max(np.float32(0), np.float32(1) - strength)
            factor = low + u * (np.float32(1) + strength - low)
            enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[change]
            image = enhance(image).enhance(float(factor))
    if uniform(words[74]) < np.float32(grey):
        image = image.convert("L").convert(image.mode)
    return image


def torchvision_view(pixels, words, scale=None, ratio=(3 / 4, 4 / 3), jitter=0, strengths=(), grey=0):
    """Resized crop and flip, or flip and crop with a black border of 4 pixels; then the colours."""
    h, w, _ = pixels.shape
    mirrored = words[0] >> 31
    if scale:
        pixels = from_pillow(resized_crop(to_pillow(pixels), words, scale, ratio))
    pixels = pixels[:, ::-1] if mirrored else pixels
    if not scale:
        top, left = words[1] * 9 >> 32, words[2] * 9 >> 32
        pixels = np.pad(pixels, ((4, 4), (4, 4), (0, 0)))[top : top + h, left : left + w]
    image = to_pillow(np.ascontiguousarray(pixels))
    return from_pillow(changed_colours(image, words, jitter, strengths, grey))


def enlarged_lines(most):
    """For each number of outputs the check sum of lines of 1 to that many pixels."""
    sums = []
    for outputs in range(1, most + 1):
        lines = []
        for inputs in range(1, outputs + 1):
            k = np.arange(inputs)
            line = ((k * k * 37 + k * 101 + inputs * 13 + outputs * 7) % 256).astype(np.uint8)[None]
            lines.append(np.asarray(Image.fromarray(line).resize((outputs, 1), Image.Resampling.BILINEAR))[0])
        sums.append(crc(np.concatenate(lines)))
    return np.array(sums, np.uint32).view(np.int32)


def turned_lattice(turns):
    """The check sum of all colours of multiples of 5 with their hue turned."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    return crc(np.asarray(turned_hue(Image.fromarray(colours), turns)))


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
            tensors[f"{kind}/views/{name}"] = policy_views_of(images, *arguments).astype(np.uint32).view(np.int32)
        pico = {"jitter": 0.8, "strengths": (0.4, 0.4, 0.4, 0.1), "grey": 0.2}
        for name, arguments in {
            "zero_padding": {},
            "resized": {"scale": (0.08, 1)},
            "resized_fallback": {"scale": (0.9, 1), "ratio": (3, 4)},
            "colours": {"jitter": 1, "strengths": (1.2, 0.8, 1.5, 0.5), "grey": 0.5},
            "pico": {"scale": (0.2, 1), **pico},
        }.items():
            make_view = lambda pixels, words, arguments=arguments: torchvision_view(pixels, words, **arguments)
            tensors[f"{kind}/views/{name}"] = views_of(images, 30, make_view).astype(np.uint32).view(np.int32)
    tensors["resize/lines"] = enlarged_lines(96)
    turns = (-0.5, -0.25, -0.1, -0.001, 0, 0.05, 0.3, 0.5)
    tensors["hue/turns"] = np.array(turns, np.float64)
    tensors["hue/lattice"] = np.array([turned_lattice(t) for t in turns], np.uint32).view(np.int32)
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
