"""The command `jaxgan`, as `python -m jaxgan`."""

import pytest
from conftest import ROOT, run_python

from jaxgan.__main__ import COMMANDS
from jaxgan.common.version import VERSION


def test_every_command_is_listed():
    modules = {
        path.stem
        for path in (ROOT / "jaxgan").glob("*.py")
        if path.stem != "__main__" and 'if __name__ == "__main__"' in path.read_text()
    }
    assert modules == {module for module, _ in COMMANDS.values()}
    done = run_python("-m", "jaxgan", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    usage, empty, *lines = done.stdout.splitlines()
    assert (usage.split()[:2], empty) == (["usage:", "jaxgan"], "")
    assert [line.split()[0] for line in lines] == list(COMMANDS)


def test_the_version_is_printed():
    done = run_python("-m", "jaxgan", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"jaxgan {VERSION}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (["xyz"], "unknown command 'xyz'; there are: train, sample, "),
        ([], "the command is missing; there are: train, sample, "),
    ],
)
def test_a_mistake_is_one_line(arguments, said):
    done = run_python("-m", "jaxgan", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"jaxgan: {said}")


@pytest.mark.parametrize(
    "flags",
    [["--config=infogan:nonsense"], ["--config=infogan", "--wrokdir=x"], ["--help"]],
)
def test_a_command_is_that_of_its_module(flags):
    one = run_python("-m", "jaxgan", "train", *flags)
    other = run_python("-m", "jaxgan.main", *flags)
    assert one.stdout + one.stderr
    for part in ("returncode", "stdout", "stderr"):
        assert getattr(one, part) == getattr(other, part)


@pytest.mark.parametrize(
    ("module", "listed"),
    [("main", ["config", "workdir", "coordinator"]), ("plan", ["config", "topology"])],
)
def test_help_lists_the_flags_of_other_modules_too(module, listed):
    done = run_python("-m", f"jaxgan.{module}", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in listed:
        assert f"\n  --{flag}: " in done.stdout


def test_help_says_whose_seed_it_is():
    done = run_python("-m", "jaxgan.sample", "--help")
    shown = " ".join(done.stdout.split())
    assert "--seed: sample and walk: the seed of the noise" in shown
    assert "evaluate and export: one of the run's seeds" in shown
    assert "--run_seed: Which of the run's seeds draws" in shown
