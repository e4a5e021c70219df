"""The command: a user's mistakes, a killed run, a finished run. Real processes."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest
from conftest import ROOT, command_environment, load_config, run_main

from jaxgan import cli
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.reporting.writers import read_metrics
from jaxgan.train import train

CONFIG = f"--config={ROOT}/configs/infogan.py"
VALUES = {
    "width": 0.05,
    "batch_size": 16,
    "steps": 40,
    "log_every": 5,
    "sample_every": 20,
    "eval_every": 15,
    "checkpoint_every": 10,
    "results_images": 64,
    "eval_images": 64,
    "tensorboard": False,
}
TINY = [f"--config.{name}={value}" for name, value in VALUES.items()]


def train_here(folder, dataset=None, **more):
    """The same without a process of its own, where its bits do not matter: it has other devices."""
    return train(update(load_config("infogan"), VALUES | more), str(folder), dataset)


def by_hand(coordinator, processes, process):
    return [f"--coordinator={coordinator}", f"--processes={processes}", f"--process={process}"]


def snapshot(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config=configs/none.py"], "no file configs/none.py"),
        ([f"{CONFIG}:nonsense"], "unknown word 'nonsense'"),
        ([CONFIG, "--config.sed=3"], "unknown key sed"),
        ([CONFIG, "--config.datset.name=mnist"], "unknown key datset.name"),
        ([CONFIG, "--config.steps.x=3"], "unknown key steps.x"),
        (["--config=full/file"], "full/file has no get_config(arg)"),
        ([f"{CONFIG}:document,paper"], "document and paper exclude one another"),
        ([CONFIG, "--config.dataset.nme=3"], "unknown key dataset.nme"),
        ([CONFIG, "--config.seed=x"], "seed=x: not a whole number"),
        ([CONFIG, "--config.steps=0"], "steps=0: must be at least 1"),
        ([CONFIG, "--wrokdir=x"], "Unknown command line flag 'wrokdir'"),
        ([CONFIG, "stray"], "unknown argument 'stray'"),
        ([], "--config is missing"),
        ([CONFIG, "--config.batch_size=5000"], "larger than digits's 1205 training images"),
        ([CONFIG, "--config.dataset.name=no_such_data"], "no_such_data"),
        ([f"{CONFIG}:mnist", "--config.dataset.data_dir=."], "tfds build mnist"),
        ([CONFIG, "--config.latent.codes=foo"], "latent.codes: 'foo' is not a code"),
        ([CONFIG, "--workdir=full"], "full holds something else than a run"),
        ([CONFIG, "--workdir=full/file"], "full/file is a file"),
        ([CONFIG, "--workdir=full/file/below"], "cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_one_or_two_lines_and_touches_nothing(tmp_path, flags, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious = 1")
    before = snapshot(tmp_path)
    done = run_main(*flags, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("jaxgan: ")
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_loop_is_a_line_and_a_status(tmp_path, number):
    """At a moment that is always met: while the config is read."""
    (tmp_path / "config.py").write_text(
        f"import os\ndef get_config(arg=''):\n    os.kill(os.getpid(), {int(number)})\n"
    )
    done = run_main("--config=config.py", cwd=tmp_path)
    assert done.returncode == 128 + number
    assert done.stderr.startswith(f"jaxgan: ended by {number.name};")
    assert len(done.stderr.splitlines()) == 1


def test_the_first_signal_in_the_loop_is_noted_and_the_second_ends_it(monkeypatch, capsys):
    from jaxgan import main, train
    from jaxgan.training import distributed

    def signalled(*_):
        with cli.StopSignals() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked == signal.SIGINT
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(train, "train", signalled)
    monkeypatch.setattr(distributed, "join", lambda *_: None)
    for flag in ("_CONFIG", "WORKDIR", "_COORDINATOR", "_PROCESSES", "_PROCESS"):
        monkeypatch.setattr(main, flag, types.SimpleNamespace(value="x"))
    assert main.main([]) == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk_is_one_line_that_names_the_folder(monkeypatch, capsys):
    from jaxgan import main, train
    from jaxgan.training import distributed

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "a/file")

    monkeypatch.setattr(train, "train", full)
    monkeypatch.setattr(distributed, "join", lambda *_: None)
    for flag in ("_CONFIG", "WORKDIR", "_COORDINATOR", "_PROCESSES", "_PROCESS"):
        monkeypatch.setattr(main, flag, types.SimpleNamespace(value="runs/x"))
    assert main.main([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jaxgan: runs/x: No space left on device; free some")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config=a.py", "--config", "b.py"], "--config is given twice: a.py and b.py"),
        ([CONFIG, "--config.steps", "ten"], "steps=ten: not a whole number"),
        ([CONFIG, "--config.width=1e-x"], "width=1e-x: not a number"),
        ([CONFIG, "--config.progress=maybe"], "progress=maybe: not true or false"),
        ([CONFIG, "--coordinator=a:1"], "--processes and --process missing"),
        ([CONFIG, "--process=0", "--processes", "2"], "--coordinator missing"),
        ([CONFIG, *by_hand("host", 2, 0)], "--coordinator=host: not HOST:PORT"),
        ([CONFIG, *by_hand("host:x", 2, 0)], "--coordinator=host:x: not HOST:PORT"),
        ([CONFIG, *by_hand("host:1", "two", 0)], "--processes=two: not a whole number"),
        ([CONFIG, *by_hand("host:1", 2, 2)], "--process=2: with --processes=2 it is from 0 to 1"),
    ],
)
def test_a_mistake_that_absl_would_tell_badly(capsys, flags, said):
    from jaxgan import main

    with pytest.raises(SystemExit) as ended:
        main.parse_flags(["main", *flags])
    assert ended.value.code == 2
    assert f"jaxgan: {said}" in capsys.readouterr().err


def test_importing_the_command_needs_no_tensorflow_and_little_else(tmp_path):
    """Law 8, with a TensorFlow that raises; and a mistake is found before JAX is even loaded."""
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('TensorFlow was imported')")
    program = (
        "import sys, jaxgan.main; assert 'jax' not in sys.modules;"
        "import jaxgan.train, jaxgan.data.tfds, tensorflow_datasets; assert 'jax' in sys.modules;"
        "slow = {'sklearn', 'matplotlib', 'tensorboardX'} & set(sys.modules);"
        "print(sorted(slow))"
    )
    told = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", program],
        env=command_environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A short run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run_main(CONFIG, *TINY, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "code_accuracy" in done.stdout
    return folder


def comparable(folder):
    """Rows without their times, results, and the newest checkpoint's digests of every leaf."""
    rows = [
        {k: v for k, v in row.items() if not k.startswith("time/")}
        for row in read_metrics(str(folder / "metrics.jsonl")).rows
    ]
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    (digests,) = [p for p in (newest / "digests").iterdir() if p.name == "metadata"]
    return rows, json.loads((folder / "results.json").read_text()), json.loads(digests.read_text())


