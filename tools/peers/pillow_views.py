"""Views of an image by Pillow, as the method's published implementation makes them: geometry filled with 128, shear
bicubic, translate and rotate nearest, rotate by way of an alpha channel, enhancement by 1 + magnitude.

Needs PyPI: numpy (2.4.6 tried), Pillow (13.0.0).
"""

import functools
import pathlib
import re

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

POLICIES = pathlib.Path(__file__).resolve().parents[2] / "src" / "augment" / "policy_tables.cpp"

RANGES = {
    "shearX": (0, 0.3), "shearY": (0, 0.3), "translateX": (0, 150 / 331), "translateY": (0, 150 / 331),
    "rotate": (0, 30), "brightness": (0, 0.9), "color": (0, 0.9), "contrast": (0, 0.9), "sharpness": (0, 0.9),
    "posterize": (8, 4), "solarize": (256, 0), "autocontrast": (0, 0), "equalize": (0, 0), "invert": (0, 0),
}  # fmt: skip
OPS = list(RANGES)
SIGNED = OPS[:9]  # of rotate the policies decide
ENHANCE = {
    "brightness": ImageEnhance.Brightness,
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}


@functools.cache
def magnitudes(op, levels):
    values = np.linspace(*RANGES[op], levels)
    return np.round(values) if op == "posterize" else values


def transform(image, matrix, resample):
    fill = 128 if image.mode == "L" else (128, 128, 128)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=fill)


def apply(image, op, m):
    if op in ENHANCE:
        return ENHANCE[op](image).enhance(1 + m)
    if op == "shearX":
        return transform(image, (1, m, 0, 0, 1, 0), Image.Resampling.BICUBIC)
    if op == "shearY":
        return transform(image, (1, 0, 0, m, 1, 0), Image.Resampling.BICUBIC)
    if op == "translateX":
        return transform(image, (1, 0, m * image.size[0], 0, 1, 0), Image.Resampling.NEAREST)
    if op == "translateY":
        return transform(image, (1, 0, 0, 0, 1, m * image.size[1]), Image.Resampling.NEAREST)
    if op == "rotate":
        turned = image.convert("RGBA").rotate(m)
        grey = Image.new("RGBA", turned.size, (128,) * 4)
        return Image.composite(turned, grey, turned).convert(image.mode)
    if op == "posterize":
        return ImageOps.posterize(image, int(m))
    if op == "solarize":
        return ImageOps.solarize(image, m)
    return getattr(ImageOps, op)(image)


def to_pillow(pixels):
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def from_pillow(image):
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def read_table(name):
    """The sub-policies of a table of the engine: ((operation, probability, magnitude level), the same again)."""
    text = POLICIES.read_text()
    body = text[text.index(name) :]
    body = body[: body.index("}};")]
    step = r"\{ImageOp::(\w+), (\d+), (\d)\}"
    spell = lambda op: op.replace("_x", "X").replace("_y", "Y")
    for a, p, i, b, q, j in re.findall(step + ", " + step, body):
        yield (spell(a), int(p) / 10, int(i)), (spell(b), int(q) / 10, int(j))


def weak_and_strong(pixels, rng, policy, strong_views=2):
    """One weak uint8 view and the strong ones, each with its own flip, crop, box and sub-policy."""
    h, w, _ = pixels.shape
    padded = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), mode="reflect")
    padded_flipped = padded[:, ::-1]
    views = []
    for strong in (False, *[True] * strong_views):
        top, left = rng.integers(0, 9, 2)
        source = padded_flipped if rng.random() < 0.5 else padded
        view = source[top : top + h, left : left + w].copy()
        if strong:
            y, x = rng.integers(0, h), rng.integers(0, w)
            view[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
            if policy:
                image = to_pillow(view)
                for op, probability, level in policy[rng.integers(0, len(policy))]:
                    if rng.random() < probability:
                        m = magnitudes(op, 10)[level]
                        signed = op in SIGNED and op != "rotate"
                        image = apply(image, op, -m if signed and rng.random() < 0.5 else m)
                view = from_pillow(image)
        views.append(view)
    return views
