"""Digits drawn from fonts by known factors: the ground truth for measuring codes.

    digit      0 to 9, and the label
    font       one of `FONTS`, which come with matplotlib; Pillow draws them
    rotation   degrees, anticlockwise, about the digit's centre
    width      of the stroke, pixels
    slant      degrees, to the right (a shear, before the rotation)
    size       height of the digit's centre line before slant and rotation, pixels
    x, y       offset of the digit's centre from the image's, pixels to the right and down

All factors are independent and uniform. Pixels are those of a 28x28 image; other sizes are scaled.
Only upright, regular fonts are used: a bold or oblique one would confound font with width or slant.
For the same reason only a digit's centre line comes from its font. A round pen of the given width
draws it; the slant then narrows the stroke by at most 4 %.

The same seed gives the same bytes for the same versions of Pillow and matplotlib.
"""

import functools
import os

import numpy as np

from jaxgan.data.dataset import Dataset, Factor, Split

# Font files in matplotlib's data, without ".ttf".
FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmtt10")
FACTORS = (
    Factor("digit", values=10),
    Factor("font", values=len(FONTS)),
    Factor("rotation", low=-40, high=40),
    Factor("width", low=1.2, high=4.0),
    Factor("slant", low=-15, high=15),
    Factor("size", low=13, high=17),
    Factor("x", low=-1.5, high=1.5),
    Factor("y", low=-1.5, high=1.5),
)
SIZES = {"train": 20_000, "validation": 2_000, "test": 5_000}
SEED = 0
# Side of the image in whose pixels the factors are given.
SIDE = 28
# Side of a distance field and height of a digit in it, in cells. The margin is wider than half the
# widest stroke, so that no stroke is cut off.
_FIELD, _HEIGHT = 120, 64
# Images drawn at once; 500 overflow the CPU's cache and take twice as long per image.
_BLOCK = 100


def load(size: int = SIDE, seed: int = SEED, sizes: dict[str, int] | None = None) -> Dataset:
    """Draws the glyphs, uint8 [N, size, size, 1], labelled with their digits.

    Args:
      size: H and W.
      seed: seed of the factors; each split has its own stream.
      sizes: number of images in "train", "validation" and "test"; None is `SIZES`.
    """
    sizes = sizes or SIZES

    def split(stream: int, name: str) -> Split:
        generator = np.random.default_rng([seed, stream])
        factors = np.stack([factor.sample(generator, sizes[name]) for factor in FACTORS], axis=1)
        return Split(draw(factors, size), factors[:, 0].astype(np.int32), factors)

    train, validation, test = (split(i, name) for i, name in enumerate(sizes))
    names, draw_more = tuple(map(str, range(10))), functools.partial(draw, size=size)
    return Dataset("glyphs", train, validation, test, names, factors=FACTORS, draw=draw_more)


def draw(factors: np.ndarray, size: int = SIDE) -> np.ndarray:
    """Draws images, uint8 [N, size, size, 1], background 0, stroke 255.

    Args:
      factors: columns as in `FACTORS`, float [N, 8]; values may exceed the factors' ranges.
      size: H and W.
    """
    out = np.empty((len(factors), size, size, 1), np.uint8)
    for start in range(0, len(factors), _BLOCK):
        block = np.asarray(factors[start : start + _BLOCK], np.float64)
        out[start : start + _BLOCK, :, :, 0] = _draw(block, size)
    return out


def _draw(factors: np.ndarray, size: int) -> np.ndarray:
    digit, font, rotation, width, slant, height, x, y = factors.T
    pixels = ((np.arange(size) + 0.5) / size - 0.5) * SIDE
    across = pixels[None, None, :] - x[:, None, None]
    down = pixels[None, :, None] - y[:, None, None]
    # Inverse transform: from each pixel to its position in the font's digit.
    cosine, sine = (f(np.radians(rotation))[:, None, None] for f in (np.cos, np.sin))
    upright_down = sine * across + cosine * down
    upright_across = cosine * across - sine * down
    straight = upright_across + np.tan(np.radians(slant))[:, None, None] * upright_down
    cells = (_HEIGHT / height)[:, None, None]
    which = font.astype(int) * 10 + digit.astype(int)
    distance = _interpolate(which, straight * cells, upright_down * cells) / cells
    # A pixel's brightness is its coverage by the stroke.
    pixel = SIDE / size
    covered = (width[:, None, None] / 2 - distance) / pixel + 0.5
    return np.rint(255 * np.clip(covered, 0, 1)).astype(np.uint8)


def _interpolate(which: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Reads distance fields bilinearly at positions relative to their centres."""
    flat = _fields().reshape(-1)
    middle, last = (_FIELD - 1) / 2, _FIELD - 1.001
    across = np.clip(across + middle, 0, last)
    down = np.clip(down + middle, 0, last)
    column, row = across.astype(np.int64), down.astype(np.int64)
    across -= column
    down -= row
    start = (which[:, None, None] * _FIELD + row) * _FIELD + column

    def along_row(index: np.ndarray) -> np.ndarray:
        left = flat.take(index)
        return left + across * (flat.take(index + 1) - left)

    upper, lower = along_row(start), along_row(start + _FIELD)
    return np.asarray(upper + down * (lower - upper))


@functools.cache
def _fields() -> np.ndarray:
    """Distance of each cell from the centre line of every font's every digit, in cells, float64
    [fonts * 10, _FIELD, _FIELD]; the digit is centred and `_HEIGHT` cells high."""
    return np.stack([_field(font, str(digit)) for font in FONTS for digit in range(10)])


def _field(font: str, text: str) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    line = np.argwhere(thinned(_mask(font, text)))
    low, high = line.min(axis=0), line.max(axis=0)
    scale = _HEIGHT / (high - low)[0]
    # The line is drawn at twice the field's resolution; every second cell is read.
    points = (line - (low + high) / 2) * scale + (_FIELD - 1) / 2
    fine = np.ones((2 * _FIELD, 2 * _FIELD), bool)
    fine[tuple(np.rint(2 * points).astype(int).T)] = False
    return np.asarray(distance_transform_edt(fine)[::2, ::2] / 2)


def _mask(font: str, text: str) -> np.ndarray:
    """A large digit, true where there is ink, with an empty border."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    face = ImageFont.truetype(path, 2 * _HEIGHT)
    image = Image.new("L", (3 * _HEIGHT, 3 * _HEIGHT))
    ImageDraw.Draw(image).text((_HEIGHT // 2, _HEIGHT // 4), text, fill=255, font=face)
    mask = np.asarray(image) > 127
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)


def thinned(mask: np.ndarray) -> np.ndarray:
    """Thins a shape, bool [H, W] with a false border, to its centre line, one cell wide.

    Source: Zhang and Suen 1984. It alternately removes cells of the south-eastern and of the
    north-western rim, except line ends and cells that connect two parts.
    """
    line = mask.copy()
    around = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
    before = -1
    while before != (before := int(line.sum())):
        for turn in (0, 1):
            ring = [np.roll(line, (-i, -j), (0, 1)) for i, j in around]
            north, east, south, west = ring[::2]
            neighbours = np.sum(ring, axis=0)
            rises = np.sum([~ring[i - 1] & ring[i] for i in range(8)], axis=0)
            needed = (east & south, north & west)
            kept = (north | west) & needed[0] if turn == 0 else (east | south) & needed[1]
            line &= ~((neighbours >= 2) & (neighbours <= 6) & (rises == 1) & ~kept)
    return line
