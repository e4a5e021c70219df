import numpy as np
import pytest
from conftest import load_config, tiny_config
from data_files import load

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.dataset import Dataset, Split
from jaxgan.evaluation.features import RealFeatures


@pytest.mark.parametrize("name", ["idx", "csv", "folder"])
def test_a_missing_data_dir_names_the_key(name):
    with pytest.raises(UserError, match=r"dataset\.data_dir is missing: dataset\.name=" + name):
        tiny_config(dataset__name=name)


@pytest.mark.parametrize("name", ["idx", "csv", "folder"])
def test_a_folder_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.*no such"):
        load(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("config", "name"), [("dcgan", "idx"), ("dcgan", "csv"), ("dcgan", "folder"), ("tags", "tags")]
)
def test_a_path_may_begin_with_the_home_folder(config, name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    values = {"dataset.name": name, "dataset.data_dir": "~/nowhere"}
    with pytest.raises(UserError, match=str(tmp_path / "nowhere")):
        data.load(update(load_config(config), values))


@pytest.mark.parametrize(
    ("validation", "test", "judged"),
    [(5, 5, "test"), (5, 0, "validation"), (5, 1, "validation"), (1, 1, "train"), (0, 0, "train")],
)
def test_a_split_of_fewer_than_two_images_is_replaced(validation, test, judged):
    """A Fréchet distance wants two."""
    splits = [Split(np.zeros((n, 8, 8, 1), np.uint8), None) for n in (9, validation, test)]
    name, split = RealFeatures(Dataset("few", *splits)).split("test")
    assert name == judged
    assert len(split) == {"train": 9, "validation": validation, "test": test}[judged]
