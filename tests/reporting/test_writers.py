"""Rows and event files."""

import contextlib
import errno
import json
import os

import numpy as np
import pytest

from jaxgan.reporting.writers import MetricsFile, TensorBoard
from jaxgan.training.run_files import read_metrics


def test_rows_after_the_step_and_a_torn_line_are_cut(tmp_path):
    path = str(tmp_path / "metrics.jsonl")
    rows = MetricsFile(path, after=0)
    for step in (10, 20, 30):
        rows.write({"step": step, "seed": 0})
    rows.close()
    with open(path, "a") as file:
        file.write('{"step": 40, "se')
    MetricsFile(path, after=30).close()
    assert [row["step"] for row in read_metrics(path).rows] == [10, 20, 30]
    rows = MetricsFile(path, after=20)
    rows.write({"step": 30, "seed": 1})
    rows.sync()
    rows.close()
    assert read_metrics(path).rows[-1] == {"step": 30, "seed": 1}
    assert len(read_metrics(path).rows) == 3


def test_a_torn_line_with_a_newline_is_cut_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "seed": 0}\n{"step": 2, "s\n')
    MetricsFile(str(path), after=9).close()
    assert [row["step"] for row in read_metrics(str(path)).rows] == [1]


def test_rows_of_later_rollbacks_are_cut(tmp_path):
    """Of a rollback that the restored checkpoint knows nothing of: it will happen again."""
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": 10, "seed": 0}, {"step": 10, "seed": 0, "attempt": 1, "rolled_back": "loss"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"step": 20, "seed": 0}]))
    MetricsFile(str(path), 20, {0: 1}).close()
    assert [row["step"] for row in read_metrics(str(path)).rows] == [10, 20]
    assert read_metrics(str(path)).rollbacks == rows[1:]
    MetricsFile(str(path), 10, {0: 0}).close()
    assert read_metrics(str(path)).rows == rows[:1]
    assert read_metrics(str(path)).rollbacks == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_a_full_disk_raises_in_rows_and_tensorboard(tmp_path):
    """By the call itself, not in a thread that leaves the run waiting."""
    rows = MetricsFile.__new__(MetricsFile)
    rows._file = open("/dev/full", "a")
    board = TensorBoard(str(tmp_path), 0, (0,))
    board._file._py_recordio_writer.close()
    board._file._py_recordio_writer._writer = open("/dev/full", "wb")
    board.row({"step": 1, "seed": 0, "loss/generator": 1.5})
    for call in (lambda: rows.write({"step": 1}), rows.close, board.flush, board.close):
        with pytest.raises(OSError, match="No space") as caught:
            call()
        assert caught.value.errno == errno.ENOSPC
    with contextlib.suppress(OSError):  # tensorboardX leaves it open.
        board._file._py_recordio_writer.close()


def test_tensorboard_files_can_be_read_back(tmp_path):
    board = TensorBoard(str(tmp_path), 0, (0,))
    board.row({"step": 5, "seed": 0, "loss/generator": 1.5})
    board.image("samples", 5, 0, np.zeros((4, 4, 1), np.uint8))
    board.close()
    (events,) = tmp_path.iterdir()
    content = events.read_bytes()
    assert b"loss/generator" in content
    assert b"samples" in content
