"""run.sh: mistakes are said before anything is installed, and what is installed is pinned."""

import re
import shutil
import subprocess
import tomllib

import pytest
from conftest import ROOT


def run_script(folder, *arguments):
    """Runs a copy, whose setup fails at once because `false` is no interpreter."""
    script = shutil.copy(ROOT / "run.sh", folder)
    return subprocess.run(
        [script, *arguments], env={"PYTHON": "false"}, capture_output=True, encoding="utf-8"
    )


def test_flags_without_a_config_are_one_line_with_an_example(tmp_path):
    done = run_script(tmp_path, "--config.steps=100", "--workdir=x")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    example = "./run.sh --config=configs/infogan.py --config.steps=100 --workdir=x"
    assert line == f"run.sh: --config is missing, such as {example}"


@pytest.mark.parametrize(
    "arguments", [[], ["--config=gan"], ["--workdir=x", "--config", "gan"], ["--help"], ["test"]]
)
def test_other_calls_begin_with_the_setup(tmp_path, arguments):
    done = run_script(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("run.sh: false does not start; name another Python")


@pytest.mark.parametrize(
    ("extra", "lock"), [("dev", "requirements.txt"), ("docs", "docs/requirements.txt")]
)
def test_the_packages_that_it_installs_are_pinned(extra, lock):
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"][extra]
    if extra == "dev":
        wanted = project["dependencies"] + wanted
    names = {re.match(r"[\w.-]+", one)[0] for one in wanted}
    assert {_plain(name) for name in names} <= {_plain(name) for name in pinned}


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
