"""Information between codes and images, in nats.

Source: Chen et al. 2016, eq. 5 (`information_bound`, on generated images), and what Q's reading of
real images says about them (`information_read`, by which the best networks are chosen). Protocol:
`results_images` generated images from the stream of evaluation, as many of them as the row says;
BatchNorm's statistics re-estimated on training images. Beside the bound stands the code's entropy.
"""

import numpy as np


def information_bound(entropy: float, losses: np.ndarray) -> float:
    """L_I = H(c) - E[-log Q(c | x)] on generated images (Chen et al. 2016, eq. 5), in nats.

    At most H(c) for a categorical code. For a continuous one H(c) is a differential entropy and
    the bound has no ceiling; it means something only where Q's deviation is learned.

    Args:
      entropy: of the code's prior, nats.
      losses: -log Q(c | x) of each example, nats, [N].
    """
    return entropy - float(np.mean(losses))


def information_read(probabilities: np.ndarray) -> float:
    """I = H(E q) - E H(q), in nats: how much Q's reading of a categorical code says about images.

    Wants no label, and on real images it is high only where Q is sure of each image and uses all
    its codes (as in Bridle et al. 1991 and Springenberg 2016, section 3). Between 0 and log K.

    Args:
      probabilities: Q(c | x) of each image, [N, K].
    """

    def entropy(p: np.ndarray) -> np.ndarray:
        return -np.sum(p * np.log(np.maximum(p, 1e-30)), axis=-1)

    return float(entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean())
