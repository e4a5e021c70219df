"""Networks of one's own that break the contract are named before anything is trained."""

import flax.linen as nn
import pytest

from jaxgan.common.errors import UserError
from jaxgan.config.presets import base, update
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.registry import Modules
from jaxgan.training.gan import build_gan

CONFIG = update(base(), {"latent.codes": "categorical:3"})


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
        return logit if self.outputs == 1 else (logit, features)


class Q(nn.Module):
    wrapped: bool = True

    @nn.compact
    def __call__(self, features, train):
        logits = nn.Dense(3)(features)
        return (CategoricalParameters(logits) if self.wrapped else logits,)


def build(generator=None, discriminator=None, q=None, config=CONFIG):
    modules = Modules(generator or Generator(), discriminator or Discriminator(), q, -1.0)
    return build_gan(config, (8, 8, 1), None, modules)


def test_networks_that_keep_the_contract_are_accepted():
    assert build(q=Q()).q == Q()


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ({"generator": Generator((64,)), "q": Q()}, r"generator: returns \(2, 64\)"),
        ({"discriminator": Discriminator(1), "q": Q()}, r"discriminator: returns \(2,\)"),
        ({"q": Q(wrapped=False)}, r"q: returns .* for 1 codes"),
        ({"q": None}, "q: a network q needs latent.codes, and"),
    ],
)
def test_networks_that_break_the_contract_are_refused_by_name(networks, said):
    with pytest.raises(UserError, match=said):
        build(**networks)
