"""Random affine transformations, against scipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxgan.data.augment import random_affine

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
