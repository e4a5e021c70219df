import json

import numpy as np
import pytest
from PIL import Image

from jaxgan.images import grid, save_png
from jaxgan.writers import MetricsFile, Progress, TensorBoard, read_rows, write_json


def test_rows_after_the_step_and_a_torn_line_are_cut(tmp_path):
    path = str(tmp_path / "metrics.jsonl")
    rows = MetricsFile(path, after=0)
    for step in (10, 20, 30):
        rows.write({"step": step, "seed": 0})
    rows.close()
    with open(path, "a") as file:
        file.write('{"step": 40, "se')
    MetricsFile(path, after=30).close()
    assert [row["step"] for row in read_rows(path)] == [10, 20, 30]
    rows = MetricsFile(path, after=20)
    rows.write({"step": 30, "seed": 1})
    rows.sync()
    rows.close()
    assert read_rows(path)[-1] == {"step": 30, "seed": 1}
    assert len(read_rows(path)) == 3


def test_a_torn_line_with_a_newline_is_cut_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "seed": 0}\n{"step": 2, "s\n')
    MetricsFile(str(path), after=9).close()
    assert [row["step"] for row in read_rows(str(path))] == [1]


def test_write_json_replaces_whole(tmp_path):
    path = tmp_path / "x.json"
    write_json(str(path), {"a": 1})
    with pytest.raises(TypeError):
        write_json(str(path), {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_plain_lines_where_there_is_no_terminal(capsys):
    progress = Progress(100, 0)
    progress.show(10, "first")
    progress.show(11, "too soon")
    progress.show(100, "last", force=True)
    progress.say("a word")
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["first", "last", "a word"]
    assert lines[0].startswith("step 10/100")


def test_tensorboard_files_can_be_read_back(tmp_path):
    board = TensorBoard(str(tmp_path), 0, (0,))
    board.row({"step": 5, "seed": 0, "loss/generator": 1.5})
    board.image("samples", 5, 0, np.zeros((4, 4, 1), np.uint8))
    board.close()
    (events,) = tmp_path.iterdir()
    content = events.read_bytes()
    assert b"loss/generator" in content
    assert b"samples" in content


def test_a_grid_puts_every_image_in_its_place(tmp_path):
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(3, 1).repeat(2, 2) + 100
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (2 * 4 + 1, 3 * 3 + 1, 1)
    assert sheet[1, 1, 0] == 100
    assert sheet[1, 7, 0] == 102
    assert sheet[5, 4, 0] == 104
    assert sheet[5, 7, 0] == 40
    save_png(str(tmp_path / "a" / "sheet.png"), sheet)
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "a" / "sheet.png")), sheet[..., 0]
    )
