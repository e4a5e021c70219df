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

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

SIGMAS = tuple(float(sigma) for sigma in np.logspace(-1, 0, 10))
# Points per block: 500 x 10,000 distances in float64 are 40 MB.
_BLOCK = 500
# Bytes of a block of images in float64. 10,000 images of 28x28 fit into one; of 256x256x3 they
# would take 16 GB.
_BLOCK_BYTES = 2**26


def parzen_log_likelihood(samples: np.ndarray, points: np.ndarray, sigma: float) -> np.ndarray:
    """The log-likelihood of each point, in nats.

    Args:
      samples: generated images, [M, ...]: uint8, or floats in [0, 1].
      points: real images, [N, ...], likewise.
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
    dimensions = int(np.prod(samples.shape[1:]))
    most = max(_BLOCK_BYTES // (8 * dimensions), 1)
    # Centred, |a|^2 + |b|^2 - 2 a.b cancels less.
    blocks = (_flat(samples[i : i + most]).sum(axis=0) for i in range(0, len(samples), most))
    centre = sum(blocks) / len(samples)

    def windows() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for start in range(0, len(samples), most):
            block = _flat(samples[start : start + most]) - centre
            yield start, block, np.square(block).sum(axis=1)

    # Converted once if they fit into one block, otherwise again for each block of points.
    once = list(windows()) if len(samples) <= most else None
    out = np.empty((len(sigmas), len(points)))
    for start in range(0, len(points), min(_BLOCK, most)):
        block = _flat(points[start : start + min(_BLOCK, most)]) - centre
        squared = _squared_distances(block, once or windows(), len(samples))
        for row, sigma in zip(out, sigmas, strict=True):
            row[start : start + len(block)] = _log_mean_exp(squared, -0.5 / sigma**2)
    return out - dimensions * np.log(np.asarray(sigmas) * np.sqrt(2 * np.pi))[:, None]


def _squared_distances(
    points: np.ndarray, windows: Iterable[tuple[int, np.ndarray, np.ndarray]], count: int
) -> np.ndarray:
    """Between points [P, D] and `count` samples, float64 [P, count]. The samples come in blocks:
    the index of the first, the samples [B, D] and their squared lengths [B]."""
    squared = np.empty((len(points), count))
    for start, samples, lengths in windows:
        part = squared[:, start : start + len(samples)]
        np.matmul(points, samples.T, out=part)
        part *= -2
        part += lengths
    squared += np.square(points).sum(axis=1)[:, None]
    # Rounding may make a distance of 0 negative.
    return np.maximum(squared, 0, out=squared)


def _flat(images: np.ndarray) -> np.ndarray:
    """Images as float64 [N, D], with uint8 pixels in [0, 1]."""
    flat = images.reshape(len(images), -1)
    return (flat / np.float32(255) if flat.dtype == np.uint8 else flat).astype(np.float64)


def _log_mean_exp(squared: np.ndarray, scale: float) -> np.ndarray:
    """log mean_j exp(scale * squared_ij) for a scale below 0, without overflow."""
    least = squared.min(axis=1, keepdims=True)
    terms = squared - least
    terms *= scale
    np.exp(terms, out=terms)
    return scale * least[:, 0] + np.log(terms.mean(axis=1))
