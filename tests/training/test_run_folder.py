"""The lock of a run's folder, and which folders a run may use."""

import errno
import fcntl
import importlib.metadata
import json
import os
import shutil
import subprocess

import pytest
from conftest import tiny_config

from jaxgan.common.errors import UserError
from jaxgan.common.version import VERSION
from jaxgan.training import run_folder


def failing(number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    return flock


def test_two_cannot_work_in_one_folder(tmp_path):
    with (
        run_folder.keep_out(str(tmp_path / "run")),
        pytest.raises(UserError, match="another process is at work"),
    ):
        run_folder.keep_out(str(tmp_path / "run"))
    run_folder.keep_out(str(tmp_path / "run")).close()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, capsys, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    run_folder.keep_out(str(tmp_path / "run")).close()
    assert "its file system has no locks" in capsys.readouterr().out


def test_another_error_of_the_lock_is_raised(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        run_folder.keep_out(str(tmp_path / "run"))


@pytest.mark.parametrize("workdir", ["images/run", "images", "link/runs/a"])
def test_a_run_may_not_write_among_its_images(tmp_path, workdir):
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    config = tiny_config(dataset__name="folder", dataset__data_dir=str(tmp_path / "images"))
    with pytest.raises(UserError, match="lies in the folder of the images"):
        run_folder.inspect(config, str(tmp_path / workdir))
    assert run_folder.inspect(config, str(tmp_path / "images_run")) is None


@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, name, here_is_a_run):
    config, folder = here_is_a_run(tmp_path)
    (folder / name).write_text("a file")
    with pytest.raises(UserError, match=f"{name} is not a folder"):
        run_folder.inspect(config, str(folder))


def test_jaxgan_need_not_be_installed(tmp_path, monkeypatch, here_is_a_run):
    def version(name, version=importlib.metadata.version):
        if name == "jaxgan":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    _, folder = here_is_a_run(tmp_path)
    assert json.loads((folder / "config.json").read_text())["versions"]["jaxgan"] == VERSION


@pytest.mark.skipif(shutil.which("git") is None, reason="makes a repository")
def test_the_commit_is_not_that_of_another_project(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    monkeypatch.setattr(run_folder, "__file__", str(tmp_path / "env" / "run_folder.py"))
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "run_folder.py").write_text("")
    author = ("-c", "user.name=x", "-c", "user.email=x")
    git("init")
    git(*author, "commit", "--allow-empty", "--message=x")
    assert run_folder._commit() is None
    git("add", "env")
    git(*author, "commit", "--message=x")
    assert len(run_folder._commit()) == 40


@pytest.fixture
def here_is_a_run():
    """Writes a folder with no more than a run's config."""

    def write(path):
        from jaxgan import data
        from jaxgan.training.gan import build_gan

        config = tiny_config()
        dataset = data.load(config)
        gan = build_gan(config, dataset.image_shape)
        run_folder.enter(config, str(path / "run"), dataset, gan).close()
        return config, path / "run"

    return write
