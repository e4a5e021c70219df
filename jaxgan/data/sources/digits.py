"""The built-in dataset: 1,797 scans of handwritten digits that scikit-learn ships.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), the test
part: 13 writers, each scan reduced to 8x8 counts from 0 to 16.
"""

import numpy as np

from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.pixels import resize

SPLIT_SEED = 0


def load(size: int = 28) -> Dataset:
    """The digits, uint8 [N, size, size, 1], in a fixed split stratified by class: two thirds for
    training, a sixth each for validation and test (1,205, 296 and 296 images)."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    labels = scans.target.astype(np.int32)
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)[..., None]
    # Like MNIST's digits, the scans (24x24) get a margin (28x28).
    images = resize(np.pad(resize(images, 24), ((0, 0), (2, 2), (2, 2), (0, 0))), size)
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    generator = np.random.default_rng(SPLIT_SEED)
    for label in range(10):
        members = generator.permutation(np.flatnonzero(labels == label))
        sixth = len(members) // 6
        parts["test"].append(members[:sixth])
        parts["validation"].append(members[sixth : 2 * sixth])
        parts["train"].append(members[2 * sixth :])
    rows = {name: np.sort(np.concatenate(members)) for name, members in parts.items()}
    train, validation, test = (
        Split(images[rows[name]], labels[rows[name]]) for name in ("train", "validation", "test")
    )
    return Dataset("digits", train, validation, test, tuple(map(str, range(10))))
