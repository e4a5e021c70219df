import dataclasses
import math

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.config.presets import base, update
from jaxgan.data.pixels import to_network
from jaxgan.data.sources import digits
from jaxgan.evaluation.code_metrics import codes_of_real_images
from jaxgan.evaluation.context import GeneratedSamples, make_context
from jaxgan.evaluation.registry import score
from jaxgan.evaluation.results import MetricResult, format_table
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.codes import clustering, information
from jaxgan.metrics.codes.code_accuracy import (
    code_accuracy,
    contingency,
    match_many_to_one,
    match_one_to_one,
)
from jaxgan.metrics.codes.r_squared import r_squared
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.registry import Modules
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise
from jaxgan.training.state import networks as state_networks

LABELS = np.random.default_rng(0).integers(0, 10, 500)


def accuracies(codes, labels, values=10, classes=10):
    counts = contingency(codes, labels, values, classes)
    return tuple(
        code_accuracy(match(counts), codes, labels)
        for match in (match_one_to_one, match_many_to_one)
    )


@settings(max_examples=20)
@given(st.permutations(range(10)))
def test_a_perfect_code_in_any_order_is_perfect(order):
    codes = np.asarray(order)[LABELS]
    assert accuracies(codes, LABELS) == pytest.approx((1, 1))
    assert clustering.normalized_mutual_information(codes, LABELS) == pytest.approx(1)
    assert clustering.adjusted_rand_index(codes, LABELS) == pytest.approx(1)


def test_two_codes_for_one_class_cost_the_hungarian_matching_only():
    labels = np.array([0] * 8 + [1] * 4)
    codes = np.array([0] * 5 + [1] * 3 + [2] * 4)
    assert accuracies(codes, labels, 3, 2) == pytest.approx((9 / 12, 1))


def test_the_contingency_counts_by_hand():
    counts = contingency(np.array([0, 0, 1]), np.array([1, 1, 0]), 2, 3)
    assert counts.tolist() == [[0, 2, 0], [1, 0, 0]]


def test_every_measure_gets_worse_when_codes_are_shuffled():
    generator = np.random.default_rng(1)
    noisy = LABELS.copy()
    places = generator.permutation(500)[:250]
    noisy[places] = generator.integers(0, 10, 250)
    shuffled = generator.permutation(LABELS)
    measures = [
        lambda c: accuracies(c, LABELS)[0],
        lambda c: accuracies(c, LABELS)[1],
        lambda c: clustering.normalized_mutual_information(c, LABELS),
        lambda c: clustering.adjusted_rand_index(c, LABELS),
    ]
    for measure in measures:
        assert measure(LABELS) > measure(noisy) + 0.2 > measure(shuffled) + 0.2


def test_information_read_by_hand():
    sure = np.eye(4)[[0, 1, 2, 3]]
    assert information.information_read(sure) == pytest.approx(math.log(4))
    assert information.information_read(np.full((8, 4), 0.25)) == pytest.approx(0, abs=1e-9)
    assert information.information_read(np.eye(4)[[2, 2, 2]]) == pytest.approx(0, abs=1e-9)


def test_the_bound_of_an_ideal_reader_is_the_entropy():
    assert information.information_bound(math.log(10), np.zeros(5)) == pytest.approx(2.302585)
    nothing = information.information_bound(math.log(10), np.full(5, math.log(10)))
    assert nothing == pytest.approx(0, abs=1e-9)


def test_the_bound_of_a_gaussian_channel_is_its_information():
    """c = x + n of unit variance each: I = log(2) / 2 nats, and the ideal Q is N(c / 2, 1 / 2); a Q
    that is too sure, or reads another image, says less."""
    generator = np.random.default_rng(0)
    code = generator.normal(size=200_000)
    seen = code + generator.normal(size=code.shape)
    entropy = 0.5 * np.log(2 * np.pi * np.e)

    def bound(seen, variance):
        losses = 0.5 * (np.log(2 * np.pi * variance) + (code - seen / 2) ** 2 / variance)
        return information.information_bound(entropy, losses)

    assert bound(seen, 0.5) == pytest.approx(np.log(2) / 2, abs=0.005)
    assert bound(seen, 0.25) < bound(seen, 0.5) - 0.1
    assert bound(generator.permutation(seen), 0.5) < 0


