"""Files that are written whole or not at all."""

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any, BinaryIO


def write_text(path: str, text: str) -> None:
    """Writes a text file, whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_whole(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file, whole or not at all: under another name, to the disk, and renamed."""
    part = path + ".part"
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # A full disk: what is there of it only takes room.
        with contextlib.suppress(OSError):
            os.remove(part)
        raise
    os.replace(part, path)


def write_json(path: str, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")
