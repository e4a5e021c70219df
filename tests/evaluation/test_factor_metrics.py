"""The rows of codes against known factors."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan.data.sources import glyphs
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.factor_metrics import codes_against_factors, factors_of
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.codes import dci as dci_file
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


@pytest.fixture(scope="module")
def few():
    return glyphs.load(sizes={"train": 120, "validation": 10, "test": 100})


@pytest.fixture(scope="module")
def untrained():
    gan = build_gan(tiny_config("glyphs,continuous"), (28, 28, 1))
    return gan, networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())


class Knowing(NetworkFunctions):
    """Reads digit, rotation and width off an image, because it drew it."""

    def __init__(self, gan, dataset):
        super().__init__(gan)
        self.known = {}
        for split in (dataset.train, dataset.test):
            self.learn(split.images, split.factors)

    def learn(self, images, factors):
        self.known |= {i.tobytes(): row for i, row in zip(images, factors, strict=True)}
        return images

    def recalibrate_batch_norm(self, discriminator, q, images):
        return discriminator, q

    def predict_codes(self, discriminator, q, images):
        from jaxgan.models.infogan import CategoricalParameters, PointParameters

        rows = np.stack([self.known[image.tobytes()] for image in images])
        digit = CategoricalParameters(np.eye(10)[rows[:, 0].astype(int)])
        return digit, PointParameters(-rows[:, 2:3]), PointParameters(rows[:, 3:4])


ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}


def measured(functions, nets, dataset, limit):
    context = make_context(functions, dataset, limit)
    return codes_against_factors(GeneratedSamples(context, nets, ABOUT))


def test_recovers_known_factors(few, untrained, monkeypatch):
    monkeypatch.setattr(dci_file, "TREES", 8)
    gan, nets = untrained
    knowing = Knowing(gan, few)
    dataset = dataclasses.replace(few, draw=lambda table: knowing.learn(few.draw(table), table))
    rows = measured(knowing, nets, dataset, 250)
    values = {(row.name, row.code): row.value for row in rows}
    assert values["factor_r2_rotation", 1] == pytest.approx(1)
    assert values["factor_r2_width", 2] == pytest.approx(1)
    assert values["factor_r2_rotation", 2] < 0.1
    assert values["mig_digit", None] > 0.5 > values["mig_font", None]
    assert values["dci_informativeness_rotation", None] > 0.8
    assert values["dci_informativeness_x", None] < 0.1
    assert values["dci_disentanglement", None] > 0.8
    # 20 votes: three factors of eight.
    assert 2 / 8 <= values["factor_vae_score", None] <= 5 / 8
    assert {row.split for row in rows} == {"test", "drawn anew"}
    assert len({(row.name, row.code) for row in rows}) == len(rows)


def test_measures_an_untrained_q(few, untrained, monkeypatch):
    monkeypatch.setattr(dci_file, "TREES", 2)
    gan, nets = untrained
    rows = measured(NetworkFunctions(gan, batch=50), nets, few, 100)
    assert all(np.isfinite(row.value) for row in rows)
    # Too few images for the votes of the FactorVAE score.
    assert "factor_vae_score" not in {row.name for row in rows}


def test_a_factor_that_does_not_vary_is_left_out(few, untrained, monkeypatch):
    monkeypatch.setattr(dci_file, "TREES", 2)
    gan, nets = untrained
    rows = measured(NetworkFunctions(gan, batch=10), nets, few.only("7"), 1_000)
    names = {row.name for row in rows}
    assert {"mig_digit", "factor_vae_score"}.isdisjoint(names)
    assert "mig_font" in names


def test_factors_come_as_categories_and_numbers(few):
    columns = factors_of(few.test, few.factors)
    assert [np.issubdtype(c.dtype, np.integer) for c in columns] == [True, True] + 6 * [False]
    np.testing.assert_array_equal(columns[0], few.test.labels)
