"""The command: a user's mistakes, a killed run, a finished run.

What a process does (its status, its output, a kill) is tried with processes, most of them forks of
one that has imported JAX; the rest in this one.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import re
import shutil
import signal
import time
import types

import forks
import jax
import pytest
from conftest import (
    PATIENCE,
    ROOT,
    command_environment,
    load_config,
    run_forked,
    run_main,
    run_python,
    untrained,
)

import jaxgan
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.reporting.html import report as html_report
from jaxgan.reporting.recorder import RunRecorder
from jaxgan.train import train
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import seed_groups
from jaxgan.training.run_files import read_metrics

CONFIG = f"--config={ROOT}/configs/infogan.py"
VALUES = {
    "seeds": 1,
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
FAST = [f"--config={ROOT}/configs/gan.py", "--config.steps_per_call=1"]
FAST += [f"--config.{name}={value}" for name, value in VALUES.items()]


def train_here(folder, dataset=None, config="infogan", **more):
    """The same in this process, on one of its devices. Its program is not the command's: bits can
    be compared with those of another run in this process. Q reads images as they are, which saves a
    third of the time to compile InfoGAN's step."""
    given = VALUES | more
    if config.startswith("infogan"):
        given = dict.fromkeys(("q.rotation", "q.shift", "q.scale"), 0.0) | given
    one_device = functools.partial(mesh_lib.make_mesh, devices=jax.devices()[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seed_groups, "make_mesh", one_device)
        return train(update(load_config(*config.split(":")), given), str(folder), dataset)


KILLED = f"os.kill(os.getpid(), {int(signal.SIGKILL)})"
HANGS = "pathlib.Path(__file__).with_name('hangs').touch(); threading.Event().wait()"


def at_step(step, statements):
    """A config file's text: configs/gan.py, whose run executes statements at a step."""
    return f"""
import os
import pathlib
import runpy
import threading

from jaxgan.reporting.recorder import RunRecorder

add_metrics = RunRecorder.add_metrics


def noted(self, step, *rest):
    add_metrics(self, step, *rest)
    if step == {step}:
        {statements}


RunRecorder.add_metrics = noted


def get_config(arg=""):
    return runpy.run_path("{ROOT}/configs/gan.py")["get_config"](arg)
"""


def by_hand(coordinator, processes, process):
    return [f"--coordinator={coordinator}", f"--processes={processes}", f"--process={process}"]


def snapshot(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def images_in(folder):
    return ["--config.dataset.name=folder", f"--config.dataset.data_dir={folder}"]


MISTAKES = {
    "no such file": (["--config=configs/none.py"], "no file configs/none.py"),
    "unknown word": ([f"{CONFIG}:nonsense"], "unknown word 'nonsense'"),
    "value": ([CONFIG, "--config.seed=x"], "seed=x: not a whole number"),
    "workdir below a file": ([CONFIG, "--workdir=full/file/below"], "cannot be written"),
    "key": ([CONFIG, "--config.sed=3"], "unknown key sed"),
    "group": ([CONFIG, "--config.datset.name=mnist"], "unknown key datset.name"),
    "key of a key": ([CONFIG, "--config.steps.x=3"], "unknown key steps.x"),
    "key of a group": ([CONFIG, "--config.dataset.nme=3"], "unknown key dataset.nme"),
    "no config file": (["--config=full/file"], "full/file has no get_config(arg)"),
    "words": ([f"{CONFIG}:document,paper"], "document and paper exclude one another"),
    "limit": ([CONFIG, "--config.steps=0"], "steps=0: must be at least 1"),
    "flag": ([CONFIG, "--wrokdir=x"], "Unknown command line flag 'wrokdir'"),
    "argument": ([CONFIG, "stray"], "unknown argument 'stray'"),
    "nothing": ([], "--config is missing"),
    "batch": ([CONFIG, "--config.batch_size=5000"], "larger than digits's 1205 training images"),
    "dataset": ([CONFIG, "--config.dataset.name=no_such_data"], "no_such_data"),
    "no data": ([f"{CONFIG}:mnist", "--config.dataset.data_dir=."], "tfds build mnist"),
    "codes": ([CONFIG, "--config.latent.codes=foo"], "latent.codes: 'foo' is not a code"),
    "workdir": ([CONFIG, "--workdir=full"], "full holds something else than a run"),
    "workdir a file": ([CONFIG, "--workdir=full/file"], "full/file is a file"),
    "brackets": ([CONFIG, "--workdir=a[1]/b"], "cannot be read under a path with ["),
    "in the images": ([CONFIG, *images_in("full"), "--workdir=full/run"], "folder of the images"),
    "no effect": ([CONFIG, "--config.dataset.data_dir=photos"], "digits comes with jaxgan"),
    "its own flag": ([CONFIG, *images_in("none")], "set --config.dataset.data_dir to"),
    "seeds": ([CONFIG, "--config.seeds=1000000000"], "seeds=1000000000: must be at most 4096"),
}
# In processes of their own; the others are forks.
PROCESSES = list(MISTAKES)[:3]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_or_two_lines_and_touches_nothing(tmp_path, name):
    flags, said = MISTAKES[name]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious = 1")
    run = run_main if name in PROCESSES else functools.partial(run_forked, "jaxgan.main")
    done = run(*flags, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("jaxgan: ")
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert snapshot(tmp_path) == ["full", "full/file"]
    assert (tmp_path / "full" / "file").read_text() == "precious = 1"


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
    from jaxgan.common.stop_signals import StopSignals
    from jaxgan.training import distributed

    def signalled(*_, **__):
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked == signal.SIGINT
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(train, "train", signalled)
    monkeypatch.setattr(distributed, "initialize", lambda *_: None)
    for flag in ("CONFIG", "WORKDIR", "_COORDINATOR", "_PROCESSES", "_PROCESS", "_HOST_TIMEOUT"):
        monkeypatch.setattr(main, flag, types.SimpleNamespace(value="x"))
    assert main.main([]) == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/file"), "runs/x: No space left on"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "the memory is full"),
        (MemoryError(), "the memory is full"),
    ],
)
def test_a_full_disk_or_memory_is_a_line_and_its_remedy(monkeypatch, capsys, error, said):
    from jaxgan import main, train
    from jaxgan.training import distributed

    def full(*_, **__):
        raise error

    monkeypatch.setattr(train, "train", full)
    monkeypatch.setattr(distributed, "initialize", lambda *_: None)
    for flag in ("CONFIG", "WORKDIR", "_COORDINATOR", "_PROCESSES", "_PROCESS", "_HOST_TIMEOUT"):
        monkeypatch.setattr(main, flag, types.SimpleNamespace(value="runs/x"))
    assert main.main([]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"jaxgan: {said}")
    assert len(lines) <= 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config=a.py", "--config", "b.py"], "--config is given twice: a.py and b.py"),
        ([CONFIG, "--config.steps", "ten"], "steps=ten: not a whole number"),
        ([CONFIG, "--config.width=1e-x"], "width=1e-x: not a number"),
        ([CONFIG, "--config.progress=maybe"], "progress=maybe: not true or false"),
        ([CONFIG, "--steps=5"], "unknown flag --steps\ndid you mean --config.steps=5?"),
        (
            [CONFIG, "--latent.noise", "5"],
            "unknown flag --latent.noise\ndid you mean --config.late",
        ),
        ([CONFIG, "--coordinator=a:1"], "--processes and --process missing"),
        ([CONFIG, "--process=0", "--processes", "2"], "--coordinator missing"),
        ([CONFIG, *by_hand("host", 2, 0)], "--coordinator=host: not HOST:PORT"),
        ([CONFIG, *by_hand("host:x", 2, 0)], "--coordinator=host:x: not HOST:PORT"),
        ([CONFIG, *by_hand("host:1", "two", 0)], "--processes=two: not a whole number"),
        ([CONFIG, *by_hand("host:1", 2, 2)], "--process=2: with --processes=2 it is from 0 to 1"),
    ],
)
def test_flags_are_checked_before_absl(capsys, flags, said):
    from jaxgan import main

    with pytest.raises(SystemExit) as ended:
        main.parse_flags(["main", *flags])
    assert ended.value.code == 2
    assert f"jaxgan: {said}" in capsys.readouterr().err


