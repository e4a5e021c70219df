"""Which file a config's name means."""

import numpy as np
import pytest
from conftest import ROOT

from jaxgan.common.errors import UserError
from jaxgan.config import files
from jaxgan.main import default_workdir


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["infogan", "configs/infogan.py", "./configs/infogan.py"])
def test_a_config_that_comes_with_jaxgan_is_found_from_any_folder(name):
    assert files.locate(name) == str(ROOT / "configs" / "infogan.py")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("infogan", "configs/infogan.py"),
        ("configs/infogan.py", "configs/infogan.py"),
        ("infogan", "infogan"),
        ("own", "configs/own.py"),
        ("deep/own.py", "deep/own.py"),
    ],
)
def test_a_file_on_disk_comes_first(empty_folder, name, there):
    (empty_folder / there).parent.mkdir(exist_ok=True)
    (empty_folder / there).write_text("")
    assert files.locate(name) == there


@pytest.mark.parametrize("name", ["infogan.py", "other/configs/infogan.py", "/configs/infogan.py"])
def test_no_other_name_means_a_config_that_comes_with_jaxgan(name):
    assert files.locate(name) == name


def test_names_are_those_on_disk_and_those_that_come_with_jaxgan(empty_folder):
    packaged = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    assert files.known_names() == packaged
    (empty_folder / "configs").mkdir()
    for name in ("own.py", "gan.py", "notes.txt"):
        (empty_folder / "configs" / name).write_text("")
    assert files.known_names() == sorted([*packaged, "own"])


@pytest.mark.parametrize("arg", ["", ":mnist", ":mnist,latent.noise=3"])
def test_a_name_and_its_file_have_the_same_workdir(arg):
    assert default_workdir(f"infogan{arg}") == default_workdir(f"configs/infogan.py{arg}")


def test_a_named_config_with_changed_keys():
    config = files.named("gan:paper", {"steps": 7, "generator.learning_rate": 0.5})
    assert (config.networks, config.steps, config.generator.learning_rate) == ("paper", 7, 0.5)
    with pytest.raises(UserError, match=r"nosuch: no file configs/nosuch.py; there are: cgan, "):
        files.named("nosuch")
    with pytest.raises(UserError, match=r"unknown key generator\.rate"):
        files.named("gan", {"generator.rate": 1.0})
    assert files.named("gan", {"steps": np.int64(5)}).steps == 5
    for wrong in ({"steps": "5"}, {"steps": 5.0}, {"generator": {"learning_rate": 1.0}}):
        with pytest.raises(UserError, match=r"the type is \w+, not int|unknown key generator"):
            files.named("gan", wrong)
    with pytest.raises(UserError, match="unknown word 'imagenet'"):
        files.named("gan:imagenet")
    # A key without which the config is not valid.
    assert files.named("dcgan:folder", {"dataset.data_dir": "x"}).dataset.data_dir == "x"
    with pytest.raises(UserError, match=r"dataset\.data_dir"):
        files.named("dcgan:folder")


def test_the_default_folder_of_a_run_is_a_plain_name(empty_folder):
    plain = "runs/dcgan-cifar10-classes-horse-cat"
    assert default_workdir("dcgan:cifar10,classes=horse+cat") == plain
    older = "runs/dcgan-cifar10,classes=horse+cat"
    (empty_folder / older).mkdir(parents=True)  # A run of an older version goes on.
    assert default_workdir("dcgan:cifar10,classes=horse+cat") == older
    assert default_workdir("gan") == "runs/gan"
