"""The Parzen-window estimate of a generator's log-likelihood.

Source: Goodfellow et al. 2014, section 5 and their code (after Breuleux et al. 2011). With an
isotropic Gaussian of standard deviation sigma on each of M generated samples s_j, a test image x of
D numbers has the log-likelihood

    log p(x) = log (1 / M) sum_j exp(-|x - s_j|^2 / (2 sigma^2)) - D log(sigma sqrt(2 pi))

Protocol: M = 10,000 samples; pixels in [0, 1], not binarised; sigma from logspace(-1, 0, 10) with
the best mean over the first 1,000 validation images; then the mean and its standard error over the
10,000 test images. Unit: nats per image (of a density: may be positive, and grows without bound as
sigma falls). The paper warns of its high variance and its weakness in many dimensions; Theis et al.
2016 show that it ranks models wrongly.
"""

from collections.abc import Sequence

import numpy as np

SIGMAS = tuple(float(sigma) for sigma in np.logspace(-1, 0, 10))
# Points per block: 500 x 10,000 distances in float64 are 40 MB.
_BLOCK = 500


def parzen_log_likelihood(samples: np.ndarray, points: np.ndarray, sigma: float) -> np.ndarray:
    """The log-likelihood of each point, in nats.

    Args:
      samples: generated images in [0, 1], [M, ...]; converted to float64.
      points: real images, [N, ...].
      sigma: standard deviation of the window, above 0.

    Returns:
      float64 [N].

    Raises:
      ValueError: if the shapes do not match, there is no sample, or sigma is not above 0.
    """
    return _log_likelihoods(samples, points, (sigma,))[0]


def choose_sigma(
    samples: np.ndarray, validation: np.ndarray, sigmas: Sequence[float] = SIGMAS
) -> float:
    """The sigma with the highest mean log-likelihood of the validation images; the first in a tie.

    Raises:
      ValueError: as `parzen_log_likelihood`, and if there is no validation image.
    """
    if not len(validation):
        raise ValueError("no validation images to choose sigma on")
    means = _log_likelihoods(samples, validation, sigmas).mean(axis=1)
    return float(sigmas[int(means.argmax())])


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error (standard deviation / sqrt(N), divided by N, not N - 1, as in the
    authors' code), in nats, from float64 [N]."""
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def _log_likelihoods(
    samples: np.ndarray, points: np.ndarray, sigmas: Sequence[float]
) -> np.ndarray:
    """float64 [len(sigmas), N]; the costly distances are shared by all sigmas."""
    if samples.shape[1:] != points.shape[1:] or not len(samples):
        raise ValueError(f"samples are {samples.shape}, points {points.shape}")
    if min(sigmas) <= 0:
        raise ValueError(f"sigma must be above 0: {list(sigmas)}")
    windows = samples.reshape(len(samples), -1).astype(np.float64)
    dimensions = windows.shape[1]
    # Centred, |a|^2 + |b|^2 - 2 a.b cancels less.
    centre = windows.mean(axis=0)
    windows -= centre
    lengths = np.square(windows).sum(axis=1)
    out = np.empty((len(sigmas), len(points)))
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK].reshape(-1, dimensions) - centre
        squared = block @ windows.T
        squared *= -2
        squared += lengths
        squared += np.square(block).sum(axis=1)[:, None]
        # Rounding may make a distance of 0 negative.
        np.maximum(squared, 0, out=squared)
        for row, sigma in zip(out, sigmas, strict=True):
            row[start : start + len(block)] = _log_mean_exp(squared, -0.5 / sigma**2)
    return out - dimensions * np.log(np.asarray(sigmas) * np.sqrt(2 * np.pi))[:, None]


def _log_mean_exp(squared: np.ndarray, scale: float) -> np.ndarray:
    """log mean_j exp(scale * squared_ij) for a scale below 0, without overflow."""
    least = squared.min(axis=1, keepdims=True)
    terms = squared - least
    terms *= scale
    np.exp(terms, out=terms)
    return scale * least[:, 0] + np.log(terms.mean(axis=1))
