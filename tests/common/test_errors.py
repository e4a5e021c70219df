"""Which errors of files are mistakes of the user."""

import errno
import pickle

import pytest

from jaxgan.common.errors import DISK_FULL, UserError, file_errors, printable


def test_an_error_of_a_file_names_it_and_the_remedy(tmp_path):
    (tmp_path / "file").touch()
    said = r"below: Not a directory\ngive another"
    with pytest.raises(UserError, match=said), file_errors("the folder", "give another"):
        (tmp_path / "file" / "below").write_text("")
    with pytest.raises(UserError, match="the folder: no name"), file_errors("the folder"):
        raise OSError("no name")


@pytest.mark.parametrize("number", DISK_FULL)
def test_a_full_disk_is_no_mistake(number):
    with pytest.raises(OSError, match="is full") as caught, file_errors("a file"):
        raise OSError(number, "is full")
    assert caught.value.errno == number
    assert errno.EACCES not in DISK_FULL


def test_an_error_is_two_lines_of_what_a_terminal_shows():
    error = UserError("a\x1b[31m\nb caf\udce9 é±", "remedy\r")
    assert str(error) == "a\\x1b[31m\\nb caf\\xe9 é±\nremedy\\r"
    assert printable("an image (1).png") == "an image (1).png"
    # As a worker process sends it.
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