def test_what_a_run_leaves_behind(undisturbed):
    names = snapshot(undisturbed)
    pictures = ["curves.png", "strip.png", "report.html"]
    for expected in ["config.json", "networks.txt", "results.json", "metrics.jsonl", *pictures]:
        assert expected in names
    assert [n for n in names if n.startswith("samples/")] == [
        f"samples/step_{step:06}.png" for step in (0, 20, 40)
    ]
    rows, results, _ = comparable(undisturbed)
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert all(row["seed"] == 0 and "loss/information" in row for row in rows)
    assert [row["step"] for row in rows if "eval/code_accuracy" in row] == [15, 30, 40]
    found = {(m["name"], m["checkpoint"]) for m in results["measures"]}
    for name in ("code_accuracy", "code_accuracy_many_to_one", "nmi", "ari", "information_bound"):
        assert {(name, "last"), (name, "best")} <= found
    assert all(m["protocol"] and m["split"] and m["unit"] for m in results["measures"])
    config = json.loads((undisturbed / "config.json").read_text())
    assert config["config"]["width"] == 0.05
    assert {"jax", "flax", "python"} <= config["versions"].keys()


def test_a_finished_run_prints_its_table_and_changes_nothing(undisturbed, capsys):
    before = {name: os.stat(undisturbed / name).st_mtime_ns for name in snapshot(undisturbed)}
    assert train_here(undisturbed) == 0
    said = capsys.readouterr().out
    assert "code_accuracy" in said
    assert said.splitlines()[-1] == f"report: {undisturbed}/report.html"
    after = {name: os.stat(undisturbed / name).st_mtime_ns for name in snapshot(undisturbed)}
    assert after == before


def test_a_finished_run_is_shown_for_its_own_data_only(undisturbed, capsys):
    from jaxgan.data.sources import digits

    saved = json.loads((undisturbed / "config.json").read_text())
    # Read anew, and found to be the same.
    elsewhere = {"dataset.data_dir": "elsewhere"}
    assert train_here(undisturbed, **elsewhere) == 0
    assert f"data: digits, 1,205 training images (sha256 {saved['dataset']['sha256']})" in (
        capsys.readouterr().out
    )
    other = dataclasses.replace(digits.load(), train=digits.load().test)
    with pytest.raises(UserError, match="was trained on other images or labels than digits"):
        train_here(undisturbed, dataset=other, **elsewhere)


