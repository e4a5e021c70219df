"""A GAN of tags: trained, sampled and evaluated."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import tag_data
from absl.flags import FLAGS
from absl.testing import flagsaver
from conftest import load_config

from jaxgan import sample
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.batches import Batch, indices
from jaxgan.data.loader import BatchLoader, ExampleIndices
from jaxgan.inference import loading, tagging
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models import conditions
from jaxgan.models.variables import Variables
from jaxgan.reporting import sample_sheets
from jaxgan.reporting.images import tag_sheet
from jaxgan.train import train
from jaxgan.training.gan import build_gan, example_inputs

SMALL = {
    "width": 0.02,
    "batch_size": 16,
    "latent.noise": 4,
    "dataset.vector_size": 6,
    "steps": 2,
    "eval_images": 5,
    "results_images": 5,
    "tensorboard": False,
    "progress": False,
}


def small_gan(dataset):
    config = update(load_config("tags"), SMALL)
    validate(config)
    condition = conditions.make(config, (), (), dataset.feature_size)
    return build_gan(config, dataset.image_shape, condition)


def test_the_noise_of_an_image_does_not_depend_on_those_after_it():
    dataset = tag_data.table()
    gan = small_gan(dataset)
    instruments = NetworkFunctions(gan)
    latent, _ = example_inputs(gan)
    params = gan.generator.init(jax.random.key(0), latent, train=False)["params"]
    features = dataset.train.features.table[:12]
    found = [
        tagging.generated_tags(
            instruments,
            Variables(params, {}),
            dataset.tags.vocabulary,
            features[:n],
            seed=3,
        )
        for n in (12, 4)
    ]
    assert found[0].shape == (12, 10)
    np.testing.assert_array_equal(found[0][:4], found[1])


def test_examples_that_are_read_ahead_come_with_their_features():
    """As on several hosts; where the split lies on the devices a step gathers the same."""
    training = tag_data.table().train
    feed = BatchLoader(training, ExampleIndices((5,), len(training), (1, 4), False), 2, 3, 0)
    batch = feed.next(1)
    feed.close()
    places = indices(5, 2, len(training), (1, 4), False)
    resident = Batch(training.images, None, training.features).at(places)
    assert resident.features.shape == (1, 4, 12)
    np.testing.assert_array_equal(batch.images[0, 0], resident.images)
    np.testing.assert_array_equal(batch.features[0, 0], resident.features)
    # A word that an image is tagged with, and the features of that image.
    words = training.images[places[0], 0, 0]
    own = tag_data.vocabulary().vectors
    scale = np.sqrt(np.square(own).mean())
    nearest = np.abs(words[:, None] - own / scale).sum(axis=2).argmin(axis=1)
    assert (np.take_along_axis(resident.features[0], nearest[:, None], axis=1) >= 1).all()


def test_the_sheet_marks_the_true_words():
    picture = np.full((8, 8, 1), 255, np.uint8)
    words = [["one", "bold"], ["two"]]
    true = tag_sheet([picture, None], words, words)
    false = tag_sheet([picture, None], words, [["six", "thin"], ["six"]])
    assert true.shape == false.shape
    assert true.dtype == np.uint8
    right = true.shape[1] // 2 + 60

    def coloured(sheet):
        return (np.ptp(sheet.astype(int), axis=2) > 20)[:, right:].any()

    assert coloured(true)
    assert not coloured(false)
    assert not (np.ptp(true.astype(int), axis=2) > 20)[:, : right - 60].any()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, and the data that its config names."""
    dataset = tag_data.table()
    folder = tmp_path_factory.mktemp("tags") / "run"
    assert train(update(load_config("tags"), SMALL), str(folder), dataset=dataset) == 0
    return folder, dataset


def test_a_run_writes_measures_and_sheets(run):
    folder, _ = run
    measures = json.loads((folder / "results.json").read_text())["measures"]
    found = {(m["name"], m["checkpoint"], m["split"]) for m in measures}
    for suffix in ("", "_constant", "_neighbours", "_linear"):
        for name in ("tag_precision", "tag_recall"):
            for checkpoint in ("last", "best"):
                assert (name + suffix, checkpoint, "test") in found
    assert all(0 <= m["value"] <= 1 for m in measures)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert 0 <= rows[-1]["eval/tag_precision"] <= 1
    assert {path.name for path in (folder / "samples").iterdir()} == {
        "step_000000.png",
        "step_000002.png",
    }
    assert (folder / "strip.png").exists()


