"""Strips and sheets of images, and PNG and GIF files."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan.common.files import write_whole
from jaxgan.inference.pictures import GAP, GROUND, grid, to_pil
from jaxgan.reporting.lettering import lettered


def cut(sheet: np.ndarray, height: int, width: int, gap: int = GAP) -> np.ndarray:
    """Cuts a `grid` into uint8 [rows, columns, height, width, C]; empty cells are dark images."""
    inner = sheet[gap:, gap:]
    rows, columns = inner.shape[0] // (height + gap), inner.shape[1] // (width + gap)
    cells = inner.reshape(rows, height + gap, columns, width + gap, -1)
    return cells[:, :height, :, :width].transpose(0, 2, 1, 3, 4)


def titled(picture: np.ndarray, line: str) -> np.ndarray:
    """Puts a line of text above a picture, uint8 [H, W, C], which grows to the text's width."""
    drawn, font = lettered(line)
    missing = max(0, math.ceil(font.getlength(drawn)) + 12 - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=GROUND)
    band = text(line, 18, picture.shape[1]).repeat(picture.shape[2], -1)
    return np.concatenate([band, picture])


def text(line: str, height: int, width: int) -> np.ndarray:
    """A light line of text on a dark background, right-aligned: uint8 [height, width, 1]."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (width, height), GROUND)
    (line, font), right_middle = lettered(line), (width - 6, height // 2)
    ImageDraw.Draw(picture).text(right_middle, line, fill=220, font=font, anchor="rm")
    return np.asarray(picture)[..., None]


def strip(rows: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """Rows of images with a label before each, uint8 [height, width, C].

    Args:
      rows: arrays of one shape, uint8 [N, H, W, C]; small images are enlarged.
      labels: one for each row.
    """
    times = max(1, -(-24 // rows[0].shape[1]))
    sheet = grid(np.concatenate(rows).repeat(times, 1).repeat(times, 2), len(rows[0]))
    row = rows[0].shape[1] * times + GAP
    margin = np.full((len(sheet), 16 + 7 * max(map(len, labels)), 1), GROUND, np.uint8)
    for i, label in enumerate(labels):
        margin[GAP + i * row : (i + 1) * row] = text(label, row - GAP, margin.shape[1])
    return np.concatenate([margin.repeat(sheet.shape[-1], -1), sheet], axis=1)


def neighbours(images: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """A row for each image: itself, a gap, and the training images nearest to it, nearest first.

    Args:
      images: generated images, uint8 [N, H, W, C], C 1 or 3.
      nearest: the training images nearest to each, uint8 [N, k, H, W, C].

    Returns:
      uint8 [height, width, C].
    """
    left = grid(images, 1)
    right = grid(nearest.reshape(-1, *images.shape[1:]), nearest.shape[1])
    return np.concatenate([left, np.full_like(left[:, : 2 * GAP], GROUND), right], axis=1)


def scatter(points: np.ndarray, limit: float = 3.0, size: int = 240) -> np.ndarray:
    """Points, float [N, D], as dots on a dark square from -limit to limit: uint8 [size, size, 1].

    The first two coordinates are shown; a missing second one is 0. Points outside are left out.
    """
    sheet = np.full((size, size, 1), GROUND, np.uint8)
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))[:, :2]
    pixels = np.floor((points / limit + 1) / 2 * size).astype(int)
    x, y = pixels[np.all((pixels >= 0) & (pixels < size), axis=1)].T
    sheet[size - 1 - y, x] = 255
    return sheet


# Of `tag_sheet`: the side of an image, the width of a column of words, and the words' colours.
_SIDE, _COLUMN = 84, 330
_PLAIN, _TRUE, _OTHER = (220, 220, 220), (86, 190, 250), (140, 140, 140)


def tag_sheet(
    pictures: Sequence[np.ndarray | None],
    own: Sequence[Sequence[str]],
    made: Sequence[Sequence[str]],
) -> np.ndarray:
    """A row for each image: the image, its own tags, and its generated tags, blue if they are among
    its own and grey otherwise.

    Args:
      pictures: uint8 [H, W, C] each, of any size, or None.
      own, made: each image's own and generated tags; words that do not fit are left out.

    Returns:
      uint8 [height, width, 3]; the size depends on the number of images alone.
    """
    from PIL import Image, ImageDraw

    row, head = _SIDE + 2 * GAP, 22
    sheet = Image.new("RGB", (row + 2 * _COLUMN, head + row * len(pictures)), (GROUND,) * 3)
    pen = ImageDraw.Draw(sheet)
    for i, title in enumerate(("own tags", "generated")):
        _words(pen, (row + i * _COLUMN, 0), [(title, _PLAIN)])
    for i, (picture, words, tags) in enumerate(zip(pictures, own, made, strict=True)):
        top = head + i * row
        if picture is not None:
            small = to_pil(picture).convert("RGB").resize((_SIDE, _SIDE))
            sheet.paste(small, (GAP, top + GAP))
        _words(pen, (row, top), [(word, _PLAIN) for word in words])
        coloured = [(word, _TRUE if word in words else _OTHER) for word in tags]
        _words(pen, (row + _COLUMN, top), coloured)
    return np.asarray(sheet)


def _words(pen: Any, corner: tuple[int, int], words: Sequence[tuple[str, Any]]) -> None:
    """Writes words, each in its colour, into a cell of a `tag_sheet`."""
    line_height = 17
    left, top = float(corner[0] + 8), corner[1] + 3
    x, y = left, top
    for whole, colour in words:
        word, font = lettered(whole)
        width = font.getlength(word)
        if x > left and x + width > left + _COLUMN - 16:
            x, y = left, y + line_height
        if y + line_height > top + _SIDE + GAP:
            return
        pen.text((x, y), word, fill=colour, font=font)
        x += width + 10


def read_png(path: str) -> np.ndarray | None:
    """Reads a picture that `save_png` wrote, uint8 [H, W, C] with C 1 or 3, also if another program
    has saved it again, for example with a palette; None if it cannot be read."""
    from PIL import Image

    try:
        # Of another format, such as PostScript, Pillow would leave the decoding to a program.
        with Image.open(path, formats=("PNG",)) as file:
            picture = np.asarray(file.convert("L" if file.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, ValueError):  # Pillow raises SyntaxError for a wrong byte.
        return None
    return picture[..., None] if picture.ndim == 2 else picture


def save_png(path: str, sheet: np.ndarray) -> None:
    """Writes uint8 [H, W, C] as a PNG; the file is written whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    picture = to_pil(sheet)
    write_whole(path, lambda file: picture.save(file, format="PNG"))


def save_gif(path: str, frames: Sequence[np.ndarray], seconds: float, last: float = 0.0) -> None:
    """Writes frames as a GIF that repeats without end; the file is written whole or not at all.

    Args:
      path: the file.
      frames: uint8 [H, W, C] each, C 1 (kept exactly) or 3 (reduced to 256 colours a frame). GIF
        readers merge equal consecutive frames into one of a longer duration.
      seconds: duration of a frame, in steps of a hundredth.
      last: duration of the last frame; 0 for the duration of the others.
    """
    from PIL import Image

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    first, *others = (
        picture if picture.mode == "L" else picture.quantize(256, dither=Image.Dither.NONE)
        for picture in map(to_pil, frames)
    )
    durations = [round(1000 * seconds)] * len(frames)
    durations[-1] = round(1000 * last) or durations[-1]
    options = {"save_all": True, "append_images": others, "duration": durations, "loop": 0}
    write_whole(path, lambda file: first.save(file, "GIF", **options))
