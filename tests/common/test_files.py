"""Files are written whole or not at all."""

import errno
import json

import pytest

from jaxgan.common.files import free_path, write_json, write_whole


def test_a_file_that_does_not_fit_leaves_the_one_before_and_no_torn_one(tmp_path):
    path = tmp_path / "x.json"
    write_json(str(path), 1)

    def full(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(str(path), full)
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "1\n"


def test_write_json_replaces_whole(tmp_path):
    path = tmp_path / "x.json"
    write_json(str(path), {"a": 1})
    with pytest.raises(TypeError):
        write_json(str(path), {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_the_next_name_is_a_free_one(tmp_path):
    for name in ("sampled.png", "sampled_2.png", "sampled_3.png"):
        path = free_path(str(tmp_path), "sampled", ".png")
        assert path == str(tmp_path / name)
        (tmp_path / name).touch()


def test_the_last_of_two_writers_wins(tmp_path):
    path = tmp_path / "x"

    def meanwhile(file):
        file.write(b"first")
        write_whole(str(path), lambda other: other.write(b"second"))

    write_whole(str(path), meanwhile)
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
