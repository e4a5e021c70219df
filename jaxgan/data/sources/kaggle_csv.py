"""Tables of images as Kaggle has them, such as that of its digit-recognizer: each row is a label
followed by an image's pixels."""

import csv
import gzip
import math
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.pixels import resize
from jaxgan.data.sources.idx import label_names

# UTF-8's byte order mark, which Windows programs write, read as Latin-1.
_MARK = "\ufeff".encode().decode("latin-1")


def load(path: str, size: int, validation: int = -1) -> Dataset:
    """Reads train.csv, plain or .gz: a header, then integers from 0 to 255.

    The header is label,pixel0,pixel1,…; Fashion-MNIST's begins with pixel1, and that of "MNIST in
    CSV" names rows and columns, label,1x1,1x2,….

    Images are square and greyscale; the number of pixel columns (Kaggle's: 784) gives their side.
    The test split is empty.

    Args:
      path: the file, or the folder that holds train.csv or train.csv.gz.
      size: images are resized to size x size x 1.
      validation: number of rows held out at the end; -1 is a tenth.

    Raises:
      UserError: naming the file, and the line and column of a mistake.
    """
    if os.path.isdir(path):
        path = os.path.join(path, "train.csv")
        path = path if os.path.exists(path) else f"{path}.gz"
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file", "set dataset.data_dir to train.csv or its folder")
    table = _read(path)
    side = math.isqrt(table.shape[1] - 1)
    images = table[:, 1:].astype(np.uint8).reshape(-1, side, side, 1)
    whole = Split(resize(images, size), table[:, 0].astype(np.int32))
    count = len(whole) // 10 if validation < 0 else validation
    train, held_out = whole.hold_out(count, "csv", shuffled=None)
    return Dataset("csv", train, held_out, whole.first(0), label_names(whole))


def _read(path: str) -> np.ndarray:
    """Reads the table without its header, int16 [N, 1 + pixels]."""
    try:
        with _open(path) as file:
            columns = _check_header(path, file.readline())
            # Kaggle's 33 million numbers take NumPy's reader a fiftieth of the time of Python's,
            # but it does not say where a mistake is.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*input contained no data", UserWarning)
                table = np.loadtxt(
                    file, np.int16, comments=None, delimiter=",", ndmin=2, quotechar='"'
                )
    except ValueError as error:
        raise _first_mistake(path, str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})", "fetch it again") from None
    if not len(table):
        raise UserError(f"{path}: no rows after the header")
    if table.shape[1] != columns or table.min() < 0 or table.max() > 255:
        raise _first_mistake(path, "a value out of 0..255")
    return table


def _open(path: str) -> IO[str]:
    # Each byte becomes one character: np.loadtxt (2.4) crashes at characters of high code points.
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="latin-1")
    return open(path, encoding="latin-1")


def _check_header(path: str, line: str) -> int:
    """Checks the header line; returns the number of columns."""
    if not line:
        raise UserError(f"{path}: the file is empty", "Kaggle's train.csv begins with a header")
    try:
        names = next(csv.reader([line.removeprefix(_MARK)]), [])
    except csv.Error as error:
        raise UserError(f"{path}, line 1: {error}") from None
    pixels = len(names) - 1
    side = math.isqrt(max(pixels, 0))
    forms = {
        "pixel1": [f"pixel{i + 1}" for i in range(pixels)],
        "1x1": [f"{row + 1}x{column + 1}" for row in range(side) for column in range(side)],
    }
    first = names[1].strip() if pixels > 0 else ""
    expected = ["label", *forms.get(first, [f"pixel{i}" for i in range(pixels)])]
    for i, (name, correct) in enumerate(zip(names, expected, strict=False), 1):
        if name.strip() != correct:
            raise UserError(
                f"{path}, line 1, column {i}: '{_printable(name)}', where '{correct}' should be",
                "the header is label,pixel0,pixel1,…",
            )
    if pixels < 1 or math.isqrt(pixels) ** 2 != pixels:
        raise UserError(
            f"{path}, line 1: {max(pixels, 0)} pixel columns are not a square image",
            "Kaggle's train.csv has 784, for 28 x 28",
        )
    return len(names)


def _first_mistake(path: str, otherwise: str) -> UserError:
    """Finds the line and column of the first mistake; slow, so only for the message."""
    with _open(path) as file:
        lines = csv.reader(file)
        names = [name.removeprefix(_MARK) for name in next(lines)]
        for values in filter(None, _until_error(lines)):
            number = lines.line_num
            if len(values) != len(names):
                return UserError(
                    f"{path}, line {number}: {len(values)} columns, where the header has"
                    f" {len(names)}"
                )
            for name, text in zip(names, values, strict=True):
                if mistake := _mistake(text):
                    return UserError(f"{path}, line {number}, column {name}: {mistake}")
    return UserError(f"{path}: {otherwise}")


def _until_error(lines: Any) -> Iterator[list[str]]:
    """The rows up to the first that the csv module cannot parse, such as one with an open quote;
    then a row of no columns that counts as a mistake."""
    try:
        yield from lines
    except csv.Error:
        yield [""]


def _mistake(text: str) -> str:
    """Says why a field is not an integer from 0 to 255; "" if it is."""
    shown = f"'{_printable(text)}'"
    if re.fullmatch(r"\s*[+-]?[0-9]+\s*", text):
        # int() rejects numbers of thousands of digits.
        return "" if len(text) < 100 and 0 <= int(text) <= 255 else f"{shown} is not from 0 to 255"
    try:
        float(text)
    except ValueError:
        return f"{shown} is not a number"
    return f"{shown} is not a whole number"


def _printable(text: str) -> str:
    text = text.encode("latin-1").decode(errors="replace")
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 20 else f"{text[:20]}…"
