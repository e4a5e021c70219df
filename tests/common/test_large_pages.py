import os
import platform
import subprocess
import sys

import pytest
from conftest import command_environment

from jaxgan.common import large_pages

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")

# Python imports it at every start.
_SITE = """
import os
with open(os.environ["STARTS"], "a") as file:
    print(os.getpid(), os.environ.get("GLIBC_TUNABLES"), file=file)
"""


@pytest.mark.parametrize("module", ["jaxgan.main", "jaxgan"])
def test_training_starts_with_large_pages(tmp_path, module):
    """Once more, as the same process and with the same arguments."""
    tmp_path.joinpath("sitecustomize.py").write_text(_SITE)
    environment = command_environment(STARTS=str(tmp_path / "starts"))
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    del environment["GLIBC_TUNABLES"]
    words = ["-m", module, *(["train"] if module == "jaxgan" else []), "--config=nowhere.py"]
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stderr=subprocess.PIPE, encoding="utf-8"
    )
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.count("\n") == 1
    first, second = tmp_path.joinpath("starts").read_text().splitlines()
    assert first == f"{process.pid} None"
    assert second == f"{process.pid} glibc.malloc.hugetlb=1"


@pytest.fixture
def started(monkeypatch):
    """The command lines that are started again."""
    found = []
    monkeypatch.setattr(os, "execve", lambda program, words, environment: found.append(words))
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return found


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (["-X", "dev", "-m", "jaxgan.main", "--config=infogan"], True),
        (["-u", "/usr/bin/jaxgan", "train"], True),
        (["-m", "jaxgan", "train"], True),
        (["-m", "pdb", "-m", "jaxgan.main"], False),
        (["/usr/bin/coverage", "run", "-m", "jaxgan.main"], False),
        (["train.py", "jaxgan"], False),
        (["-c", "import jaxgan"], False),
        ([], False),
    ],
    ids=str,
)
def test_only_the_command_itself_starts_again(monkeypatch, started, words, again):
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    large_pages.use_large_pages()
    assert started == ([[sys.executable, *words]] if again else [])


@pytest.mark.parametrize(
    ("setting", "library"),
    [("", ("glibc", "2.36")), (None, ("glibc", "2.31")), (None, ("", ""))],
    ids=["the user's setting", "an older glibc", "another library"],
)
def test_nothing_starts_again_for_nothing(monkeypatch, started, setting, library):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "jaxgan.main"])
    monkeypatch.setattr(platform, "libc_ver", lambda: library)
    if setting is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", setting)
    large_pages.use_large_pages()
    assert not started


def test_training_goes_on_where_nothing_can_be_started(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "jaxgan.main"])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    large_pages.use_large_pages()
