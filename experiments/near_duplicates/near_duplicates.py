"""Whether planted copies of images are found, and distinct images are left alone.

TFDS_DATA_DIR=… python experiments/near_duplicates/near_duplicates.py [--dataset=mnist] [--n=10000]

Copies of 300 of n training images are planted in each of three ways: moved by a pixel, re-encoded
as JPEG of quality 75, with another brightness and contrast. Prints a table over the settings of the
search, and draws pairs of images that were found although they were not planted.
"""

import argparse
import io
import pathlib
import sys

import numpy as np
from PIL import Image

from jaxgan.data.near_duplicates import ALIKE, BITS, REACH, codes, group_of, train_autoencoder
from jaxgan.data.sources import tfds
from jaxgan.inference.pictures import grid

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {"cifar10": 32, "mnist": 28}
# Planted copies of each kind, and pairs on the sheet.
EACH, SHOWN = 300, 16


def moved(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Moved by one pixel in one of eight directions. The image wraps around, because the search's
    own moves fill the edge in another way."""
    down, right = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if d or r][random.integers(8)]
    return np.roll(image, (down, right), axis=(0, 1))


def encoded(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Encoded as JPEG and decoded."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file)).reshape(image.shape)


def brightened(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Contrast changed by a factor of 0.8 to 1.2 and brightness by up to 20 of 255, clipped."""
    changed = image * random.uniform(0.8, 1.2) + random.uniform(-20, 20)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


KINDS = {"moved by a pixel": moved, "JPEG 75": encoded, "brightened": brightened}


def main() -> int:
    """Prints the table, and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=SIZES, default="cifar10")
    parser.add_argument("--n", type=int, default=10_000)
    arguments = parser.parse_args()
    size = SIZES[arguments.dataset]
    originals = tfds.load(arguments.dataset, "", size, 0).train.images[: arguments.n]
    n, random = len(originals), np.random.default_rng(0)
    sources = random.permutation(n)[: EACH * len(KINDS)].reshape(len(KINDS), EACH)
    kinds = zip(KINDS.values(), sources, strict=True)
    planted = [copy(originals[i], random) for copy, indices in kinds for i in indices]
    images = np.concatenate([originals, planted])
    trained = train_autoencoder(images)
    print(f"{n} images of {arguments.dataset}, {EACH} of each kind planted; found (recall):\n")
    print(f"| bits | moved by | pixels alike | {' | '.join(KINDS)} | precision | others | wrong |")
    print("|---|---|---|" + "---|" * (len(KINDS) + 3))
    default = (BITS, REACH, ALIKE)
    settings = ((0, 0, -1), (0, 1, -1), (4, 0, -1), (4, 1, -1), (2, 1, ALIKE), (4, 1, 0.95))
    for bits, reach, alike in (*settings, default, (6, 1, ALIKE)):
        group = group_of(lambda some: codes(trained, some), images, bits, reach, alike)
        found = (group[n:] == group[sources.ravel()]).reshape(len(KINDS), EACH)
        # Pairs of originals in one group, which were not planted.
        others = n - len(np.unique(group[:n]))
        # Copies in the group of another original.
        wrong = int((np.isin(group[n:], group[:n]) & ~found.ravel()).sum())
        precision = found.sum() / max(1, found.sum() + others + wrong)
        recall = " | ".join(f"{share:.3f}" for share in found.mean(axis=1))
        correlation = "" if alike < 0 else f"{alike:.2f}"
        row = f"{recall} | {precision:.3f} | {others} | {wrong}"
        print(f"| {bits} | {reach} | {correlation} | {row} |", flush=True)
        if (bits, reach, alike) == default:
            draw(originals, group[:n], HERE / f"{arguments.dataset}.png")
    return 0


def draw(images: np.ndarray, group: np.ndarray, path: pathlib.Path) -> None:
    """Draws the first two images of each group of originals side by side, four pairs a row."""
    pairs = [np.flatnonzero(group == one)[:2] for one in np.flatnonzero(np.bincount(group) > 1)]
    if pairs:
        shown = images[np.concatenate(pairs[:SHOWN])]
        sheet = Image.fromarray(grid(shown, 8).squeeze())
        sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    sys.exit(main())
