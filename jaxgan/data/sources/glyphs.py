"""Digits drawn from fonts, each from factors that are known: the truth that codes are held against.

    digit      0 to 9, and the label
    font       one of `FONTS`, which come with matplotlib; Pillow draws them
    rotation   degrees, anticlockwise, about the middle of the digit
    width      of the stroke, pixels
    slant      degrees, to the right (a shear, before the rotation)
    size       height of the digit's centre line before slant and rotation, pixels
    x, y       of the digit's middle from the image's, pixels to the right and down

All are independent and uniform. Pixels are those of an image of 28x28; at another size everything
grows with the image. The upright, regular cuts alone are used: a bold or an oblique one would be a
second name for a width or a slant. For the same reason a font gives the centre line of a digit, and
a round pen of the wanted width draws it (the width is that before the slant, which narrows a stroke
by at most 4 %).

The same seed gives the same bytes (with the same Pillow and matplotlib, whose fonts these are).
"""

import functools
import os

import numpy as np

from jaxgan.data.dataset import Dataset, Factor, Split

# Names of files in matplotlib's data, without ".ttf".
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
# The image in whose pixels the factors are given.
SIDE = 28
# Cells of a distance field: its side, and a digit's height in it. The margin is wider than half the
# widest stroke, so that nothing is drawn outside.
_FIELD, _HEIGHT = 120, 64
# Images that are drawn at once; with 500 the arrays leave the cache, and it takes twice as long.
_BLOCK = 100


def load(size: int = SIDE, seed: int = SEED, sizes: dict[str, int] | None = None) -> Dataset:
    """The glyphs, uint8 [N, size, size, 1], labelled with their digits.

    Args:
      size: H and W.
      seed: of the factors; each split has a stream of its own.
      sizes: images in "train", "validation" and "test"; None is `SIZES`.
    """
    splits = {}
    for i, (name, count) in enumerate((sizes or SIZES).items()):
        generator = np.random.default_rng([seed, i])
        factors = np.stack([factor.sample(generator, count) for factor in FACTORS], axis=1)
        labels = factors[:, 0].astype(np.int32)
        splits[name] = Split(draw(factors, size), labels, factors)
    return Dataset(
        "glyphs",
        splits["train"],
        splits["validation"],
        splits["test"],
        tuple(map(str, range(10))),
        factors=FACTORS,
        draw=functools.partial(draw, size=size),
    )


def draw(factors: np.ndarray, size: int = SIDE) -> np.ndarray:
    """Draws one image for each row of factors.

    Args:
      factors: in the order of `FACTORS`, float [N, 8]; also outside their ranges.
      size: H and W.

    Returns:
      uint8 [N, size, size, 1], 0 the ground and 255 the stroke.
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
    # Backwards: from a pixel to the place in the font's digit that it shows.
    cosine, sine = (f(np.radians(rotation))[:, None, None] for f in (np.cos, np.sin))
    upright_down = sine * across + cosine * down
    upright_across = cosine * across - sine * down
    straight = upright_across + np.tan(np.radians(slant))[:, None, None] * upright_down
    cells = (_HEIGHT / height)[:, None, None]
    which = font.astype(int) * 10 + digit.astype(int)
    distance = _sampled(which, straight * cells, upright_down * cells) / cells
    # A pixel is lit by the part of it that lies under the stroke.
    pixel = SIDE / size
    covered = (width[:, None, None] / 2 - distance) / pixel + 0.5
    return np.rint(255 * np.clip(covered, 0, 1)).astype(np.uint8)


def _sampled(which: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Distance fields read between their cells (bilinear), places counted from the middle."""
    flat = _fields().reshape(-1)
    middle, last = (_FIELD - 1) / 2, _FIELD - 1.001
    across = np.clip(across + middle, 0, last)
    down = np.clip(down + middle, 0, last)
    column, row = across.astype(np.int64), down.astype(np.int64)
    across -= column
    down -= row
    place = (which[:, None, None] * _FIELD + row) * _FIELD + column
    upper, lower = (
        left + across * (flat.take(place + 1) - left)
        for left, place in ((flat.take(place + skip), place + skip) for skip in (0, _FIELD))
    )
    return np.asarray(upper + down * (lower - upper))


@functools.cache
def _fields() -> np.ndarray:
    """How far each cell is from the centre line of each font's each digit, in cells, float64
    [fonts * 10, _FIELD, _FIELD]; the digit is `_HEIGHT` cells high and stands in the middle."""
    return np.stack([_field(font, str(digit)) for font in FONTS for digit in range(10)])


def _field(font: str, text: str) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    line = np.argwhere(thinned(_mask(font, text)))
    low, high = line.min(axis=0), line.max(axis=0)
    scale = _HEIGHT / (high - low)[0]
    # The line's cells are laid into the field at twice its fineness, and read at every second cell.
    places = (line - (low + high) / 2) * scale + (_FIELD - 1) / 2
    fine = np.ones((2 * _FIELD, 2 * _FIELD), bool)
    fine[tuple(np.rint(2 * places).astype(int).T)] = False
    return np.asarray(distance_transform_edt(fine)[::2, ::2] / 2)


def _mask(font: str, text: str) -> np.ndarray:
    """The digit in large, true where there is ink, with a border of no ink."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    face = ImageFont.truetype(path, 2 * _HEIGHT)
    picture = Image.new("L", (3 * _HEIGHT, 3 * _HEIGHT))
    ImageDraw.Draw(picture).text((_HEIGHT // 2, _HEIGHT // 4), text, fill=255, font=face)
    mask = np.asarray(picture) > 127
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)


def thinned(mask: np.ndarray) -> np.ndarray:
    """The centre line of a shape, one cell thin and as connected as the shape.

    Source: Zhang and Suen 1984: in turns, cells of the south-eastern and of the north-western rim
    are taken away as long as none of them is an end or holds two parts together.

    Args:
      mask: bool [H, W], false at the border.

    Returns:
      bool [H, W].
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
