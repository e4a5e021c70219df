"""Modes of stacked digits: how many of the 1,000 a generator covers, and how evenly.

Source: Metz et al. 2017, section 3.3.1; Lin et al. 2018 (PacGAN), section 4.2. A classifier of
single digits predicts each channel of each generated image; the three predictions are its mode m.
With the fractions g(m) of generated and p(m) of real images in each mode,

    modes hit:   the modes with at least one image
    KL(g || p) = sum_m g(m) log (g(m) / p(m))

Protocol: 26,000 generated images. The KL is from generated to data: a missing mode costs little, an
overrepresented one much (in the other direction every missing mode would cost infinity). p is the
product of the digits' frequencies in the training split, as the channels are drawn independently;
others use 1 / 1,000 for each mode, from which MNIST's own p has a KL of 0.004 nats. The expected KL
of N real images is about (modes - 1) / 2N: 0.019 nats for 26,000. Units: modes; nats.
"""

from collections.abc import Callable

import numpy as np

from jaxgan.data.sources.stacked import CHANNELS, mode_of

SAMPLES = 26_000


def modes_read(
    images: np.ndarray, predict: Callable[[np.ndarray], np.ndarray], classes: int
) -> np.ndarray:
    """The mode of each image, int [N] in [0, classes^3).

    Args:
      images: uint8 [N, H, W, 3].
      predict: maps images of one channel, uint8 [N, H, W, 1], to their most likely class, int [N].
      classes: number of classes.

    Raises:
      ValueError: if there are not three channels.
    """
    if images.ndim != 4 or images.shape[-1] != CHANNELS:
        raise ValueError(f"images are {images.shape}, not [N, H, W, {CHANNELS}]")
    read = [predict(images[..., [channel]]) for channel in range(CHANNELS)]
    return mode_of(np.stack(read, axis=1), classes)


def mode_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The frequency of each mode for independent channels, float64 [classes^3], from the labels of
    single images, int [n] in [0, classes)."""
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return np.asarray(np.einsum("a,b,c->abc", shares, shares, shares).reshape(-1))


def modes_hit(modes: np.ndarray) -> int:
    """The number of different modes in int [N]."""
    return len(np.unique(modes))


def kl_to_data(modes: np.ndarray, shares: np.ndarray) -> float:
    """KL(generated || data) in nats.

    Args:
      modes: modes of generated images, int [N] in [0, M).
      shares: frequency of each mode in the data, [M], summing to 1.

    Returns:
      At least 0; infinite if an image lies in a mode that the data lacks.

    Raises:
      ValueError: if there is no image.
    """
    if not len(modes):
        raise ValueError("no images")
    frequencies = np.bincount(modes, minlength=len(shares)) / len(modes)
    g, p = frequencies[frequencies > 0], shares[frequencies > 0]
    if not p.all():
        return float("inf")
    return max(float(np.sum(g * np.log(g / p))), 0.0)
