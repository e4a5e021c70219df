"""A generator forgets an object: which maps are dropped, and what dropping them does."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.pixels import to_uint8
from jaxgan.inference.feature_map_ablation import AblatedGenerator, coarse, fit, read_boxes
from jaxgan.models.latents import joined
from jaxgan.models.layers import ConvTranspose
from jaxgan.models.mlp import Discriminator
from jaxgan.models.registry import Modules
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


class Generator(nn.Module):
    """Noise -> 2x2 -> 4x4 with six maps -> 8x8; in the end `joins` gives it the noise again."""

    joins: bool = False
    sample_dropout: bool = False

    @nn.compact
    def __call__(self, latent, train):
        x = nn.Dense(2 * 2 * 3, name="dense")(joined(latent)).reshape(-1, 2, 2, 3)
        x = ConvTranspose(6, (4, 4), (2, 2), name="one")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = nn.Dropout(0.5, deterministic=not (train or self.sample_dropout), name="dropout")(x)
        if self.joins:
            x = jnp.concatenate([x, x[..., :1]], axis=-1)
        return jnp.tanh(ConvTranspose(3, (4, 4), (2, 2), name="image")(x))


def small(generator=None):
    config = update(load_config("gan"), {"latent.noise": 4, "width": 0.05})
    modules = Modules(generator or Generator(), Discriminator(layers=(2,)), None, -1.0)
    gan = build_gan(config, (8, 8, 3), modules=modules)
    return gan, networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))()).generator


def test_dropout_may_stay_on_in_sampling():
    gan, generator = small(Generator(sample_dropout=True))
    images, maps = AblatedGenerator(gan)(generator, gan.latent.sample(jax.random.key(1), 64))
    assert images.shape == (64, 8, 8, 3)
    assert maps.shape == (64, 4, 4, 6)
    _, kept = AblatedGenerator(small()[0])(generator, gan.latent.sample(jax.random.key(1), 64))
    # On average half of what is above 0 without dropout is dropped.
    assert 0.4 < (maps > 0).sum() / (kept > 0).sum() < 0.6


def test_dropping_maps_equals_zeroing_their_weights():
    gan, generator = small()
    latent = gan.latent.sample(jax.random.key(1), 7)
    dropped = np.array([0, 1, 0, 0, 1, 1], bool)
    paint = AblatedGenerator(gan, batch=4)
    assert paint.maps == 6
    images, maps = paint(generator, latent, dropped)

    def by_hand(params):
        tree = generator._asdict() | {"params": params}
        made, seen = jax.jit(
            lambda tree: gan.generator.apply(tree, latent, False, capture_intermediates=True)
        )(tree)
        return to_uint8(made, -1.0), seen["intermediates"]["dropout"]["__call__"][0]

    whole, read = by_hand(generator.params)
    np.testing.assert_allclose(maps, read, atol=1e-6)
    assert maps.shape == (7, 4, 4, 6)
    kernel = np.array(generator.params["image"]["kernel"])
    kernel[:, :, dropped] = 0
    edited, _ = by_hand(
        generator.params | {"image": generator.params["image"] | {"kernel": kernel}}
    )
    np.testing.assert_allclose(images.astype(int), edited, atol=1)
    assert np.abs(images.astype(int) - whole).max() > 5
    np.testing.assert_allclose(paint(generator, latent)[0].astype(int), whole, atol=1)


def test_refuses_a_generator_without_two_final_convolutions():
    with pytest.raises(UserError, match="does not end in two convolutions"):
        AblatedGenerator(build_gan(update(load_config("gan"), {"width": 0.05}), (8, 8, 3)))
    with pytest.raises(UserError, match="does not end in two convolutions"):
        AblatedGenerator(small(Generator(joins=True))[0])


def planted(n=12):
    """Maps of which the first is high inside the marks and the second low, and marks, of 8x8
    pixels; the last two images have no mark, and what is not a number there is never looked at."""
    draw = np.random.default_rng(0)
    marked = np.zeros((n, 8, 8), bool)
    marked[:-2, 2:6, 4:8] = True
    maps = draw.normal(0, 0.3, (n, 4, 4, 4)).astype(np.float32)
    inside = marked[:, ::2, ::2]
    maps[..., 0] += 2 * inside
    maps[..., 1] -= 2 * inside
    maps[-2:] = np.nan
    return maps, marked


def test_the_boundary_finds_the_planted_maps():
    maps, marked = planted()
    found = fit(maps, marked)
    assert (found.positives, found.negatives) == (40, 40)
    assert found.accuracy > 0.95
    assert found.weights[0] > 1
    assert found.weights[1] < -1
    assert np.abs(found.weights[2:]).max() < 0.7
    np.testing.assert_array_equal(found.dropped[:2], [True, False])
    again = fit(maps, marked)
    np.testing.assert_array_equal(again.weights, found.weights)
    assert not np.array_equal(fit(maps, marked, seed=1).weights, found.weights)


@pytest.mark.parametrize("share", [0, 1])
def test_refuses_marks_of_nothing_or_everything(share):
    maps, marked = planted()
    with pytest.raises(UserError, match=f"of 192 positions {192 * share} are marked"):
        fit(maps, np.full_like(marked, share))


def test_a_position_is_marked_where_half_of_its_pixels_are():
    marked = np.zeros((1, 4, 6), bool)
    marked[0, 0, :3] = True
    marked[0, 2:, 4] = True
    marked[0, 3, 0] = True
    np.testing.assert_array_equal(coarse(marked, 2, 3)[0], [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="4x6 pixels are no multiple of 3x3"):
        coarse(marked, 3, 3)


HEADER = "sample,top,left,bottom,right\n"


def test_reads_boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("left,sample,top,right,bottom\n1,2,0,3,1\n0,0,3,4,5\n2,2,0,4,2\n")
    marked = read_boxes(str(path), 3, 5, 4)
    expected = np.zeros((3, 5, 4), bool)
    expected[2, 0, 1:3] = expected[0, 3:5] = expected[2, 0:2, 2:4] = True
    np.testing.assert_array_equal(marked, expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample,top,left,bottom\n", "first line is not sample,top,left,bottom,right"),
        ("", "first line is not"),
        (
            HEADER + "0,0,0,1,1\n3,0,0,1,1\n",
            r"line 3: 3,0,0,1,1 is no box in one of 3 images of 5x4",
        ),
        (HEADER + "0,0,0,6,1\n", "is no box"),
        (HEADER + "0,0,0,1,5\n", "is no box"),
        (HEADER + "0,2,0,2,1\n", "is no box"),
        (HEADER + "0,-1,0,2,1\n", "'-1' is not a whole number"),
        (HEADER + "0,1,0,2\n", "None is not a whole number"),
    ],
)
def test_refuses_mistakes_in_boxes(tmp_path, text, said):
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_boxes(str(path), 3, 5, 4)
    with pytest.raises(UserError, match="cannot be read"):
        read_boxes(str(tmp_path / "absent.csv"), 3, 5, 4)
