"""What a run writes is read again, or one line says what is wrong with it, whatever was edited.

JAXGAN_EDITS is the number of edits of each file; by default it is 30, and of these every tenth is
drawn, which takes longest.
"""

import json
import os
import random
import shutil

import pytest
from conftest import tiny_config, untrained

from jaxgan import evaluate
from jaxgan.common.errors import UserError
from jaxgan.inference import loading
from jaxgan.reporting.figures import curves
from jaxgan.reporting.html import report
from jaxgan.reporting.html.run_data import read_run
from jaxgan.reporting.summary import describe_finished
from jaxgan.reporting.writers import MetricsFile
from jaxgan.train import train
from jaxgan.training import run_files, run_folder

EDITS = int(os.environ.get("JAXGAN_EDITS", "30"))
VALUES = [None, True, -1, 0, 2**31, 10**400, 1.5, -0.0, float("nan"), float("inf"), "", "é\x1b[31m"]
VALUES += ["9" * 5_000, [], [[]], [None], {}, {"seed": 0}, {"": []}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two seeds with rows, sheets and results."""
    folder = tmp_path_factory.mktemp("edited") / "run"
    config = tiny_config(seeds=2, steps=4, log_every=1, tensorboard=False, best_by="none")
    with untrained():
        assert train(config, str(folder)) == 0
    return config, folder


def places(value, path=()):
    """The path of everything in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def with_value(text, choose):
    """The text with one value of its JSON replaced, or removed."""
    value = json.loads(text)
    *path, last = choose.choice([place for place in places(value) if place])
    group = value
    for key in path:
        group = group[key]
    if choose.random() < 0.2:
        del group[last]
    else:
        group[last] = choose.choice(VALUES)
    return json.dumps(value)


def edited(content, choose):
    """The bytes of a file after one of the edits that disks, editors and people make."""
    kind = choose.randrange(9)
    at, lines = choose.randrange(len(content)), content.split(b"\n")
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + bytes([choose.randrange(256)]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + choose.randbytes(choose.randrange(1, 9)) + content[at:]
    if kind == 3:
        return content[:at] + content[at + choose.randrange(1, 99) :]
    if kind == 4:
        return choose.choice([b"", b"\n", b"null", b"[]", b"{}", b'"x"', b"1", b"\0" * 99])
    if kind == 5:
        return choose.choice([b"\xef\xbb\xbf", b"\xff\xfe"]) + content
    if kind == 6:
        depth = choose.choice([100, 100_000])
        return b"[" * depth + content + b"]" * depth
    if (len(lines) > 1 and content[-2:] != b"}\n") or not content.startswith(b'{"step"'):
        return with_value(content, choose).encode()
    row = choose.randrange(len(lines) - 1)  # Of metrics.jsonl a line is edited.
    lines[row] = with_value(lines[row], choose).encode()
    return b"\n".join(lines)


def finished(config, workdir):
    if run_files.read_info(workdir) and run_files.read_results(workdir):
        describe_finished(config, workdir)


DRAWING = ("the report", "curves")
READERS = {
    "loading": lambda config, workdir: loading.read_about(workdir),
    "the report": lambda config, workdir: report.render([read_run(workdir)]),
    "continuing": run_folder.inspect,
    "the table": finished,
    "choosing": lambda config, workdir: run_folder.chosen_seed(workdir, 4),
    "measuring": lambda config, workdir: evaluate._results(
        workdir, {"config": {"steps": 4}}, 4
    ),
    "rows": lambda config, workdir: MetricsFile(
        os.path.join(workdir, run_files.METRICS), 3, {0: 0, 1: 0}
    ).close(),
    "curves": lambda config, workdir: curves(
        run_files.read_metrics(os.path.join(workdir, run_files.METRICS)).rows, config.loss
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [run_files.CONFIG, run_files.RESULTS, run_files.METRICS])
def test_an_edited_file_is_read_or_named(run, tmp_path, name, capsys):
    config, whole = run
    content = (whole / name).read_bytes()
    for seed in range(EDITS):
        choose = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(edited(content, choose))
        for reader, read in READERS.items():
            if reader in DRAWING and seed % 10 and "JAXGAN_EDITS" not in os.environ:
                continue
            print(f"edit {seed}, {reader}")  # Shown if another error ends the test.
            try:
                read(config, str(folder))
            except UserError as error:
                assert len(str(error).splitlines()) <= 2, (seed, reader)
        shutil.rmtree(folder)
    capsys.readouterr()


@pytest.mark.parametrize("name", [run_files.CONFIG, run_files.RESULTS])
def test_a_folder_a_pipe_or_a_loop_in_its_place_is_named(run, tmp_path, name):
    _, whole = run
    for make in (os.mkdir, os.mkfifo, lambda path: os.symlink(path, path)):
        folder = tmp_path / make.__name__.strip("<>")
        shutil.copytree(whole, folder)
        (folder / name).unlink()
        make(folder / name)
        read = run_files.read_info if name == run_files.CONFIG else run_files.read_results
        with pytest.raises(UserError, match=name):
            read(str(folder))


def test_text_that_is_not_unicode_is_damage(tmp_path):
    assert run_files.read_row(rb'{"\ud800": 1, "step": 1, "seed": 0}') is None
    (tmp_path / run_files.RESULTS).write_text(r'{"step": 1, "measures": [], "\ud800": 1}')
    with pytest.raises(run_files.DamagedFile, match="is damaged"):
        run_files.read_results(str(tmp_path))


def test_the_field_at_fault_is_named(run, tmp_path):
    _, whole = run
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run" / run_files.RESULTS
    results = json.loads(path.read_text())
    results["measures"][1]["value"] = "high"
    path.write_text(json.dumps(results))
    with pytest.raises(UserError, match=r"results\.json .*Expected `float`.*measures\[1\]\.value"):
        run_files.read_results(str(tmp_path / "run"))


def test_results_that_cannot_be_read_cost_nothing(run, tmp_path, capsys):
    """The same command measures again; what was there is kept beside it."""
    config, whole = run
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = json.loads((folder / run_files.RESULTS).read_text())
    (folder / run_files.RESULTS).write_text('{"step": 4, "mea')
    with untrained():
        assert train(config, str(folder)) == 0
    assert "kept as results.json.damaged" in capsys.readouterr().err
    assert (folder / "results.json.damaged").read_text() == '{"step": 4, "mea'
    assert json.loads((folder / run_files.RESULTS).read_text()) == before


def test_a_damaged_row_costs_no_other_row(run, tmp_path):
    _, whole = run
    lines = (whole / run_files.METRICS).read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    path = tmp_path / run_files.METRICS
    damaged = lines[2][:9] + b"\xff" + lines[2][10:]
    path.write_bytes(b"".join([*lines[:2], damaged, *lines[3:7], lines[7][:20]]))
    MetricsFile(str(path), 4).close()
    assert path.read_bytes() == b"".join([*lines[:2], damaged, *lines[3:7]])
    MetricsFile(str(path), 2).close()
    assert path.read_bytes() == b"".join([*lines[:2], damaged, lines[3]])
    assert run_files.read_metrics(str(path)).damaged == 1


def test_a_link_in_the_folder_changes_no_file_elsewhere(run, tmp_path):
    _, whole = run
    folder, elsewhere = tmp_path / "run", tmp_path / "precious"
    shutil.copytree(whole, folder)
    elsewhere.write_text("precious")
    for name in (run_folder.LOCK, run_files.METRICS):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match="cannot be written"):
        run_folder.keep_out(str(folder))
    with pytest.raises(OSError, match="symbolic links"):
        MetricsFile(str(folder / run_files.METRICS), 4)
    assert elsewhere.read_text() == "precious"