def test_importing_the_command_needs_no_tensorflow_and_little_else(tmp_path):
    """Invariant: importing jaxgan imports no TensorFlow, here one that raises; and a mistake is
    found before JAX is even loaded."""
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('TensorFlow was imported')")
    program = (
        "import sys, jaxgan.main; assert 'jax' not in sys.modules;"
        "import jaxgan.train, jaxgan.data.sources.tfds, tensorflow_datasets;"
        "assert 'jax' in sys.modules;"
        "slow = {'sklearn', 'matplotlib', 'tensorboardX'} & set(sys.modules);"
        "print(sorted(slow))"
    )
    done = run_python("-W", "error::ImportWarning", "-c", program, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A short run that nothing happened to, of networks that are compiled fast."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run_main(*FAST, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "frechet_distance" in done.stdout
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A short run in this process."""
    folder = tmp_path_factory.mktemp("here") / "run"
    assert train_here(folder) == 0
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


def test_what_a_run_leaves_behind(here):
    names = snapshot(here)
    pictures = ["curves.png", "strip.png", "report.html"]
    for expected in ["config.json", "networks.txt", "results.json", "metrics.jsonl", *pictures]:
        assert expected in names
    assert [n for n in names if n.startswith("samples/")] == [
        f"samples/step_{step:06}.png" for step in (0, 20, 40)
    ]
    rows, results, _ = comparable(here)
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert all(row["seed"] == 0 and "loss/information" in row for row in rows)
    assert [row["step"] for row in rows if "eval/code_accuracy" in row] == [15, 30, 40]
    found = {(m["name"], m["checkpoint"]) for m in results["measures"]}
    for name in ("code_accuracy", "code_accuracy_many_to_one", "nmi", "ari", "information_bound"):
        assert {(name, "last"), (name, "best")} <= found
    assert all(m["protocol"] and m["split"] and m["unit"] for m in results["measures"])
    config = json.loads((here / "config.json").read_text())
    assert config["config"]["width"] == 0.05
    assert {"jax", "flax", "python"} <= config["versions"].keys()


def test_a_finished_run_prints_its_table_and_changes_nothing(here, capsys):
    before = {name: os.stat(here / name).st_mtime_ns for name in snapshot(here)}
    assert train_here(here) == 0
    said = capsys.readouterr().out
    assert "code_accuracy" in said
    assert said.splitlines()[-1] == f"report: {here}/report.html"
    after = {name: os.stat(here / name).st_mtime_ns for name in snapshot(here)}
    assert after == before


def test_a_finished_run_whose_last_checkpoint_is_gone_is_trained_to_its_end_again(
    here, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(here, folder)
    shutil.rmtree(folder / "checkpoints" / "40")
    with untrained():
        assert train_here(folder) == 0
    assert "going on from step 30" in capsys.readouterr().out
    assert (folder / "checkpoints" / "40").is_dir()


def test_a_finished_run_is_shown_for_its_own_data_only(here, capsys):
    from jaxgan.data.sources import digits

    saved = json.loads((here / "config.json").read_text())
    # Read anew, and found to be the same.
    elsewhere = {"dataset.data_dir": "elsewhere"}
    assert train_here(here, **elsewhere) == 0
    assert f"data: digits, 1,205 training images (sha256 {saved['dataset']['sha256']})" in (
        capsys.readouterr().out
    )
    other = dataclasses.replace(digits.load(), train=digits.load().test)
    with pytest.raises(UserError, match="was trained on other images or labels than digits"):
        train_here(here, dataset=other, **elsewhere)


def test_another_config_is_refused_naming_the_keys(here):
    before = snapshot(here)
    with pytest.raises(UserError, match=r"seed \(was 0, now 5\)"):
        train_here(here, seed=5)
    assert snapshot(here) == before


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'{"config": [1]}', b"{}"])
def test_a_foreign_config_json_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match="is damaged, or not a run's"):
        train_here(tmp_path)
    assert snapshot(tmp_path) == ["config.json"]


def test_a_finished_run_goes_on_for_longer_and_not_for_less(here, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(here, folder)
    with pytest.raises(UserError, match="already at step 40"):
        train_here(folder, steps=20)
    assert train_here(folder, steps=45) == 0
    assert [row["step"] for row in comparable(folder)[0]][-2:] == [40, 45]
    before, after = (json.loads((x / "config.json").read_text()) for x in (here, folder))
    assert after == before | {"config": before["config"] | {"steps": 45}}
    assert comparable(folder)[1]["step"] == 45


@contextlib.contextmanager
def stopped(at):
    """A run in this process gets SIGTERM at a step, or at the end of the call that holds it."""
    steps = [at]
    add_metrics = RunRecorder.add_metrics

    def noted(self, step, *rest):
        add_metrics(self, step, *rest)
        if steps and step >= at:
            steps.clear()
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunRecorder, "add_metrics", noted)
        yield


# The broken generator draws NaN once, before the loop has looked at its losses.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_many_seeds_leave_rows_sheets_and_measures_each(here, tmp_path, capsys):
    """Two seeds at once, one of them broken by hand half-way; it ends alone, and stays ended."""
    folder = tmp_path / "run"
    with stopped(17):
        assert train_here(folder, seeds=2) == 128 + signal.SIGTERM
    break_seed(folder, 1)
    capsys.readouterr()
    assert train_here(folder, seeds=2) == 0
    rows, results, _ = comparable(folder)
    alone, its_results, _ = comparable(here)
    assert [row for row in rows if row["seed"] == 0] == alone
    assert [m for m in results["measures"] if m["seed"] == 0] == its_results["measures"]
    assert {m["seed"] for m in results["measures"]} == {0}
    assert "not finite" in results["ended"]["1"]
    assert "stopped: seed 1" in capsys.readouterr().out
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


def finished_checkpoints(folder):
    root = folder / "checkpoints"
    return [p for p in root.iterdir() if p.name.isdigit()] if root.exists() else []


def test_killed_and_started_again_it_ends_with_the_same_bits(undisturbed, tmp_path):
    """Invariant: killed at any step and started again, a run ends with the same bits. Here: before
    its first checkpoint, after one, and with a torn row. While it is at work another one is
    refused."""
    folder, config = tmp_path / "run", tmp_path / "config.py"
    command = [*FAST[1:], f"--workdir={folder}"]
    config.write_text(at_step(3, HANGS))
    output = tmp_path / "output"
    flags = [f"--config={config}", *command]
    process = forks.start("jaxgan.main", flags, ROOT, command_environment(), output, output)
    try:
        wait_for(tmp_path / "hangs", process)
        with pytest.raises(UserError, match="another process is at work"):
            train_here(folder, config="gan", steps_per_call=1)
    finally:
        process.kill()
        process.join()
    assert not finished_checkpoints(folder)
    config.write_text(at_step(33, KILLED))
    killed = run_forked("jaxgan.main", *flags)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert finished_checkpoints(folder)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 99, "se')
    done = run_forked("jaxgan.main", FAST[0], *command)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert comparable(folder) == comparable(undisturbed)
    for picture in ("curves.png", "strip.png"):
        assert (folder / picture).read_bytes() == (undisturbed / picture).read_bytes()


def wait_for(path, process):
    """Until a process has made a file."""
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.exitcode is None, "the process did not get so far"
        assert time.monotonic() < until
        time.sleep(0.05)


POINTS = {"best_by": "none", "sample_every": 40, "eval_every": 40}


def test_a_stopped_run_saves_and_says_how_to_go_on(tmp_path, capsys):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert train_here(whole, config="gan:ring", **POINTS) == 0
    with stopped(17):
        status = train_here(folder, config="gan:ring", **POINTS)
    assert status == 128 + signal.SIGTERM
    said = capsys.readouterr().out
    step = re.search(r"stopped at step (\d+), saved; the same command goes on", said)[1]
    assert int(step) in range(17, 40)
    assert step in {path.name for path in finished_checkpoints(folder)}
    assert train_here(folder, config="gan:ring", **POINTS) == 0
    assert comparable(folder) == comparable(whole)


def test_losses_that_are_not_finite_end_the_run_with_status_1(tmp_path, monkeypatch, capsys):
    from jaxgan import main
    from jaxgan.training import distributed

    folder = tmp_path / "run"
    broken = {**VALUES, **POINTS, "generator.learning_rate": 1e30}
    config = update(load_config("gan", "ring"), broken)
    flags = {"CONFIG": config, "WORKDIR": str(folder)}
    flags |= dict.fromkeys(("_COORDINATOR", "_PROCESSES", "_PROCESS", "_HOST_TIMEOUT"))
    for name, value in flags.items():
        monkeypatch.setattr(main, name, types.SimpleNamespace(value=value))
    monkeypatch.setattr(distributed, "initialize", lambda *_: None)
    assert main.main([]) == 1
    said = capsys.readouterr().err
    assert "not finite at step" in said
    assert "Traceback" not in said
    assert not (folder / "results.json").exists()
    rows = read_metrics(str(folder / "metrics.jsonl")).rows
    assert all(row["step"] <= 5 for row in rows)
    assert not finished_checkpoints(folder)


def test_a_run_of_several_seeds_chooses_one_for_the_commands(tmp_path, capsys):
    folder = tmp_path / "run"
    with untrained():
        assert train_here(folder, seeds=3, steps=2) == 0
    said = capsys.readouterr().out
    results = json.loads((folder / "results.json").read_text())
    information = {
        row["seed"]: row["value"]
        for row in results["measures"]
        if (row["name"], row["checkpoint"]) == ("seed_information", "best")
    }
    chosen = max(information, key=information.get)
    assert len(information) == 3
    assert results["chosen"] == {"seed": chosen, "by": "seed_information"}
    assert f"chosen seed: {chosen}, by seed_information" in said
    report = (folder / "report.html").read_text()
    assert f"{chosen}, by seed_information" in report
    assert f"Images by the best networks of seed {chosen} (step 2)" in report
    atlas = re.search('<div class="explorer".*?<img src="(.*?)"', report, re.DOTALL)[1]
    titles = re.findall(r"code 0, seed \d[^<]*", report)
    assert titles[0] == f"code 0, seed {chosen} (chosen)"
    # Training draws with the networks that it has, the command with those that it loads.
    assert html_report.write_report([str(folder)]) == str(folder / "report.html")
    assert atlas in (folder / "report.html").read_text()
    for seed in (2, 1):
        (folder / "results.json").write_text(
            json.dumps(results | {"chosen": {"seed": seed, "by": "x"}})
        )
        assert jaxgan.load(str(folder)).run_seed == seed
        assert "of seed" in jaxgan.load(str(folder)).described
    assert jaxgan.load(str(folder), seed=0).run_seed == 0
    # A run that goes on has not chosen yet.
    (folder / "results.json").write_text(json.dumps(results | {"step": 1}))
    assert jaxgan.load(str(folder)).run_seed == 0
