"""What is kept for the next run on the same machine: compiled programs, reference classifiers, word
vectors. Anything in there may be deleted at any time; it is made again."""

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.common.files import write_whole

_SHA256_BYTES = 32


def cache_folder() -> str:
    """$XDG_CACHE_HOME/jaxgan, or ~/.cache/jaxgan; a relative $XDG_CACHE_HOME does not count, as its
    specification has it."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(folder, "jaxgan")


def save_npz(path: str, arrays: dict[str, Any], log: Callable[[str], None]) -> bool:
    """Writes an .npz followed by its own SHA-256, which readers of .npz ignore.

    Returns:
      Whether it was written: a folder that is read-only costs the next run time, not this one its
      result.
    """
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    content = written.getvalue()
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_whole(path, lambda file: file.write(content + hashlib.sha256(content).digest()))
    except OSError as error:
        log(f"{path} cannot be written ({error.strerror}): the next run trains it again")
        return False
    return True


def load_npz(path: str, log: Callable[[str], None]) -> dict[str, Any] | None:
    """The arrays of a file that `save_npz` wrote and that is whole, or None."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        log(f"{path} cannot be read ({error.strerror}): trained anew")
        return None
    content, digest = content[:-_SHA256_BYTES], content[-_SHA256_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        log(f"{path} is damaged: trained anew")
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
