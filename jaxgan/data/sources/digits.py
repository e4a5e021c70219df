"""The embedded dataset: 1,797 scans of handwritten digits that scikit-learn ships.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), the test
part: 13 writers, each scan reduced to 8x8 counts from 0 to 16.
"""

import numpy as np

from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.pixels import resize

SPLIT_SEED = 0


def load(size: int = 28) -> Dataset:
    """The digits at size x size x 1, in a fixed stratified split: of each class about two thirds
    to train on, a sixth to validate and a sixth to test (1,205, 296 and 296 images)."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    labels = scans.target.astype(np.int32)
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)[..., None]
    images = resize(_enlarge(images), size)
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    generator = np.random.default_rng(SPLIT_SEED)
    for label in range(10):
        members = generator.permutation(np.flatnonzero(labels == label))
        sixth = len(members) // 6
        parts["test"].append(members[:sixth])
        parts["validation"].append(members[sixth : 2 * sixth])
        parts["train"].append(members[2 * sixth :])
    splits = {}
    for name, places in parts.items():
        chosen = np.sort(np.concatenate(places))
        splits[name] = Split(images[chosen], labels[chosen])
    names = tuple(map(str, range(10)))
    return Dataset("digits", splits["train"], splits["validation"], splits["test"], names)


def _enlarge(images: np.ndarray) -> np.ndarray:
    """8x8 -> 28x28 with MNIST's manner: the scan fills 24x24, with a margin of 2."""
    return np.pad(resize(images, 24), ((0, 0), (2, 2), (2, 2), (0, 0)))
