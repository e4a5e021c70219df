"""Atomic writing of files, free names, and tables of text."""

import contextlib
import itertools
import json
import os
import secrets
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO


def write_text(path: str, text: str) -> None:
    """Writes a text file (UTF-8) atomically; what UTF-8 lacks becomes a question mark."""
    write_whole(path, lambda file: file.write(text.encode(errors="replace")))


def no_follow(path: str, flags: int) -> int:
    """An opener that refuses a link, whose target may lie in somebody else's folder."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def part_of(path: str) -> str:
    """A name beside a file for its content until it is complete, different at each call: processes
    on several hosts may write the same file."""
    return f"{path}.{secrets.token_hex(4)}.part"


def write_whole(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file atomically: to a temporary file, which is synced and renamed.

    Of processes and threads that write the same file at once, the last one wins.

    Raises:
      OSError: naming `path`; the temporary file is removed.
    """
    part = part_of(path)
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


def free_path(folder: str, name: str, ending: str = "") -> str:
    """The first of `name`, `name`_2, … (each with the ending) that is not yet in the folder."""
    suffixes = itertools.chain([""], (f"_{i}" for i in itertools.count(2)))
    paths = (os.path.join(folder, f"{name}{suffix}{ending}") for suffix in suffixes)
    return next(path for path in paths if not os.path.lexists(path))


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
