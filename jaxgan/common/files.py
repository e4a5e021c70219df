"""Atomic writing of files, and tables of text."""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO


def write_text(path: str, text: str) -> None:
    """Writes a text file (UTF-8) atomically."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_whole(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file atomically: to a temporary file, which is synced and renamed.

    Of processes that write the same file at once, the last one wins.

    Raises:
      OSError: naming `path`; the temporary file is removed.
    """
    part = f"{path}.{os.getpid()}.part"
    with contextlib.suppress(FileNotFoundError):
        os.remove(part)
    try:
        with open(part, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(part)
        error.filename = path
        raise


def write_json(path: str, value: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def text_table(rows: Sequence[Sequence[str]], right: bool = False) -> str:
    """Formats rows of cells as aligned lines of text.

    Args:
      rows: each with the same number of cells.
      right: whether all columns but the first are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if right and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, rows))
