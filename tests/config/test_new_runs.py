"""Keys that would have no effect are refused before a run's first start, and only then."""

import runpy

import pytest
from conftest import ROOT, load_config

from jaxgan.common.errors import UserError
from jaxgan.config.new_runs import check_new_run
from jaxgan.config.presets import update
from jaxgan.config.validation import validate


@pytest.mark.parametrize(
    ("config", "values", "said"),
    [
        ("dcgan", {"dataset.data_dir": "photos"}, "digits comes with jaxgan"),
        ("dcgan:stacked_digits", {"dataset.data_dir": "photos"}, "stacked_digits comes with"),
        ("gan", {"information": "document"}, "information=document: gan has no codes"),
        ("cgan", {"lambda_categorical": 0.5}, "cgan has no codes"),
        ("dcgan", {"q.continuous": "point"}, "dcgan has no codes"),
        ("dcgan", {"condition.prior": "uniform"}, "not conditioned on a label"),
        ("cgan:inpaint", {"condition.embedding": 8}, "not conditioned on a label"),
        ("cgan", {"condition.hole": 0.25}, "not conditioned on a part of the image"),
        ("gan", {"dataset.min_count": 3}, "digits has no tags"),
        ("tags", {"networks": "document"}, "tags has one kind of networks"),
        ("tags", {"dataset.size": 64}, "dataset.size=64: tags"),
        ("gan", {"generator.optimizer": "sgd", "generator.momentum": 0.9}, "set both to the same"),
        ("infogan", {"discriminator.shared_dropout": True}, "the discriminator has no dropout"),
        ("infogan", {"results_images": 10**6}, "results_images=1000000: metrics take at most 100,"),
    ],
)
def test_keys_without_effect_are_refused(config, values, said):
    name, _, arg = config.partition(":")
    config = update(load_config(name, arg), values)
    validate(config)  # A run that has begun so is still read.
    with pytest.raises(UserError, match=said):
        check_new_run(config)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=lambda x: x.stem)
def test_no_preset_has_such_a_key(path):
    words = runpy.run_path(str(path))["WORDS"]
    for word in ("", *words):
        config = load_config(path.stem, f"{word},dataset.data_dir=needed by some")
        check_new_run(config, dataset_given=True)


def test_data_that_is_passed_in_is_read_from_nowhere():
    config = update(load_config("dcgan"), {"dataset.data_dir": "photos"})
    check_new_run(config, dataset_given=True)