def test_samples_are_vectors_of_words(run):
    loaded = loading.load(str(run[0]))
    features = np.arange(12, dtype=np.float32)
    made = loaded.sample(3, features=features)
    assert made.shape == (3, 1, 1, 6)
    assert made.dtype == np.float32
    assert not np.array_equal(made, loaded.sample(3, features=features[::-1]))
    for wrong in ({}, {"features": features[:2]}, {"features": features, "label": 1}):
        with pytest.raises(UserError):
            loaded.sample(1, **wrong)


def sampled(monkeypatch, run, capsys, **flags):
    """What the command prints; flags by name."""
    folder, dataset = run
    monkeypatch.setattr("jaxgan.data.load", lambda config: dataset)
    if not FLAGS.is_parsed():
        FLAGS(["sample"])
    with flagsaver.flagsaver(workdir=str(folder), **flags):
        status = sample.main(["sample"])
    return status, capsys.readouterr()


def test_the_command_prints_ten_tags(monkeypatch, run, capsys, tmp_path):
    number = int(run[1].tags.test.numbers[0])
    status, said = sampled(monkeypatch, run, capsys, image=str(number))
    assert status == 0
    first, own = said.out.splitlines()
    assert len(set(first.split())) == 10
    words = run[1].tags.vocabulary.words
    assert own == "its own: " + " ".join(words[i] for i in run[1].tags.test.tags[0])
    np.save(tmp_path / "one.npy", run[1].tags.test.features[0])
    status, said = sampled(monkeypatch, run, capsys, image=str(tmp_path / "one.npy"))
    assert (status, said.out.splitlines()) == (0, [first])
    out = tmp_path / "sheet.png"
    status, _ = sampled(monkeypatch, run, capsys, n=3, out=str(out))
    assert status == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"image": "999"}, "--image=999: the data has no tagged image"),
        ({"image": "cat.jpg"}, "features come from elsewhere"),
        ({"image": "none.npy"}, "--image=none.npy: cannot be read"),
        ({"label": "9"}, "--label: the run tags images"),
        ({"n": 0}, "n=0: must be at least 1"),
        ({"n": -5}, "n=-5: must be at least 1"),
        ({"seed": 2**31}, "seed=2147483648: must be from 0"),
        ({"image": "²"}, "features come from elsewhere"),
        ({"out": "x.npz"}, "tags are drawn on a sheet"),
    ],
)
def test_mistakes_of_the_command(monkeypatch, run, capsys, flags, said):
    status, printed = sampled(monkeypatch, run, capsys, **flags)
    assert status == 2
    assert said in printed.err
    assert len(printed.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("tags", {"dataset.name": "mnist"}, "system=tags needs tags"),
        ("tags", {"condition.kind": "label"}, "needs features"),
        ("tags", {"best_by": "frechet_distance"}, "choose tag_precision"),
        ("tags", {"dataset.name": "mirflickr"}, "dataset.data_dir is missing"),
        ("tags", {"dataset.classes": "3"}, "tags are not classes"),
        ("tags", {"dataset.near_duplicates": "leave_out"}, "word vectors are not images"),
        ("cgan", {"condition.kind": "features"}, "cgan takes no features"),
        ("gan", {"dataset.name": "glyph_tags"}, "gan makes no tags"),
        ("gan", {"best_by": "tag_precision"}, "gan makes no tags"),
    ],
)
def test_refuses_settings_that_do_not_fit(name, values, said):
    with pytest.raises(UserError, match=said):
        validate(update(load_config(name), values))


def test_the_configs_words_choose_the_data():
    for word, name in (("mirflickr", "mirflickr"), ("table", "tags"), ("", "glyph_tags")):
        config = load_config("tags", f"{word},dataset.data_dir=here")
        assert config.dataset.name == name


def test_sheets_of_features_without_tags():
    """Somebody's own pairs of features and vectors: points on a square."""
    dataset = dataclasses.replace(tag_data.table(), tags=None)
    (sheet,) = sample_sheets.sheets(small_gan(dataset), dataset)
    assert sheet.tagged is None
    assert sheet.latent.condition.shape == (100, 12)
