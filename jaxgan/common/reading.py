"""Reads files that may be damaged, or come from someone else: nothing in them is run, and an error
names them."""

import contextlib
import os
import stat
import struct
import tokenize
import warnings
import zlib
from collections.abc import Collection, Iterator
from io import BufferedReader
from pickle import UnpicklingError
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile

import numpy as np

from jaxgan.common.errors import UserError

_DAMAGED: tuple[type[Exception], ...] = (OSError, EOFError, ValueError)
# What NumPy, zipfile, PyTorch and TFDS raise besides. NumPy parses a header as Python's literals,
# and allocates what it claims.
_PARSED: tuple[type[Exception], ...] = (TypeError, AttributeError, LookupError, OverflowError)
_PARSED += (AssertionError, MemoryError, RuntimeError, SyntaxError, SystemError, struct.error)
_PARSED += (tokenize.TokenError, zlib.error, BadZipFile, UnpicklingError)


@contextlib.contextmanager
def reading(named: str, remedy: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns what a damaged file raises into a UserError.

    Args:
      named: how the error names the file, such as "dataset.words=FILE".
      remedy: of the error, one line.
      also: further exceptions that mean a damaged file.
    """
    try:
        yield
    except (*_DAMAGED, *also) as error:
        text = error.strerror if isinstance(error, OSError) else ""
        reason = " ".join((text or str(error)).split())[:150] or type(error).__name__
        raise UserError(f"{named}: cannot be read ({reason})", remedy) from None


@contextlib.contextmanager
def parsing(named: str, remedy: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """As `reading`, for a library that parses the file; hides the library's warnings."""
    with reading(named, remedy, (*_PARSED, *also)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_file(path: str) -> BufferedReader:
    """Opens a regular file; raises ValueError for a pipe, a device or a folder, of which the first
    two may have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    return open(path, "rb")


def read_array(path: str, named: str, remedy: str) -> np.ndarray:
    """Reads an .npy file; the array is mapped, and its numbers are read when they are needed.

    Args:
      path: the file.
      named, remedy: as in `reading`.

    Raises:
      UserError: if the file is missing or damaged, or holds Python objects.
    """
    with parsing(named, remedy):
        with open_file(path) as file:
            _check_beginning(file, (b"\x93NUMPY",), ".npy")
        # Mapping allocates nothing for numbers that the header claims and the file does not have.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def read_arrays(
    path: str, named: str, remedy: str, wanted: Collection[str]
) -> dict[str, np.ndarray]:
    """Reads arrays of an .npz file; those that it does not have are left out.

    Args:
      path: the file.
      named, remedy: as in `reading`.
      wanted: the arrays' names.

    Raises:
      UserError: if the file is missing or damaged, or one of the arrays holds Python objects.
    """
    with parsing(named, remedy), open_file(path) as file:
        _check_beginning(file, (b"PK\x03\x04", b"PK\x05\x06"), ".npz")
        with np.load(file, allow_pickle=False) as npz:
            if any(x.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for x in npz.zip.infolist()):
                raise ValueError("NumPy did not compress it")
            arrays = {name: npz[name] for name in npz.files if name in wanted}
        # Another file than an array in the archive is read as bytes.
        if others := [name for name, x in arrays.items() if not isinstance(x, np.ndarray)]:
            raise ValueError(f"{others[0]} is not an array")
        return arrays


def as_numbers(array: np.ndarray, named: str, remedy: str) -> np.ndarray:
    """The array as float32; UserError unless it holds numbers, all of them finite as float32."""
    if array.dtype.kind not in "fiu":
        raise UserError(f"{named}: {array.dtype} {list(array.shape)}, not numbers", remedy)
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        raise UserError(f"{named}: some numbers are not finite", remedy)
    return numbers


def _check_beginning(file: BufferedReader, beginnings: tuple[bytes, ...], kind: str) -> None:
    # NumPy takes a file of any other beginning for a pickle, and advises to trust it.
    if not file.read(10).startswith(beginnings):
        raise ValueError(f"it is not an {kind} file")
    file.seek(0)