def test_determination_is_scikit_learns_r2():
    from sklearn.metrics import r2_score

    generator = np.random.default_rng(0)
    value = generator.uniform(-1, 1, 100)
    prediction = value + generator.normal(0, 0.2, 100)
    assert r_squared(prediction, value) == pytest.approx(r2_score(value, prediction))


def test_the_score_adds_up_the_codes():
    about = {"split": "validation", "seed": 0, "step": 1, "checkpoint": "last", "protocol": ""}
    rows = [
        MetricResult("code_information", 1.5, "nats", code=0, **about),
        MetricResult("code_information", 0.25, "nats", code=1, **about),
        MetricResult("code_accuracy", 0.9, "share", code=0, **about),
    ]
    assert score("code_information", rows) == pytest.approx(1.75)
    assert math.isnan(score("code_information", rows[2:]))


def test_the_table_averages_over_seeds():
    about = {"unit": "share", "split": "test", "step": 9, "checkpoint": "last", "protocol": ""}
    rows = [MetricResult("nmi", v, seed=s, **about).as_json() for s, v in enumerate((0.5, 0.7))]
    line = format_table(rows).splitlines()[1]
    # Student: 12.706 with one degree of freedom, times .1414 / sqrt(2).
    assert "0.6000 ± 1.2706 (0.5000 to 0.7000)" in line
    assert "last, step 9" in line


@pytest.fixture(scope="module")
def networks():
    gan = build_gan(tiny_config("paper"), (28, 28, 1))
    return gan, jax.jit(lambda: initialise(gan, jax.random.key(0)))()


def test_statistics_are_those_of_the_whole_set(networks):
    """The first BatchNorm's re-estimated statistics are the mean and variance over all images."""
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=20)
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    d, q = instruments.recalibrate_batch_norm(
        state.discriminator.variables, state.q.variables, images
    )
    still = gan.discriminator.clone(momentum=0.0)
    _, whole = apply_network(
        still, state.discriminator.variables, images / np.float32(255), None, train=True
    )
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            d.batch_stats["conv_2_norm"][name], whole["conv_2_norm"][name], rtol=1e-3, atol=1e-6
        )
    assert d.params is state.discriminator.params
    assert q.params is state.q.params


