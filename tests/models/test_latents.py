import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.common.errors import UserError
from jaxgan.models.latents import Code, LatentSpec, parse_codes


def test_codes_are_read():
    assert parse_codes("categorical:10+uniform:2+gaussian") == (
        Code("categorical", 10),
        Code("uniform"),
        Code("uniform"),
        Code("gaussian"),
    )
    assert parse_codes("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "categorical",
        "categorical:1",
        "categorical:1001",
        "categorical:" + 5_000 * "9",
        "categorical:²",
        "uniform:0",
        "uniform:-1",
        "uniform:1000000000",
        "foo",
        "categorical:x",
    ],
    ids=lambda text: text[:20],
)
def test_bad_codes_are_refused(text):
    with pytest.raises(UserError, match=r"latent\.codes"):
        parse_codes(text)


def test_entropies():
    assert Code("categorical", 10).entropy == pytest.approx(2.302585)
    assert Code("uniform").entropy == pytest.approx(math.log(2))
    assert Code("gaussian").entropy == pytest.approx(1.418939)


@settings(max_examples=20)
@given(
    # Few values: each new shape is compiled.
    counts=st.lists(st.sampled_from([2, 6]), max_size=3),
    uniform=st.integers(0, 2),
    n=st.sampled_from([1, 2, 40]),
    prior=st.sampled_from(["normal", "uniform"]),
)
def test_samples_have_the_shapes_and_supports_of_the_prior(counts, uniform, n, prior):
    codes = tuple(Code("categorical", k) for k in counts) + (Code("uniform"),) * uniform
    latent = LatentSpec(5, prior, codes).sample(jax.random.key(n), n)
    assert latent.noise.shape == (n, 5)
    if prior == "uniform":
        assert np.abs(latent.noise).max() <= 1
    for code, drawn in zip(codes, latent.codes, strict=True):
        assert drawn.shape == (n, code.values)
        if code.categorical:
            np.testing.assert_array_equal(np.sort(drawn, axis=1)[:, :-1], 0)
            np.testing.assert_array_equal(drawn.sum(axis=1), 1)
        else:
            assert np.abs(drawn).max() <= 1


def test_codes_are_uniform_and_independent_of_each_other():
    spec = LatentSpec(2, "normal", parse_codes("categorical:4+categorical:4"))
    latent = spec.sample(jax.random.key(0), 8000)
    first, second = (np.asarray(c).argmax(1) for c in latent.codes)
    joint = np.histogram2d(first, second, bins=4)[0] / 8000
    np.testing.assert_allclose(joint, 1 / 16, atol=0.01)


def test_a_categorical_traversal_has_a_value_a_row_and_a_noise_a_column():
    spec = LatentSpec(3, "normal", parse_codes("categorical:4+uniform"))
    latent, columns = spec.traversal(jax.random.key(0), 0, columns=5)
    assert columns == 5
    values = np.asarray(latent.codes[0]).argmax(1).reshape(4, 5)
    np.testing.assert_array_equal(values, np.repeat(np.arange(4), 5).reshape(4, 5))
    for part in (latent.noise, latent.codes[1]):
        grid = np.asarray(part).reshape(4, 5, -1)
        assert (grid == grid[:1]).all()
        assert len(np.unique(grid[0, :, 0])) == 5


def test_a_continuous_traversal_runs_from_minus_two_to_two():
    spec = LatentSpec(3, "normal", parse_codes("categorical:4+uniform:2"))
    latent, columns = spec.traversal(jax.random.key(0), 2)
    values = np.asarray(latent.codes[2]).reshape(4, columns)
    np.testing.assert_allclose(values[1], np.linspace(-2, 2, columns), rtol=1e-6)
    noise = np.asarray(latent.noise).reshape(4, columns, 3)
    assert (noise == noise[:1, :1]).all()
    np.testing.assert_array_equal(
        np.asarray(latent.codes[0]).argmax(1).reshape(4, columns)[:, 0], range(4)
    )


def test_a_traversal_without_categories_shows_ten_draws():
    spec = LatentSpec(3, "normal", parse_codes("gaussian"))
    latent, columns = spec.traversal(jax.random.key(0), 0)
    noise = np.asarray(latent.noise).reshape(10, columns, 3)
    assert (noise == noise[:, :1]).all()
    assert len(np.unique(noise[:, 0, 0])) == 10


def test_the_unit_uniform_prior_has_variance_one():
    noise = LatentSpec(20, "unit_uniform").sample(jax.random.key(0), 5_000).noise
    assert float(abs(noise).max()) == pytest.approx(3**0.5, abs=0.01)
    # Of 100,000 draws the variance is within .02 of 1, nearly seven of its standard errors.
    assert float(noise.var()) == pytest.approx(1, abs=0.02)
