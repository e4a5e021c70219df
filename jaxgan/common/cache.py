"""The cache that runs on one machine share: compiled programs, reference classifiers, word vectors.

Any of its files may be deleted at any time: the next run makes it again.
"""

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.common.files import write_whole

_SHA256_BYTES = 32


def cache_folder() -> str:
    """$XDG_CACHE_HOME/jaxgan, or ~/.cache/jaxgan (the XDG specification ignores relative paths)."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(folder, "jaxgan")


def cached(
    name: str, compute: Callable[[], dict[str, Any]], log: Callable[[str], None]
) -> dict[str, Any]:
    """The arrays of the cache's file `name`.npz, or else those of `compute()`, then saved there."""
    path = os.path.join(cache_folder(), f"{name}.npz")
    arrays = _load_npz(path, log)
    if arrays is None:
        arrays = compute()
        _save_npz(path, arrays, log)
    return arrays


def _save_npz(path: str, arrays: dict[str, Any], log: Callable[[str], None]) -> None:
    """Writes an .npz file followed by its own SHA-256, which readers of .npz ignore.

    A failure only costs the next run time: it is logged, not raised.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_whole(path, lambda file: file.write(content + hashlib.sha256(content).digest()))
    except OSError as error:
        log(f"{path} cannot be written ({error.strerror}): the next run computes it again")


def _load_npz(path: str, log: Callable[[str], None]) -> dict[str, Any] | None:
    """Reads a file of `_save_npz`; None if it is missing, unreadable or damaged (logged)."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        log(f"{path} cannot be read ({error.strerror}): computed anew")
        return None
    content, digest = content[:-_SHA256_BYTES], content[-_SHA256_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        log(f"{path} is damaged: computed anew")
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
