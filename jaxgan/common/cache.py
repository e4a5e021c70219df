"""What is kept for the next run on the same machine: compiled programs, reference classifiers, word
vectors. Anything in there may be deleted at any time; it is made again."""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

_SHA256_BYTES = 32


def cache_folder() -> str:
    """$XDG_CACHE_HOME/jaxgan, or ~/.cache/jaxgan; a relative $XDG_CACHE_HOME does not count, as its
    specification has it."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(folder, "jaxgan")


def save_npz(path: str, arrays: dict[str, Any], say: Callable[[str], None]) -> bool:
    """Writes an .npz with its own SHA-256 behind it, which readers of .npz look past; whole or not
    at all. A folder that cannot be written costs the making next time, not this run."""
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    content = written.getvalue()
    folder = os.path.dirname(path)
    part = ""
    try:
        os.makedirs(folder, exist_ok=True)
        # A name of its own, for two runs may finish at once.
        descriptor, part = tempfile.mkstemp(dir=folder, suffix=".part")
        with open(descriptor, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
        os.replace(part, path)
    except OSError as error:
        if os.path.exists(part):
            os.remove(part)
        say(f"{path} cannot be written ({error.strerror}): the next run trains it again")
        return False
    return True


def load_npz(path: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The arrays of a file that `keep` wrote and that is whole, or None."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        say(f"{path} cannot be read ({error.strerror}): trained anew")
        return None
    content, digest = content[:-_SHA256_BYTES], content[-_SHA256_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        say(f"{path} is damaged: trained anew")
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
