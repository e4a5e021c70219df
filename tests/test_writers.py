import contextlib
import errno
import json
import os
import types

import numpy as np
import pytest
from PIL import Image

from jaxgan.common.files import write_json, write_whole
from jaxgan.common.progress import Progress
from jaxgan.reporting.figures import curves
from jaxgan.reporting.images import cut, grid, read_png, save_png, strip
from jaxgan.reporting.sample_sheets import Sheet, even_steps, over_time
from jaxgan.reporting.writers import MetricsFile, TensorBoard, read_metrics


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_a_full_disk_is_told_by_the_rows_and_by_tensorboard(tmp_path):
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


def some_images(*shape):
    return np.random.default_rng(0).integers(100, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_read_back_and_cut_into_its_images(tmp_path, channels):
    images = some_images(6, 5, 4, channels)
    save_png(str(tmp_path / "sheet.png"), grid(images, 3))
    read = cut(read_png(str(tmp_path / "sheet.png")), 5, 4)
    np.testing.assert_array_equal(read.reshape(images.shape), images)


def test_a_strip_has_a_labelled_row_of_enlarged_images():
    rows = some_images(2, 3, 12, 12, 3)
    picture = strip(list(rows), ["step 0", "step 10"])
    height, right = 2 * 26 + 2, 3 * 26 + 2
    assert picture.shape[::2] == (height, 3)
    sheet, margin = picture[:, -right:], picture[:, :-right]
    np.testing.assert_array_equal(cut(sheet, 24, 24)[:, :, ::2, ::2], rows)
    said = [(part > 150).sum() for part in (margin[:26], margin[26:])]
    assert 0 < said[0] < said[1]


def test_steps_are_spread_over_those_that_are_there():
    assert even_steps(range(0, 101, 10), 3) == [0, 50, 100]
    assert even_steps([4, 1, 9], 10) == [1, 4, 9]
    assert even_steps([0, 10, 20, 90, 100], 4) == [0, 20, 90, 100]
    assert even_steps([7]) == [7]


def test_a_sheet_over_time_takes_its_columns_in_turn():
    """Rows are labels or codes: each comes once before any comes twice. The pictures that stand
    before and after a row are left out."""
    gan = types.SimpleNamespace(image_shape=(24, 24, 1))
    images = some_images(2, 20, 24, 24, 1)
    pictures = {0: grid(images[0], 5), 30: grid(images[1], 5)}
    sheet = over_time(gan, Sheet("", None, 5), pictures)[:, -(20 * 26 + 2) :]
    shown = images.reshape(2, 4, 5, 24, 24, 1).swapaxes(1, 2)
    np.testing.assert_array_equal(cut(sheet, 24, 24), shown.reshape(images.shape))
    known = over_time(gan, Sheet("", None, 3, images[0], images[0]), pictures)
    inner = cut(known[:, -(12 * 26 + 2) :], 24, 24)
    np.testing.assert_array_equal(inner, shown[:, 1:-1].reshape(2, 12, 24, 24, 1))


def test_curves_are_drawn_for_every_loss():
    names = ("discriminator", "discriminator_real", "discriminator_fake", "generator")
    names += ("information", *(f"code_{i}" for i in range(5)))
    rows = [
        {"step": step, "seed": seed} | {f"loss/{name}": i + step for i, name in enumerate(names)}
        for step in range(0, 120, 10)
        for seed in (0, 1)
    ]
    picture = curves(rows, "minimax")
    assert picture.dtype == np.uint8
    assert np.median(picture) == 255
    # A green line where the discriminator's loss on real images is, and none without it.
    green = [0x00, 0x9E, 0x73]
    assert (picture == green).all(-1).sum() > 100
    codes = ("code", "information")
    short = [{k: v for k, v in row.items() if not any(x in k for x in codes)} for row in rows]
    assert len(curves(short, "hinge")) < len(picture)
    assert not np.array_equal(curves(rows[:-2], "minimax"), picture)
