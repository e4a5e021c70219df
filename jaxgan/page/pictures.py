"""Pictures inside the page, within a number of bytes: thinned out, then re-encoded, then made
smaller, and it says so."""

import base64
import io
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.page.markup import tag
from jaxgan.reporting.sheet_paths import Sheets

# How sheets are kept: the first way in which at least so many of each fit, or all there are.
ENOUGH = 12
# What an element takes besides its picture.
_ELEMENT = 400


class Form(NamedTuple):
    """How a picture is kept: its sides divided by `shrink`, as the file has it or as a JPEG."""

    shrink: int
    jpeg: bool

    def __str__(self) -> str:
        smaller = f", 1/{self.shrink} as wide" if self.shrink > 1 else ""
        return f"as JPEG{smaller}" if self.jpeg else "as they are"


FORMS = (Form(1, False), Form(1, True), Form(2, True), Form(4, True))


class Picture(NamedTuple):
    """A picture as a data URI, and its sides in pixels as they were in its file."""

    uri: str
    width: int
    height: int

    def image(self, alt: str) -> str:
        return tag("img", src=self.uri, width=self.width, height=self.height, alt=alt)

    def size(self) -> int:
        return len(self.uri) + _ELEMENT


def picture(path: str, form: Form = FORMS[0], largest: float = math.inf) -> Picture | None:
    """The file's picture in that form; None where it is no picture, cannot be read, or has more
    than `largest` bytes."""
    from PIL import Image

    try:
        if not os.path.isfile(path) or os.path.getsize(path) > largest:
            return None
        with open(path, "rb") as file:
            data = file.read()
        with Image.open(io.BytesIO(data)) as image:
            kind, (width, height) = str(image.format).lower(), image.size
            if form.jpeg:
                sides = max(1, width // form.shrink), max(1, height // form.shrink)
                grey = image.mode in ("1", "L")
                kept, kind = io.BytesIO(), "jpeg"
                image.convert("L" if grey else "RGB").resize(sides).save(kept, "JPEG", quality=85)
                data = kept.getvalue()
    # A SyntaxError is Pillow's word for a PNG with a byte that is wrong.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return Picture(uri, width, height)


class Fitted(NamedTuple):
    """Sheets as they fit: for each that is shown its pictures by step, and what was done to them,
    in words ("" where nothing was)."""

    shown: list[tuple[Sheets, dict[int, Picture]]]
    said: str


def fit(sheets: Sequence[Sheets], room: int) -> Fitted:
    """Brings sheets over time into so many bytes.

    Kept are the first and the last of each, and between them as many as fit, evenly spread; where
    these would be few, all are re-encoded or made smaller; where the last ones alone are too much,
    some sheets are left out.
    """
    most = max((len(one.files) for one in sheets), default=0)
    form, count = FORMS[0], most
    for form in FORMS:
        last = [picture(list(one.files.values())[-1], form) for one in sheets]
        size = sum(one.size() for one in last if one)
        count = min(most, room // max(size, 1))
        if count >= min(most, ENOUGH):
            break
    count = max(count, 1)
    while True:
        shown = [(one, _read(one, count, form)) for one in sheets]
        size = sum(one.size() for _, found in shown for one in found.values())
        if size <= room or count == 1:
            break
        count = max(1, min(count - 1, count * room // size))
    while shown and size > room:
        _, left_out = shown.pop()
        size -= sum(one.size() for one in left_out.values())
    shown = [(one, found) for one, found in shown if found]
    return Fitted(shown, _said(sheets, shown, form))


def _read(sheets: Sheets, count: int, form: Form) -> dict[int, Picture]:
    steps = list(sheets.files)
    # One alone is the last.
    places = np.linspace(len(steps) - 1, 0, min(count, len(steps))).round().astype(int)
    found = {steps[i]: picture(sheets.files[steps[i]], form) for i in sorted(places)}
    return {step: one for step, one in found.items() if one is not None}


def _said(
    sheets: Sequence[Sheets], shown: list[tuple[Sheets, dict[int, Picture]]], form: Form
) -> str:
    there = sum(len(one.files) for one in sheets)
    kept = sum(len(found) for _, found in shown)
    if kept == there and not form.jpeg:
        return ""
    how = f", kept {form}" if form.jpeg else ""
    return f"{kept} of {there} sheets{how}, so that the page stays small; all lie in samples/."


def fit_others(paths: Sequence[str], room: int, each: int) -> tuple[dict[str, Picture], list[str]]:
    """Single pictures within so many bytes together and each: by path, and the paths left out."""
    shown: dict[str, Picture] = {}
    left_out: list[str] = []
    for path in paths:
        most = min(each, room - sum(one.size() for one in shown.values()))
        # What moves cannot be made smaller in a moment.
        forms = FORMS[:1] if path.endswith(".gif") else FORMS
        tried = (picture(path, form, largest=40 * each) for form in forms)
        found = next((one for one in tried if one is not None and one.size() <= most), None)
        if found is None:
            left_out.append(path)
        else:
            shown[path] = found
    return shown, left_out
