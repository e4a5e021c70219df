"""Walks through a generator's noise, and arithmetic on it (Radford et al. 2016, sections 6.1, 6.3).

Which way leads from one noise to another depends on the prior. Of 100 numbers a Gaussian noise has
a length near 10, and the middle of a straight line one near 7, which the generator was never fed;
on the arc of a great circle (White 2016, "Sampling Generative Networks") the length goes from one's
to the other's. For uniform noise the straight line is the way of the DCGAN's own code, and stays
inside the cube, though it comes nearer to its middle than a draw does; an arc would leave the cube,
so that the spherical way leads through the Gaussian noise that has the same quantiles.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri

from jaxgan.models.latents import Latent

WAYS = ("linear", "spherical")
# What stands under "the way of the prior": its source's.
OF_PRIOR = {"normal": "spherical", "uniform": "linear", "hypercube": "linear"}
# Lower ends of the uniform priors; the upper one is 1.
_LOW = {"uniform": -1.0, "hypercube": 0.0}
# The paper's: noises in a mean, and how far the numbers around its result are moved.
EACH, SCALE = 3, 0.25
# A quantile of 0 has no number.
_TAIL = 1e-6


# --- From one noise to another


def linear(a: jax.Array, b: jax.Array, shares: jax.Array) -> jax.Array:
    """The straight line: (1 - share) a + share b.

    Args:
      a, b: [N].
      shares: [S], 0 at a and 1 at b.

    Returns:
      [S, N].
    """
    t = shares[:, None]
    return (1 - t) * a[None] + t * b[None]


def spherical(a: jax.Array, b: jax.Array, shares: jax.Array) -> jax.Array:
    """The arc: the direction turns evenly from a's to b's, the length goes evenly from |a| to |b|
    (equal to Shoemake's slerp where the lengths are).

    Args and result as `linear`'s; where there is no one arc, because the directions are equal or
    opposite or there is none (0), it is the straight line.
    """
    t = shares[:, None]
    long_a, long_b = jnp.linalg.norm(a), jnp.linalg.norm(b)
    cosine = jnp.vdot(a, b) / jnp.maximum(long_a * long_b, jnp.finfo(a.dtype).tiny)
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))
    sine = jnp.sin(angle)
    turned = (jnp.sin((1 - t) * angle) / sine) * (a / long_a)[None]
    turned += (jnp.sin(t * angle) / sine) * (b / long_b)[None]
    arc = ((1 - t) * long_a + t * long_b) * turned
    there = (sine > 1e-3) & (long_a > 0) & (long_b > 0)
    return jnp.where(there, arc, linear(a, b, shares))


def between(a: jax.Array, b: jax.Array, shares: jax.Array, prior: str, way: str = "") -> jax.Array:
    """From a to b on a way that suits the prior.

    Args:
      a, b: [N], of the prior.
      shares: [S], 0 at a and 1 at b.
      prior: "normal", "uniform" or "hypercube", as in `latents.LatentSpec`.
      way: "linear", "spherical", or "" for `OF_PRIOR`.

    Returns:
      [S, N]; for uniform noise inside the cube.
    """
    if (way or OF_PRIOR[prior]) == "linear":
        return linear(a, b, shares)
    if prior == "normal":
        return spherical(a, b, shares)
    low = _LOW[prior]

    def gaussian(x: jax.Array) -> jax.Array:
        return ndtri(jnp.clip((x - low) / (1 - low), _TAIL, 1 - _TAIL))

    return low + (1 - low) * ndtr(spherical(gaussian(a), gaussian(b), shares))


def series(drawn: Latent, shares: np.ndarray, prior: str, way: str = "") -> Latent:
    """Row i leads from noise i to noise i + 1, with the codes and the condition of i.

    Args:
      drawn: R + 1 draws.
      shares: float [S].
      prior, way: as `between`'s.

    Returns:
      R * S examples, row by row.
    """
    t = jnp.asarray(shares, drawn.noise.dtype)
    leg = jax.vmap(lambda a, b: between(a, b, t, prior, way))
    noise = leg(drawn.noise[:-1], drawn.noise[1:])
    held: Latent = jax.tree.map(lambda x: jnp.repeat(x[:-1], len(t), axis=0), drawn)
    return held._replace(noise=noise.reshape(-1, noise.shape[-1]))


# --- Arithmetic


def pick(read: np.ndarray, concepts: Sequence[int], each: int = EACH) -> np.ndarray | None:
    """Examples of each concept, none of them twice (a concept may be there twice: A - A + C).

    Args:
      read: what each example shows, int [N].
      concepts: K of these.
      each: how many of each.

    Returns:
      Places, int [K, each], the first ones; None where there are too few.
    """
    free = np.ones(len(read), bool)
    found = []
    for concept in concepts:
        places = np.flatnonzero(free & (read == concept))[:each]
        if len(places) < each:
            return None
        free[places] = False
        found.append(places)
    return np.stack(found)


def means(latent: Latent, places: np.ndarray) -> Latent:
    """The mean input of each concept: K examples from places int [K, each]."""
    return jax.tree.map(lambda x: jnp.mean(x[places], axis=1), latent)


def combined(mean: Latent) -> Latent:
    """One example: A - B + C of three means (all of the input: noise, codes and
    condition)."""
    return jax.tree.map(lambda x: (x[0] - x[1] + x[2])[None], mean)


def around(key: jax.Array, centre: Latent, n: int = 9, scale: float = SCALE) -> Latent:
    """One example n times, the middle one as it is, the noise of the others moved by uniform
    numbers from -scale to scale (figure 7 of the paper: 9, 0.25)."""
    every: Latent = jax.tree.map(lambda x: jnp.repeat(x, n, axis=0), centre)
    moved = jax.random.uniform(key, every.noise.shape, every.noise.dtype, -scale, scale)
    return every._replace(noise=every.noise + moved.at[n // 2].set(0))
