"""Interpolation and arithmetic on a generator's noise (Radford et al. 2016, sections 6.1, 6.3.2).

The path between two noises depends on the prior. Gaussian noise of 100 dimensions has a norm near
10, but the middle of a straight line has one near 7, which the generator never saw in training. On
the arc of a great circle (White 2016, "Sampling Generative Networks") the norm changes evenly.
Uniform noise is interpolated linearly, as in the DCGAN's own code: the line stays inside the cube,
though nearer to its centre than samples are. An arc would leave the cube, so the spherical path
between uniform noises goes through Gaussian noise with the same quantiles.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri

from jaxgan.models.latents import UNIFORM, Latent

WAYS = ("linear", "spherical")
# The default way for each prior, that of its source.
OF_PRIOR = {"normal": "spherical"} | dict.fromkeys(UNIFORM, "linear")
# Radford et al.: noises in each mean, and the range of the perturbation around the result.
EACH, SCALE = 3, 0.25
# Quantiles are clipped: that of 0 is infinite.
_TAIL = 1e-6


# --- Interpolation


def linear(a: jax.Array, b: jax.Array, shares: jax.Array) -> jax.Array:
    """The straight line (1 - t) a + t b, from a and b [N] and t = shares [S] to [S, N]."""
    t = shares[:, None]
    return (1 - t) * a[None] + t * b[None]


def spherical(a: jax.Array, b: jax.Array, shares: jax.Array) -> jax.Array:
    """The arc on which direction and norm change evenly from a to b; shapes as in `linear`.

    If the norms are equal, this is Shoemake's slerp. If the arc is not unique (equal or opposite
    directions, or a zero vector), it is the straight line.
    """
    t = shares[:, None]
    norm_a, norm_b = jnp.linalg.norm(a), jnp.linalg.norm(b)
    cosine = jnp.vdot(a, b) / jnp.maximum(norm_a * norm_b, jnp.finfo(a.dtype).tiny)
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))
    sine = jnp.sin(angle)
    direction = (jnp.sin((1 - t) * angle) / sine) * (a / norm_a)[None]
    direction += (jnp.sin(t * angle) / sine) * (b / norm_b)[None]
    arc = ((1 - t) * norm_a + t * norm_b) * direction
    unique = (sine > 1e-3) & (norm_a > 0) & (norm_b > 0)
    return jnp.where(unique, arc, linear(a, b, shares))


def between(a: jax.Array, b: jax.Array, shares: jax.Array, prior: str, way: str = "") -> jax.Array:
    """Interpolates from a to b on a path that suits the prior: [S, N], inside the cube for uniform
    noise.

    Args:
      a, b: samples of the prior, [N].
      shares: positions on the path, [S], 0 at a and 1 at b.
      prior: "normal" or one of the uniform ones, as in `latents.LatentSpec`.
      way: "linear" or "spherical"; "" is the prior's own (`OF_PRIOR`).
    """
    if (way or OF_PRIOR[prior]) == "linear":
        return linear(a, b, shares)
    if prior == "normal":
        return spherical(a, b, shares)
    low, high = UNIFORM[prior]

    def gaussian(x: jax.Array) -> jax.Array:
        return ndtri(jnp.clip((x - low) / (high - low), _TAIL, 1 - _TAIL))

    return low + (high - low) * ndtr(spherical(gaussian(a), gaussian(b), shares))


def series(latents: Latent, shares: np.ndarray, prior: str, way: str = "") -> Latent:
    """Interpolates from each noise to the next, with the codes and condition of the first.

    Args:
      latents: R + 1 samples.
      shares, prior, way: as in `between`.

    Returns:
      R * S latents, path by path.
    """
    t = jnp.asarray(shares, latents.noise.dtype)
    paths = jax.vmap(lambda a, b: between(a, b, t, prior, way))
    noise = paths(latents.noise[:-1], latents.noise[1:])
    repeated: Latent = jax.tree.map(lambda x: jnp.repeat(x[:-1], len(t), axis=0), latents)
    return repeated._replace(noise=noise.reshape(-1, noise.shape[-1]))


# --- Arithmetic


def pick(labels: np.ndarray, concepts: Sequence[int], each: int = EACH) -> np.ndarray | None:
    """Picks the first examples of each concept, none twice even if a concept recurs (A - A + C).

    Args:
      labels: the concept that each example shows, int [N].
      concepts: K concepts.
      each: number of examples for each.

    Returns:
      Indices, int [K, each]; None if a concept has too few examples.
    """
    unused = np.ones(len(labels), bool)
    picked = []
    for concept in concepts:
        indices = np.flatnonzero(unused & (labels == concept))[:each]
        if len(indices) < each:
            return None
        unused[indices] = False
        picked.append(indices)
    return np.stack(picked)


def means(latent: Latent, indices: np.ndarray) -> Latent:
    """The mean latent of each of K concepts.

    Args:
      latent: leaves [N, ...].
      indices: which of the N belong to each concept, int [K, each].

    Returns:
      Leaves [K, ...].
    """
    return jax.tree.map(lambda x: jnp.mean(x[indices], axis=1), latent)


def combined(mean: Latent) -> Latent:
    """The latent A - B + C of three means, leaves [3, ...] -> [1, ...]: noise, codes, condition."""
    return jax.tree.map(lambda x: (x[0] - x[1] + x[2])[None], mean)


def around(key: jax.Array, centre: Latent, n: int = 9, scale: float = SCALE) -> Latent:
    """n copies of one latent, with uniform noise in [-scale, scale] added to all but the middle one
    (Radford et al. 2016, figure 7: 9 copies, 0.25)."""
    copies: Latent = jax.tree.map(lambda x: jnp.repeat(x, n, axis=0), centre)
    noise = jax.random.uniform(key, copies.noise.shape, copies.noise.dtype, -scale, scale)
    return copies._replace(noise=copies.noise + noise.at[n // 2].set(0))
