"""Files that are written whole or not at all, and tables of text."""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO


def write_text(path: str, text: str) -> None:
    """Writes a text file, whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_whole(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file, whole or not at all: under a name of its own, to the disk, and renamed.

    Two processes may write the same file at once; one of them comes last. Raises OSError, of a full
    disk for one, with nothing left behind.
    """
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(part)
        error.filename = path  # The one that the user knows.
        raise


def write_json(path: str, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def text_table(rows: Sequence[Sequence[str]], right: bool = False) -> str:
    """Rows of cells as aligned lines of text.

    Args:
      rows: as many cells in each.
      right: whether all cells but the first are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if right and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join(map(line, rows))
