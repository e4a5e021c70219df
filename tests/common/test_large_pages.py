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


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["-m", "jaxgan.main", "--config=infogan"], ""),
        (["-m", "pdb", "-m", "jaxgan.main"], None),
        (["train.py", "jaxgan.main"], None),
        ([], None),
    ],
    ids=["the user's setting", "a debugger", "another program", "a console"],
)
def test_other_programs_and_settings_stay(monkeypatch, words, setting):
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if setting is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", setting)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("started again"))
    large_pages.use_large_pages()
