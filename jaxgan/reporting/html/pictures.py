"""Pictures inside the report, as data URIs, within a number of bytes."""

import base64
import io
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.models.latents import parse_codes
from jaxgan.reporting.html.run_data import Run
from jaxgan.reporting.sheet_paths import Sheets

# How sheets are kept: so many frames each, their sides divided by so much; the first that fits.
_FITS = ((12, 1), (12, 2), (12, 4), (4, 4), (1, 4))
# A file of more bytes is kept as a JPEG, where that is smaller.
_LARGE_PNG = 40_000
# A single picture has at most so many bytes; a file of more than 40 times that is not opened.
_PICTURE = 900_000
# HTML around a picture.
_ELEMENT = 700
# Captions of the pictures in a run's folder, by the beginning of their names. `curves.png` is not
# shown: the report draws the curves.
_CAPTIONS = {
    "strip": "Samples over training: a row for each of up to ten steps.",
    "walk": "Interpolation between latents.",
    "training": "The first sheet over training.",
    "arithmetic": "Arithmetic on mean latents.",
    "neighbours": "Generated images (left), each with its nearest training images.",
    "discriminator": "What the discriminator responds to.",
}


class Picture(NamedTuple):
    """A data URI, and the sides in pixels of the picture in its file."""

    uri: str
    width: int
    height: int


class SheetOverTime(NamedTuple):
    """A sheet's title (run, sheet and seed, or ""), its caption, and its pictures by step."""

    title: str
    caption: str
    frames: dict[int, Picture]


class SheetsOverTime(NamedTuple):
    """Every sheet over time, all of their steps, and what was left out, in a sentence or ""."""

    sheets: list[SheetOverTime]
    steps: list[int]
    note: str