def test_another_config_is_refused_naming_the_keys(undisturbed):
    before = snapshot(undisturbed)
    with pytest.raises(UserError, match=r"seed \(was 0, now 5\)"):
        train_here(undisturbed, seed=5)
    assert snapshot(undisturbed) == before


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'{"config": [1]}', b"{}"])
def test_a_foreign_config_json_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match="is not a run's config"):
        train_here(tmp_path)
    assert snapshot(tmp_path) == ["config.json"]


def test_a_finished_run_goes_on_for_longer_and_not_for_less(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    with pytest.raises(UserError, match="already at step 40"):
        train_here(folder, steps=20)
    assert train_here(folder, steps=45) == 0
    assert [row["step"] for row in comparable(folder)[0]][-2:] == [40, 45]
    assert comparable(folder)[1]["step"] == 45


def test_many_seeds_leave_rows_sheets_and_measures_each(undisturbed, tmp_path):
    """Two seeds at once, one of them broken by hand half-way; it ends alone, and stays ended."""
    folder = tmp_path / "run"
    flags = [CONFIG, *TINY, "--config.seeds=2", f"--workdir={folder}"]
    process = start(folder, "--config.seeds=2")
    wait_for(lambda: finished_checkpoints(folder), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    break_seed(folder, 1)
    done = run_main(*flags)
    assert done.returncode == 0, done.stderr
    rows, results, _ = comparable(folder)
    alone, its_results, _ = comparable(undisturbed)
    assert [row for row in rows if row["seed"] == 0] == alone
    assert [m for m in results["measures"] if m["seed"] == 0] == its_results["measures"]
    assert {m["seed"] for m in results["measures"]} == {0}
    assert "not finite" in results["ended"]["1"]
    assert "left out: seed 1" in done.stdout
    assert max(row["step"] for row in rows if row["seed"] == 1) < 40
    assert (folder / "samples" / "step_000040_seed_0.png").exists()
    assert not (folder / "samples" / "step_000040_seed_1.png").exists()
    assert (folder / "strip_seed_0.png").exists()
    assert not (folder / "strip_seed_1.png").exists()


def break_seed(folder, seed):
    """Puts a NaN into one seed's generator in the newest checkpoint, digests and all."""

    from jaxgan.training.checkpoint import Checkpoints

    checkpoints = Checkpoints(str(folder / "checkpoints"), 2)
    step = checkpoints.steps()[0]
    tree = dict(checkpoints._read(step))
    name = next(n for n in tree if n.startswith("state.generator.params") and "kernel" in n)
    tree[name] = tree[name].copy()
    tree[name][seed] = float("nan")
    shutil.rmtree(folder / "checkpoints" / str(step))
    checkpoints._manager().reload()
    checkpoints.save(step, tree)
    checkpoints.close()


def start(folder, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "jaxgan.main", CONFIG, *TINY, f"--workdir={folder}", *more],
        cwd=ROOT,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.01)


def finished_checkpoints(folder):
    root = folder / "checkpoints"
    return [p for p in root.iterdir() if p.name.isdigit()] if root.exists() else []


def test_killed_and_started_again_it_ends_with_the_same_bits(undisturbed, tmp_path):
    """Law 4: killed before its first checkpoint, after one, and with a torn row. While it is at
    work another process is refused."""
    folder = tmp_path / "run"
    process = start(folder)
    wait_for(lambda: (folder / "samples" / "step_000000.png").exists(), process)
    process.send_signal(signal.SIGSTOP)
    try:
        refused = run_main(CONFIG, *TINY, f"--workdir={folder}")
    finally:
        process.kill()
    assert refused.returncode == 2
    assert "another process is at work" in refused.stderr
    process.communicate()
    process = start(folder)
    wait_for(lambda: finished_checkpoints(folder), process)
    process.kill()
    process.communicate()
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 99, "se')
    done = run_main(CONFIG, *TINY, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert comparable(folder) == comparable(undisturbed)
    for picture in ("curves.png", "strip.png"):
        assert (folder / picture).read_bytes() == (undisturbed / picture).read_bytes()


def test_a_stopped_run_saves_and_says_how_to_go_on(undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for(lambda: (folder / "metrics.jsonl").exists(), process)
    wait_for(lambda: (folder / "metrics.jsonl").stat().st_size > 0, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "the same command goes on from there" in output
    assert finished_checkpoints(folder)
    done = run_main(CONFIG, *TINY, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert comparable(folder) == comparable(undisturbed)


def test_losses_that_are_not_finite_end_the_run_with_status_1(tmp_path):
    folder = tmp_path / "run"
    done = run_main(CONFIG, *TINY, f"--workdir={folder}", "--config.generator.learning_rate=1e30")
    assert done.returncode == 1
    assert "not finite at step" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "results.json").exists()
    last_row = read_metrics(str(folder / "metrics.jsonl")).rows
    assert all(row["step"] <= 5 for row in last_row)
    assert not finished_checkpoints(folder)
