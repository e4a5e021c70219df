"""The font in which a text is drawn into a picture: names of labels and tags are in any script."""

import functools
import os
from typing import Any

from jaxgan.common.errors import printable


def lettered(text: str) -> tuple[str, Any]:
    """A text as it can be drawn, and the Pillow font that draws it.

    Pillow's own font, in which the sheets are set, has the letters of English alone. A text with
    others is drawn in DejaVu Sans, which matplotlib brings and which has the letters of most
    scripts, but no Chinese, Japanese or Korean. Letters that it lacks are escaped, since a font
    draws all of them as the same empty box. All run from left to right, Hebrew and Arabic too.
    """
    text, plain, wide = printable(text), _plain(), _wide()
    if not any(_lacks(plain, letter) for letter in text):
        return text, plain
    escaped = (x.encode("unicode_escape").decode() if _lacks(wide, x) else x for x in text)
    return "".join(escaped), wide


@functools.cache
def _plain() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(12)


@functools.cache
def _wide() -> Any:
    import matplotlib
    from PIL import ImageFont

    # A point smaller: its letters are wider.
    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    # Pillow's other engine, where it is there, runs some scripts from right to left.
    return ImageFont.truetype(path, 11, layout_engine=ImageFont.Layout.BASIC)


def _lacks(font: Any, letter: str) -> bool:
    """Whether the font draws the letter as it draws U+10FFFF, which is no letter."""
    drawn, missing = font.getmask(letter), font.getmask("\U0010ffff")
    return drawn.size == missing.size and bytes(drawn) == bytes(missing)
