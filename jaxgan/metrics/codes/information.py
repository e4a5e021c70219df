"""Information between codes and images, in nats.

Source: Chen et al. 2016, eq. 5 (`information_bound`, on generated images); `information_read`, the
information in Q's predictions for real images, selects the best checkpoint. Protocol:
`results_images` generated images (each result states the number) from the evaluation's PRNG stream;
BatchNorm is recalibrated on training images. The code's entropy is reported next to the bound.
"""

import numpy as np


def information_bound(entropy: float, losses: np.ndarray) -> float:
    """L_I = H(c) - E[-log Q(c | x)] on generated images (Chen et al. 2016, eq. 5), in nats.

    At most H(c) for a categorical code. For a continuous one H(c) is a differential entropy and
    the bound has no ceiling; it is meaningful only if Q learns the standard deviation.

    Args:
      entropy: H(c) of the code's prior, nats.
      losses: -log Q(c | x) of each example, nats, [N].
    """
    return entropy - float(np.mean(losses))


def information_read(probabilities: np.ndarray) -> float:
    """I = H(E q) - E H(q), in nats: the information in Q's predictions of a categorical code.

    Needs no label. On real images it is high only if Q is certain of each image and uses all codes
    (Bridle et al. 1991; Springenberg 2016, section 3). Between 0 and log K.

    Args:
      probabilities: Q(c | x) of each image, [N, K].
    """

    def entropy(p: np.ndarray) -> np.ndarray:
        return -np.sum(p * np.log(np.maximum(p, 1e-30)), axis=-1)

    return float(entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean())
