"""Modes of stacked digits: how many of the 1,000 a generator draws, and how evenly.

Source: Metz et al. 2017, section 3.3.1; Lin et al. 2018 (PacGAN), section 4.2. A classifier of the
single digits reads each channel of each generated image; the three readings name its mode m. Of the
share g(m) of generated images in each mode, and p(m) of real ones,

    modes hit:   the modes with at least one image
    KL(g || p) = sum_m g(m) log (g(m) / p(m))

Protocol: 26,000 generated images. The direction is generated against data: a mode that is never
drawn costs little, one that is drawn too often much; the other way round every lost mode would make
it infinite. p is the product of the digits' shares in the training split, as the channels are drawn
independently; others take 1 / 1,000 for each, to which MNIST's own p has a KL of 0.004 nats. Even
26,000 real images are not at 0: their expected KL is some (modes - 1) / 2N, 0.019 nats. Units:
modes; nats.
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
      predict: the likeliest class, int [N], of images of one channel, uint8 [N, H, W, 1].
      classes: that it tells apart.

    Raises:
      ValueError: if there are not three channels.
    """
    if images.ndim != 4 or images.shape[-1] != CHANNELS:
        raise ValueError(f"images are {images.shape}, not [N, H, W, {CHANNELS}]")
    read = [predict(images[..., [channel]]) for channel in range(CHANNELS)]
    return mode_of(np.stack(read, axis=1), classes)


def mode_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each mode where channels are drawn independently: float64 [classes^3], from the
    single images' labels, int [n] in [0, classes)."""
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return np.asarray(np.einsum("a,b,c->abc", shares, shares, shares).reshape(-1))


def modes_hit(modes: np.ndarray) -> int:
    """How many different modes there are among int [N]."""
    return len(np.unique(modes))


def kl_to_data(modes: np.ndarray, shares: np.ndarray) -> float:
    """KL(generated || data) in nats.

    Args:
      modes: of generated images, int [N] in [0, M).
      shares: of each mode in the data, [M], summing to 1.

    Returns:
      At least 0; infinite where an image lies in a mode that the data does not have.

    Raises:
      ValueError: if there is no image.
    """
    if not len(modes):
        raise ValueError("no images")
    drawn = np.bincount(modes, minlength=len(shares)) / len(modes)
    met = drawn > 0
    if not shares[met].all():
        return float("inf")
    return max(float(np.sum(drawn[met] * np.log(drawn[met] / shares[met]))), 0.0)
