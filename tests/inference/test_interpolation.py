"""Ways from one noise to another, and arithmetic on noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.inference import interpolation
from jaxgan.models.latents import UNIFORM, Code, Latent, LatentSpec

SHARES = np.linspace(0, 1, 7, dtype=np.float32)


def two(n=100, seed=0):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=n) * s for s in (1, 2))


def angle(x, y):
    return np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_spherical_path_has_even_angles_and_lengths():
    a, b = (x.astype(np.float32) for x in two())
    way = np.asarray(interpolation.spherical(a, b, SHARES), np.float64)
    lengths = (1 - SHARES) * np.linalg.norm(a) + SHARES * np.linalg.norm(b)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), lengths, rtol=1e-5)
    whole = angle(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose([angle(a, x) for x in way[1:]], SHARES[1:] * whole, rtol=1e-4)
    np.testing.assert_allclose(
        [angle(x, b) for x in way[:-1]], (1 - SHARES[:-1]) * whole, rtol=1e-4
    )


def test_the_arc_between_equal_lengths_is_shoemakes():
    a, b = (x / np.linalg.norm(x) * 3 for x in two(5))
    omega = angle(a, b)
    t = SHARES[:, None].astype(np.float64)
    slerp = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    np.testing.assert_allclose(
        interpolation.spherical(*map(np.float32, (a, b)), SHARES), slerp, atol=1e-5
    )


@pytest.mark.parametrize("b", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_spherical_path_falls_back_to_the_line(b):
    a, b = jnp.array([1.0, 0.0]), jnp.array(b)
    line = interpolation.linear(a, b, SHARES)
    np.testing.assert_allclose(line[3], (a + b) / 2, atol=1e-6)
    np.testing.assert_allclose(interpolation.spherical(a, b, SHARES), line, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("prior", interpolation.OF_PRIOR)
@pytest.mark.parametrize("way", ["", *interpolation.WAYS])
def test_paths_connect_their_ends_within_the_prior(prior, way):
    a, b = LatentSpec(50, prior).sample(jax.random.key(0), 2).noise
    led = interpolation.between(a, b, SHARES, prior, way)
    np.testing.assert_allclose(led[0], a, atol=1e-4)
    np.testing.assert_allclose(led[-1], b, atol=1e-4)
    if prior != "normal":
        low, high = UNIFORM[prior]
        assert led.min() >= low
        assert led.max() <= high


@pytest.mark.parametrize("prior", interpolation.OF_PRIOR)
def test_the_middle_of_a_spherical_path_follows_the_prior(prior):
    """And that of a line is not: its variance is half as large."""
    ends = LatentSpec(2_000, prior).sample(jax.random.key(1), 2).noise
    middle = jnp.array([0.5])
    variance = {"uniform": 1 / 3, "hypercube": 1 / 12}.get(prior, 1)
    for way, share in (("spherical", 1), ("linear", 0.5)):
        found = np.var(interpolation.between(*ends, middle, prior, way))
        assert found == pytest.approx(share * variance, rel=0.1)


def test_the_default_path_suits_the_prior():
    a, b = LatentSpec(50, "uniform").sample(jax.random.key(0), 2).noise
    for prior, way in (("uniform", interpolation.linear), ("normal", interpolation.spherical)):
        found = interpolation.between(a, b, SHARES, prior)
        np.testing.assert_allclose(found, way(a, b, SHARES), rtol=1e-6, atol=1e-6)


def test_a_series_leads_from_each_noise_to_the_next():
    spec = LatentSpec(6, codes=(Code("categorical", 4),))
    drawn = spec.sample(jax.random.key(0), 4, jnp.eye(4))
    led = interpolation.series(drawn, np.linspace(0, 1, 5), "normal")
    noise = led.noise.reshape(3, 5, 6)
    np.testing.assert_allclose(noise[:, 0], drawn.noise[:-1], atol=1e-5)
    np.testing.assert_allclose(noise[:, -1], drawn.noise[1:], atol=1e-5)
    np.testing.assert_array_equal(led.condition.argmax(-1), np.repeat([0, 1, 2], 5))
    np.testing.assert_array_equal(led.codes[0], np.repeat(drawn.codes[0][:3], 5, axis=0))


def test_picks_each_example_once():
    read = np.array([1, 0, 1, 2, 1, 0, 1, 1, 1, 2])
    np.testing.assert_array_equal(interpolation.pick(read, (1, 1), 2), [[0, 2], [4, 6]])
    np.testing.assert_array_equal(interpolation.pick(read, (2, 0), 1), [[3], [1]])
    assert interpolation.pick(read, (1, 0, 2), 3) is None
    assert interpolation.pick(read, (1, 1), 4) is None


def test_the_mean_of_a_less_that_of_b_plus_that_of_c():
    draw = np.random.default_rng(0)
    latent = Latent(jnp.asarray(draw.normal(size=(9, 4)), jnp.float32), (), jnp.eye(9))
    places = np.array([[0, 3, 5], [1, 2, 4], [6, 7, 8]])
    result = interpolation.combined(interpolation.means(latent, places))
    a, b, c = (np.asarray(latent.noise)[p].mean(0) for p in places)
    np.testing.assert_allclose(result.noise, (a - b + c)[None], atol=1e-6)
    given = np.array([1, -1, -1, 1, -1, 1, 1, 1, 1]) / 3
    np.testing.assert_allclose(result.condition, given[None], atol=1e-6)


def test_perturbs_a_result_in_a_cube():
    centre = Latent(jnp.ones((1, 300)), (), jnp.eye(3)[:1])
    nine = interpolation.around(jax.random.key(0), centre)
    moved = np.asarray(nine.noise) - 1
    assert moved.shape == (9, 300)
    np.testing.assert_array_equal(moved[4], 0)
    others = np.delete(moved, 4, axis=0)
    assert -0.251 < others.min() < -0.24 < 0.24 < others.max() < 0.251
    np.testing.assert_array_equal(nine.condition, np.tile([1, 0, 0], (9, 1)))
