"""The FactorVAE score: whether fixing a factor also fixes one code.

Source: Kim and Mnih 2018, section 4. For each vote, a factor k keeps one random value over a batch
of images while all others vary; the vote is (d, k) for the code d with the least variance over the
batch relative to its variance over all images. A classifier maps each code to the factor of most of
its votes; the score is the classifier's accuracy.

Protocol: 800 votes, over the factors in turn, half to fit and half to test the classifier; batches
of 50 (more in the paper); variances over all images from 2,000. A category's variance is
1 - sum p^2. Constant codes do not vote. A fraction, from chance (1 / number of factors) to 1, which
fewer codes than factors cannot reach.
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
      factors: the factors that images are generated from.
      codes_of: maps factors, float64 [N, F], to the codes predicted for the images generated from
        them, each [N]; integers are a category, floats a number.
      votes: number of votes, at least 2 per factor.
      batch: number of images per vote.
      seed: seed of the random factors.

    Raises:
      ValueError: if there are fewer votes.
    """
    k = len(factors)
    if votes < 2 * k:
        raise ValueError(f"{votes} votes for {k} factors: at least 2 each")
    generator = np.random.default_rng([seed, 0])
    total = np.array([variance(code) for code in codes_of(_drawn(factors, generator, WHOLE))])
    if not total.any():
        return 1 / k
    fixed_factor = np.arange(votes) % k
    fixed_code = np.empty(votes, np.int64)
    votes_per_call = max(WHOLE // batch, 1)
    for start in range(0, votes, votes_per_call):
        block = fixed_factor[start : start + votes_per_call]
        table = _drawn(factors, generator, len(block) * batch).reshape(len(block), batch, k)
        rows = np.arange(len(block))
        table[rows, :, block] = table[rows, :1, block]
        codes = [code.reshape(len(block), batch) for code in codes_of(table.reshape(-1, k))]
        variances = np.array([[variance(row) for row in code] for code in codes])
        relative = np.full(variances.shape, np.inf)
        np.divide(variances, total[:, None], out=relative, where=total[:, None] > 0)
        fixed_code[start : start + votes_per_call] = relative.argmin(axis=0)
    fitted = np.arange(votes) // k % 2 == 0
    counts = np.zeros((len(total), k), np.int64)
    np.add.at(counts, (fixed_code[fitted], fixed_factor[fitted]), 1)
    return float(np.mean(counts.argmax(axis=1)[fixed_code[~fitted]] == fixed_factor[~fitted]))


def _drawn(factors: Sequence[Factor], generator: np.random.Generator, n: int) -> np.ndarray:
    """Random factors of n images, float64 [n, F]."""
    return np.stack([factor.sample(generator, n) for factor in factors], axis=1)
