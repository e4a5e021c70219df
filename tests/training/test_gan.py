"""Networks of one's own that break the contract are named before anything is trained."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import load_config

from jaxgan.common.errors import UserError
from jaxgan.config.presets import base, update
from jaxgan.data.sources import digits
from jaxgan.models.conditions import Label
from jaxgan.models.infogan import CategoricalParameters, PointParameters
from jaxgan.models.registry import Modules
from jaxgan.train import _pixel_means
from jaxgan.training.gan import build_gan, has_convolutions
from jaxgan.training.state import initialise

CONFIG = update(base(), {"latent.codes": "categorical:3"})
CONTINUOUS = update(base(), {"latent.codes": "uniform:1"})


class Generator(nn.Module):
    shape: tuple[int, ...] = (8, 8, 1)

    @nn.compact
    def __call__(self, latent, train):
        return nn.Dense(64)(latent.noise).reshape(-1, *self.shape)


class Discriminator(nn.Module):
    outputs: int = 2

    @nn.compact
    def __call__(self, images, condition, train):
        features = nn.Dense(4)(images.reshape(len(images), -1))
        logit = nn.Dense(1)(features)[:, 0]
        return {1: logit, 2: (logit, features), 3: (logit, (features,))}[self.outputs]


class Q(nn.Module):
    form: str = "right"

    @nn.compact
    def __call__(self, features, train):
        values = nn.Dense(3)(features)
        return {
            "right": (CategoricalParameters(values),),
            "bare": CategoricalParameters(values),
            "not wrapped": (values,),
            "array": values,
            "point": (PointParameters(values[:, :1]),),
            "bare point": PointParameters(values[:, :1]),
        }[self.form]


def build(generator=None, discriminator=None, q=None, config=CONFIG):
    modules = Modules(generator or Generator(), discriminator or Discriminator(), q, -1.0)
    return build_gan(config, (8, 8, 1), None, modules)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("gan", False),
        ("cgan:mlp", False),
        ("cgan", True),
        ("infogan", True),
        ("dcgan:digits", True),
    ],
)
def test_tells_networks_with_convolutions(config, expected):
    config = update(load_config(*config.split(":")), {"width": 0.05})
    condition = Label(10, tuple(range(10))) if config.system == "cgan" else None
    assert has_convolutions(build_gan(config, (28, 28, 1), condition)) == expected


def test_networks_that_keep_the_contract_are_accepted():
    assert build(q=Q()).q == Q()
    assert build(q=Q("point"), config=CONTINUOUS).q == Q("point")


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ({"generator": Generator((64,)), "q": Q()}, r"generator: returns \(2, 64\)"),
        ({"discriminator": Discriminator(1), "q": Q()}, r"discriminator: returns \(2,\)"),
        ({"discriminator": Discriminator(3), "q": Q()}, r"discriminator: returns \(\(2,\), \("),
        *(
            ({"q": Q(form)}, r"q: returns .* for 1 codes")
            for form in ("bare", "not wrapped", "array", "point")
        ),
        ({"q": Q("bare point"), "config": CONTINUOUS}, r"q: returns .* for 1 codes"),
        ({"q": Q("not wrapped"), "config": CONTINUOUS}, r"q: returns .* for 1 codes"),
        ({"q": None}, "q: a network q needs latent.codes, and"),
    ],
)
def test_networks_that_break_the_contract_are_refused_by_name(networks, said):
    with pytest.raises(UserError, match=said):
        build(**networks)


def test_the_generator_starts_from_the_mean_image():
    config = update(load_config("gan", "paper"), {"generator.output_bias": "data", "width": 0.05})
    dataset = digits.load(8)
    means = _pixel_means(config, dataset)
    np.testing.assert_allclose(means, dataset.train.images.mean(axis=0) / 255)
    gan = build_gan(config, (8, 8, 1), pixel_means=means)
    generator = jax.jit(lambda: initialise(gan, jax.random.key(0)))().generator
    bias = np.asarray(generator.params["image"]["bias"], np.float64)
    inside = np.clip(means.reshape(-1), 1e-7, 1 - 1e-7)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), inside, rtol=1e-3)
    # A pixel that is always black does not start at minus infinity.
    assert means.min() < 1e-7
    assert bias.min() == pytest.approx(-16.118, abs=0.01)
    assert _pixel_means(load_config("gan", "paper"), dataset) is None