def embed(path: str, shrink: int = 1) -> Picture | None:
    """Reads a picture.

    Args:
      path: of a PNG or a GIF.
      shrink: divides its sides; 1 keeps a small PNG and every GIF as they are.

    Returns:
      The picture; None where the file is no picture or cannot be read.
    """
    from PIL import Image

    try:
        if not os.path.isfile(path) or os.path.getsize(path) > 40 * _PICTURE:
            return None
        with open(path, "rb") as file:
            data = file.read()
        # Of another format, such as PostScript, Pillow would leave the decoding to a program.
        with Image.open(io.BytesIO(data), formats=("PNG", "GIF")) as image:
            kind, (width, height) = str(image.format).lower(), image.size
            image.load()
            if kind == "png" and (shrink > 1 or len(data) > _LARGE_PNG):
                small = image.convert("L" if image.mode in ("1", "L") else "RGB")
                jpeg = io.BytesIO()
                small.resize((-(-width // shrink), -(-height // shrink))).save(
                    jpeg, "JPEG", quality=85
                )
                if jpeg.tell() < len(data):
                    data, kind = jpeg.getvalue(), "jpeg"
    # Pillow raises a SyntaxError for a PNG with a wrong byte.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return Picture(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", width, height)


def sheets_over_time(runs: Sequence[Run], budget: int) -> SheetsOverTime | None:
    """Embeds every run's sheets: of each the first, the last and frames evenly between, smaller or
    fewer where they need more bytes than the budget.

    Args:
      runs: at least one.
      budget: bytes.

    Returns:
      The sheets; None where none can be shown.
    """
    every = [(run, sheets) for run in runs for sheets in _chosen_first(run)]
    for count, shrink in _FITS:
        kept = [_frames(sheets, count, shrink) for _, sheets in every]
        if sum(_bytes(*frames.values()) for frames in kept) <= budget:
            break
    while kept and sum(_bytes(*frames.values()) for frames in kept) > budget:
        kept.pop()
    shown = [
        SheetOverTime(_title(runs, run, sheets), sheet_caption(run, sheets.name), frames)
        for (run, sheets), frames in zip(every, kept, strict=False)
        if frames
    ]
    if not shown:
        return None
    steps = sorted({step for sheet in shown for step in sheet.frames})
    total, count = sum(len(x.files) for _, x in every), sum(len(x.frames) for x in shown)
    smaller = f", at 1/{shrink} of their size" if shrink > 1 else ""
    note = f"Shown are {count} of {total} sheets{smaller}; samples/ has all of them."
    return SheetsOverTime(shown, steps, note if count < total or smaller else "")


def _chosen_first(run: Run) -> list[Sheets]:
    return sorted(run.sheets, key=lambda sheets: sheets.seed != run.chosen.get("seed"))


def _frames(sheets: Sheets, count: int, shrink: int) -> dict[int, Picture]:
    steps = list(sheets.files)
    # From the end, so that a single frame is the last.
    places = np.linspace(len(steps) - 1, 0, min(count, len(steps))).round().astype(int)
    found = {steps[i]: embed(sheets.files[steps[i]], shrink) for i in sorted(places)}
    return {step: picture for step, picture in found.items() if picture is not None}


def _title(runs: Sequence[Run], run: Run, sheets: Sheets) -> str:
    name = sheets.name.replace("_", " ")
    if not name and run.config.get("latent.codes"):
        name = "code 0"
    seed = "" if sheets.seed is None else f"seed {sheets.seed}"
    if seed and sheets.seed == run.chosen.get("seed"):
        seed += " (chosen)"
    return ", ".join(filter(None, [run.name * (len(runs) > 1), name, seed]))


def sheet_caption(run: Run, sheet: str) -> str:
    """Says how a sheet is laid out; "" where that is not known.

    Args:
      run: whose sheet it is.
      sheet: its name: "", "code_1", …
    """
    if sheet and not sheet.startswith("code_"):
        return ""
    try:
        codes = parse_codes(str(run.config.get("latent.codes", "")))
    except UserError:  # Another version wrote them in another way.
        codes = ()
    if codes:
        index = sheet.removeprefix("code_") or "0"
        if not index.isdecimal() or int(index) >= len(codes):
            return ""
        if codes[int(index)].categorical:
            return "A row for each value of the code, a column for each noise."
        return "Along each row the code goes from -2 to 2 and the rest of the latent is fixed."
    if tuple(run.about.get("dataset", {}).get("image_shape", ()))[:2] == (1, 1):
        return "Generated points on a square from -3 to 3."
    return {
        "label": "A row for each label, a column for each noise.",
        "known_part": "A row for each of ten images: its known part, eight completions, and"
        " the image itself.",
    }.get(str(run.config.get("condition.kind")), "The same noise at every step.")


def single_pictures(
    runs: Sequence[Run], budget: int, notices: list[str]
) -> list[tuple[str, str, Picture]]:
    """Embeds the other pictures of every run: at most 900 kB each, smaller where that is needed.

    Args:
      runs: at least one.
      budget: bytes for all of them.
      notices: takes a sentence for each picture that is too large or unreadable.

    Returns:
      For each picture its name, its caption ("" where it is not known) and itself.
    """
    found: list[tuple[str, str, Picture]] = []
    order = [*_CAPTIONS, ""]
    every = [(order.index(_kind(path)), run, path) for run in runs for path in run.pictures]
    for place, run, path in sorted(every, key=lambda item: item[0]):
        if os.path.basename(path).startswith("curves"):
            continue
        name = os.path.join(run.name * (len(runs) > 1), os.path.basename(path))
        most = min(_PICTURE, budget)
        tried = (embed(path, shrink) for shrink in (1, 2, 4))
        picture = next((one for one in tried if one is None or _bytes(one) <= most), None)
        if picture is None:
            notices.append(f"{name} is too large for this report or cannot be read.")
        else:
            budget -= _bytes(picture)
            found.append((name, _CAPTIONS.get(order[place], ""), picture))
    return found


def _bytes(*pictures: Picture) -> int:
    """The bytes of pictures in the page."""
    return sum(len(picture.uri) + _ELEMENT for picture in pictures)


def _kind(path: str) -> str:
    return next((x for x in _CAPTIONS if os.path.basename(path).startswith(x)), "")