def test_statistics_of_one_batch_are_the_networks_own_at_momentum_0(networks):
    gan, state = networks
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    variables = state.discriminator.variables, state.q.variables
    read = NetworkFunctions(gan, batch=20).recalibrate_batch_norm(*variables, images)

    @jax.jit
    def clones(d, q, images):
        (_, features), of_d = apply_network(
            gan.discriminator.clone(momentum=0.0), d, to_network(images, gan.low), None, train=True
        )
        return of_d, apply_network(gan.q.clone(momentum=0.0), q, features, train=True)[1]

    expected = clones(*variables, images)
    assert len(jax.tree.leaves(expected)) == 6
    for a, b in zip(
        jax.tree.leaves([part.batch_stats for part in read]), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert gan.discriminator.momentum == 0.9


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(not train, momentum=0.7, name="norm")(nn.Dense(4, name="dense")(x))


class OwnDiscriminator(nn.Module):
    """BatchNorm in a module of a module, its momentum nobody's attribute."""

    @nn.compact
    def __call__(self, images, condition, train):
        x = Block(name="block")(images, train)
        features = nn.relu(x.reshape(len(x), -1))
        return nn.Dense(1)(features)[:, 0], features


class OwnQ(nn.Module):
    def setup(self):
        self.norm = nn.BatchNorm()
        self.head = nn.Dense(3)

    def __call__(self, features, train):
        x = self.norm(features, use_running_average=not train)
        return (CategoricalParameters(self.head(x)),)


class OwnGenerator(nn.Module):
    @nn.compact
    def __call__(self, latent, train):
        return nn.Dense(16)(latent.noise).reshape(-1, 4, 4, 1)


def test_networks_of_ones_own_are_read_with_re_estimated_statistics():
    config = update(base(), {"latent.codes": "categorical:3", "latent.noise": 2})
    gan = build_gan(
        config, (4, 4, 1), modules=Modules(OwnGenerator(), OwnDiscriminator(), OwnQ(), 0.0)
    )

    @jax.jit
    def begin(image):
        (_, features), of_d = gan.discriminator.init_with_output(KEY, image, None, train=False)
        of_q = gan.q.init(KEY, features, train=False)
        return [Variables(one["params"], one["batch_stats"]) for one in (of_d, of_q)]

    d, q = begin(np.zeros((2, 4, 4, 1)))
    images = np.random.default_rng(0).uniform(size=(30, 4, 4, 1)).astype(np.float32)
    instruments = NetworkFunctions(gan, batch=10)
    of_d, of_q = instruments.recalibrate_batch_norm(d, q, images)
    norm = of_d.batch_stats["block"]["norm"]
    dense = images @ d.params["block"]["dense"]["kernel"]
    np.testing.assert_allclose(norm["mean"], dense.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm["var"], dense.var((0, 1, 2)), rtol=1e-4, atol=1e-6)
    assert float(np.abs(of_q.batch_stats["norm"]["mean"]).min()) > 0
    [read] = instruments.predict_codes(of_d, of_q, images)
    assert read.logits.shape == (30, 3)


def test_reading_does_not_depend_on_the_company(networks):
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=16)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
    variables = state.discriminator.variables, state.q.variables
    together = instruments.predict_codes(*variables, images)[0].logits
    assert together.shape == (40, 10)
    np.testing.assert_allclose(
        together[30:33],
        instruments.predict_codes(*variables, images[30:33])[0].logits,
        rtol=1e-4,
        atol=1e-6,
    )


KEY = jax.random.key(0)
ABOUT = {"seed": 0, "step": 1, "checkpoint": "last"}


def measured(networks, dataset):
    gan, state = networks
    context = make_context(NetworkFunctions(gan), dataset, 100)
    rows = codes_of_real_images(GeneratedSamples(context, state_networks(state), ABOUT))
    return rows, {(row.name, row.split): row.value for row in rows}


def test_the_score_that_picks_the_best_sees_no_label(networks):
    dataset = digits.load()
    shuffled = np.random.default_rng(0).permutation

    def relabelled(split):
        return dataclasses.replace(split, labels=shuffled(split.labels))

    other = dataclasses.replace(
        dataset,
        train=relabelled(dataset.train),
        validation=relabelled(dataset.validation),
        test=relabelled(dataset.test),
    )
    (rows, values), (other_rows, other_values) = (measured(networks, d) for d in (dataset, other))
    # The same program on the same images.
    assert score("code_information", rows) == score("code_information", other_rows)
    assert values["nmi", "test"] != other_values["nmi", "test"]


def test_a_missing_split_is_stood_in_for_by_name(networks):
    dataset = digits.load()
    empty = dataset.test.first(0)
    _, values = measured(networks, dataclasses.replace(dataset, test=empty))
    assert ("code_accuracy", "validation") in values
    _, values = measured(networks, dataclasses.replace(dataset, test=empty, validation=empty))
    assert {split for _, split in values} == {"train"}


def test_samples_come_in_any_number(networks):
    gan, state = networks
    instruments = NetworkFunctions(gan, batch=16)
    latent = gan.latent.sample(jax.random.key(0), 21)
    images = instruments.sample(state.generator.variables, latent)
    assert images.shape == (21, 28, 28, 1)
    stats = Variables(state.generator.params, state.generator.batch_stats)
    alone = instruments.sample(stats, jax.tree.map(lambda x: x[20:], latent))
    np.testing.assert_allclose(images[20:], alone, rtol=1e-4, atol=1e-6)
