"""Reading files that may be damaged, or anyone's."""

import os

import numpy as np
import pytest

from jaxgan.common.errors import UserError
from jaxgan.common.reading import as_numbers, open_file, read_array, read_arrays, reading

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_an_error_names_the_file_the_reason_and_the_remedy(tmp_path):
    said = r"the file: cannot be read \(No such file or directory\)\nfind it"
    with pytest.raises(UserError, match=said), reading("the file", "find it"):
        open_file(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"cannot be read \(a b\)"), reading("the file", ""):
        raise ValueError("a\n  b")
    # A mistake of the program's is none of the file's.
    with pytest.raises(TypeError), reading("the file", ""):
        raise TypeError("no file's mistake")


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            open_file(str(path))


def test_an_array_is_mapped(tmp_path):
    path = str(tmp_path / "array.npy")
    np.save(path, NUMBERS)
    found = read_array(path, "it", "")
    np.testing.assert_array_equal(found, NUMBERS)
    assert not found.flags.owndata
    np.save(path, np.array([None]))
    with pytest.raises(UserError, match=r"it: cannot be read .*Python objects"):
        read_array(path, "it", "")


def test_only_wanted_arrays_are_read(tmp_path):
    path = str(tmp_path / "arrays.npz")
    np.savez(path, a=NUMBERS, b=np.array([None]))
    found = read_arrays(path, "it", "", ("a", "c"))
    assert list(found) == ["a"]
    np.testing.assert_array_equal(found["a"], NUMBERS)
    with pytest.raises(UserError, match="it: cannot be read"):
        read_arrays(path, "it", "", ("b",))


def test_numbers_are_finite_as_float32():
    assert as_numbers(NUMBERS, "it", "") is NUMBERS
    assert as_numbers(NUMBERS.astype(int), "it", "").dtype == np.float32
    for wrong in (np.full(2, np.nan), np.full(2, 1e300)):
        with pytest.raises(UserError, match="it: some numbers are not finite"):
            as_numbers(wrong, "it", "")
    for wrong in (NUMBERS.astype(str), NUMBERS > 0, NUMBERS * 1j):
        with pytest.raises(UserError, match=r"it: .* \[2, 3\], not numbers"):
            as_numbers(wrong, "it", "")
