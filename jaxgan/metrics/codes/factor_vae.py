"""The FactorVAE score: whether holding a factor still holds one code still.

Source: Kim and Mnih 2018, section 4. For each vote a factor k is held at one random value over a
batch of images, all others are drawn afresh; of each code the variance over the batch, divided by
that over all images, is taken, and the code d with the least casts the vote (d, k). The classifier
names for each code the factor that most votes paired it with; the score is how often it is right.

Protocol: 800 votes, each factor in turn, half of them to fit the classifier and the other half to
judge it; batches of 50 (larger in the paper); the variances over all from 2,000 images. The
variance of a category is 1 - sum p^2. A code that never changes does not vote. Units: a share, from
chance, 1 over the number of factors, to 1. Fewer codes than factors cannot reach 1.
"""

from collections.abc import Callable, Sequence

import numpy as np

from jaxgan.data.dataset import Factor
from jaxgan.metrics.codes.variables import variance

VOTES, BATCH, WHOLE = 800, 50, 2_000


def factor_vae_score(
    factors: Sequence[Factor],
    codes_of: Callable[[np.ndarray], Sequence[np.ndarray]],
    votes: int = VOTES,
    batch: int = BATCH,
    seed: int = 0,
) -> float:
    """The score, in [0, 1].

    Args:
      factors: what images are drawn from.
      codes_of: from factors, float64 [N, F], to the codes that are read off the images drawn from
        them, all [N]; of integers a category, of floats a number.
      votes: at least 2 for each factor.
      batch: images for a vote.
      seed: of the factors that are drawn.

    Raises:
      ValueError: if there are fewer votes.
    """
    k = len(factors)
    if votes < 2 * k:
        raise ValueError(f"{votes} votes for {k} factors: at least 2 each")
    generator = np.random.default_rng([seed, 0])
    whole = np.array([variance(code) for code in codes_of(_drawn(factors, generator, WHOLE))])
    if not whole.any():
        return 1 / k
    held = np.arange(votes) % k
    still = np.empty(votes, np.int64)
    together = max(WHOLE // batch, 1)
    for start in range(0, votes, together):
        block = held[start : start + together]
        table = _drawn(factors, generator, len(block) * batch).reshape(len(block), batch, k)
        each = np.arange(len(block))
        table[each, :, block] = table[each, :1, block]
        codes = [code.reshape(len(block), batch) for code in codes_of(table.reshape(-1, k))]
        spreads = np.array([[variance(row) for row in code] for code in codes])
        relative = np.full(spreads.shape, np.inf)
        np.divide(spreads, whole[:, None], out=relative, where=whole[:, None] > 0)
        still[start : start + together] = relative.argmin(axis=0)
    fitted = np.arange(votes) // k % 2 == 0
    counts = np.zeros((len(whole), k), np.int64)
    np.add.at(counts, (still[fitted], held[fitted]), 1)
    return float(np.mean(counts.argmax(axis=1)[still[~fitted]] == held[~fitted]))


def _drawn(factors: Sequence[Factor], generator: np.random.Generator, n: int) -> np.ndarray:
    """Factors of n images, float64 [n, F]."""
    return np.stack([factor.sample(generator, n) for factor in factors], axis=1)
