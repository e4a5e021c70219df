"""Random affine transformations against scipy's, and differentiable augmentation by NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import ndimage

from jaxgan.config import keys
from jaxgan.data.augment import (
    augment,
    augmentations,
    mirror,
    random_affine,
    random_color,
    random_cutout,
    random_translation,
)

IMAGES = jax.random.uniform(jax.random.key(1), (4, 10, 12, 2))
KEY = jax.random.key(0)


def by_scipy(images, rotation, shift, scale):
    """The same transformations, of the same random numbers."""
    angles, sizes, *shifts = np.asarray(jax.random.uniform(KEY, (4, len(images), 1, 1), minval=-1))
    height, width = images.shape[1:3]
    centre, found = np.array([height - 1, width - 1]) / 2, np.empty(images.shape)
    for i, (angle, size) in enumerate(zip(rotation * angles, 1 + scale * sizes, strict=True)):
        cosine, sine = np.cos(angle.item()), np.sin(angle.item())
        turned = np.array([[cosine, -sine], [sine, cosine]]) / size.item()
        moved = np.array([height, width]) * shift * np.array([one[i].item() for one in shifts])
        offset = centre + moved - turned @ centre
        for c in range(images.shape[-1]):
            found[i, ..., c] = ndimage.affine_transform(
                images[i, ..., c], turned, offset, order=1, mode="nearest"
            )
    return found


@pytest.mark.parametrize("strength", [(0.4, 0, 0), (0, 0.2, 0), (0, 0, 0.3), (0.25, 0.07, 0.1)])
def test_equals_scipys(strength):
    found = random_affine(KEY, IMAGES, *strength)
    assert found.shape == IMAGES.shape
    assert found.dtype == IMAGES.dtype
    np.testing.assert_allclose(found, by_scipy(np.asarray(IMAGES), *strength), atol=1e-4)


def test_images_differ_in_their_transformation_and_keys_too():
    same = jnp.tile(IMAGES[:1], (4, 1, 1, 1))
    moved = random_affine(KEY, same, 0.25, 0.07, 0.1)
    others = random_affine(jax.random.key(9), same, 0.25, 0.07, 0.1)
    for one in (*moved[1:], *others):
        assert float(jnp.abs(one - moved[0]).max()) > 0.01


def test_no_strength_is_no_change():
    np.testing.assert_allclose(random_affine(KEY, IMAGES, 0, 0, 0), IMAGES, atol=1e-5)


def test_the_gradient_reaches_every_pixel_that_is_seen():
    """The transformation is linear in the images, so its gradient is the adjoint."""
    moved, pull_back = jax.vjp(lambda x: random_affine(KEY, x, 0.25, 0.07, 0.1), IMAGES)
    other = jax.random.normal(jax.random.key(2), IMAGES.shape)
    left, right = jnp.vdot(moved, other), jnp.vdot(IMAGES, pull_back(other)[0])
    np.testing.assert_allclose(left, right, rtol=1e-4)


# --- Differentiable augmentation

SIGNED = 2 * jax.random.uniform(jax.random.key(2), (64, 16, 24, 3)) - 1


def test_color_changes_brightness_saturation_and_contrast():
    """By NumPy, from the same random numbers; each image has its own."""
    b, s, c = np.asarray(jax.random.uniform(KEY, (3, len(SIGNED), 1, 1, 1)))
    x = np.asarray(SIGNED) + b - 0.5
    grey = x.mean(-1, keepdims=True)
    x = grey + 2 * s * (x - grey)
    mean = x.mean((1, 2, 3), keepdims=True)
    expected = mean + (0.5 + c) * (x - mean)
    np.testing.assert_allclose(random_color(KEY, SIGNED), expected, atol=1e-5)


def test_translation_shifts_by_up_to_an_eighth_and_fills_with_zeros():
    found, seen = np.asarray(random_translation(KEY, SIGNED)), set()
    for image, moved in zip(np.asarray(SIGNED), found, strict=True):
        padded = np.pad(image, ((2, 2), (3, 3), (0, 0)))
        shifts = [
            (i, j)
            for i, j in np.ndindex(5, 7)
            if np.array_equal(padded[i : i + 16, j : j + 24], moved)
        ]
        assert len(shifts) == 1
        seen.update(shifts)
    assert {i for i, _ in seen} == set(range(5))
    assert {j for _, j in seen} == set(range(7))


def test_cutout_clears_a_rectangle_of_half_the_sides():
    found = np.asarray(random_cutout(KEY, SIGNED))
    clear = (found == 0).all(-1)
    for image, original, cut in zip(found, np.asarray(SIGNED), clear, strict=True):
        rows, columns = cut.any(1), cut.any(0)
        np.testing.assert_array_equal(cut, rows[:, None] & columns[None])
        assert np.diff(np.flatnonzero(rows)).max(initial=1) == 1
        np.testing.assert_array_equal(image[~cut], original[~cut])
    # Whole where it lies inside; as often cut off on one side as on the other.
    assert clear.any(2).sum(1).max() == 8
    assert clear.any(1).sum(1).max() == 12
    assert clear.any(2).sum(1).min() < 8
    many = np.asarray(random_cutout(KEY, jnp.ones((2_000, 16, 16, 1)))) == 0
    shares = many.any(2).mean(0)[[0, 15], 0]
    np.testing.assert_allclose(shares, 5 / 17, atol=0.04)


def test_the_range_of_the_pixels_makes_no_difference():
    names = augmentations("color+translation+cutout")
    signed = augment(KEY, SIGNED, names, low=-1)
    unsigned = augment(KEY, (SIGNED + 1) / 2, names, low=0)
    np.testing.assert_allclose(2 * unsigned - 1, signed, atol=1e-5)
    assert float(jnp.abs(signed - SIGNED).mean()) > 0.1


def test_the_gradient_passes_through_the_augmentation(float64):
    images = jnp.asarray(SIGNED[:3, :8, :8], jnp.float64)
    names = augmentations("cutout+translation+color")
    assert names == keys.AUGMENTATIONS == ("color", "translation", "cutout")
    check_grads(lambda x: jnp.sin(augment(KEY, x, names)), (images,), order=1, modes=["rev"])


def test_half_of_the_images_are_mirrored():
    found = np.asarray(mirror(KEY, SIGNED))
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(found, np.asarray(SIGNED), strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(found, np.asarray(SIGNED), strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 16 < sum(turned) < 48
