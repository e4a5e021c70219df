"""An installed jaxgan works from any folder."""

import importlib.metadata
import importlib.util
import json
import os
import shutil

import pytest
from conftest import ROOT, run_python

from jaxgan.common.version import VERSION

SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "jaxgan", "configs")
TINY = {
    "width": 0.05,
    "batch_size": 16,
    "steps": 1,
    "results_images": 20,
    "eval_images": 20,
    "best_by": "none",
    "tensorboard": False,
}


def can_build():
    try:
        setuptools = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        return False
    return int(setuptools.partition(".")[0]) >= 77 and importlib.util.find_spec("pip") is not None


pytestmark = pytest.mark.skipif(not can_build(), reason="pip and setuptools 77 build the wheel")


@pytest.fixture(scope="module")
def run_installed(tmp_path_factory):
    """Runs the command `jaxgan` of a wheel that was built from a source distribution."""
    root = tmp_path_factory.mktemp("installed")
    source, built, target = (root / name for name in ("source", "built", "target"))
    source.mkdir()
    for name in SOURCES:  # Building writes into the folder.
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(built)!r})"
    done = run_python("-c", build, cwd=source, PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    (sdist,) = built.iterdir()
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = run_python("-m", "pip", "install", *options, str(sdist), cwd=root, PYTHONPATH="")
    assert done.returncode == 0, done.stderr

    def run(*arguments, cwd):
        command = str(target / "bin" / "jaxgan")
        return run_python(command, *arguments, cwd=cwd, PYTHONPATH=str(target))

    return run


def test_trains_from_an_empty_folder(tmp_path, run_installed):
    flags = [f"--config.{name}={value}" for name, value in TINY.items()]
    done = run_installed("train", "--config=gan:ring", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "gan-ring"
    assert (run / "report.html").exists()
    about = json.loads((run / "config.json").read_text())
    assert about["command"].startswith("python -m jaxgan.main --config=gan:ring --config.width=")
    assert about["versions"]["jaxgan"] == VERSION
    assert about["commit"] is None


@pytest.mark.parametrize("config", ["infogan", "configs/infogan.py"])
def test_reads_the_configs_that_come_with_it(tmp_path, run_installed, config):
    done = run_installed("train", f"--config={config}:nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown word 'nonsense'" in done.stderr
    done = run_installed("train", f"--config={config}x", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    names = ", ".join(sorted(path.stem for path in (ROOT / "configs").glob("*.py")))
    assert line.endswith(f"there are: {names}")
    assert os.listdir(tmp_path) == []
