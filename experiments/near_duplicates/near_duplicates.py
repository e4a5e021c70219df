"""Whether planted copies of images are found, and whether distinct images are left alone.

TFDS_DATA_DIR=… python experiments/near_duplicates/near_duplicates.py [--dataset=mnist] [--n=10000]

Of n training images 300 each are planted again: moved by a pixel, re-encoded as JPEG of quality 75,
with another brightness and contrast. Prints a table over the number of bits that may differ, and
draws pairs that were found though nobody planted them.
"""

import argparse
import io
import pathlib
import sys

import numpy as np
from PIL import Image

from jaxgan.data.near_duplicates import ALIKE, BITS, REACH, codes, group_of, train_autoencoder
from jaxgan.data.sources import tfds
from jaxgan.reporting.images import grid

HERE = pathlib.Path(__file__).resolve().parent
EACH = 300
SIZES = {"cifar10": 32, "mnist": 28}
SHOWN = 16


def moved(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """By one pixel in one of eight directions; what comes in is the edge on the other side, so
    that it is not what the search itself draws there."""
    down, right = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if d or r][random.integers(8)]
    return np.roll(image, (down, right), axis=(0, 1))


def encoded(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As JPEG and back."""
    written = io.BytesIO()
    Image.fromarray(image.squeeze()).save(written, "JPEG", quality=75)
    return np.asarray(Image.open(written)).reshape(image.shape)


def brightened(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Contrast by a factor of 0.8 to 1.2, brightness by up to 20 of 255, cut at both ends."""
    changed = image * random.uniform(0.8, 1.2) + random.uniform(-20, 20)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


KINDS = {"moved by a pixel": moved, "JPEG 75": encoded, "brightened": brightened}


def main() -> int:
    """Prints the table; writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=SIZES, default="cifar10")
    parser.add_argument("--n", type=int, default=10_000)
    arguments = parser.parse_args()
    size = SIZES[arguments.dataset]
    originals = tfds.load(arguments.dataset, "", size, 0).train.images[: arguments.n]
    n, random = len(originals), np.random.default_rng(0)
    sources = random.permutation(n)[: EACH * len(KINDS)].reshape(len(KINDS), EACH)
    planted = [
        make(originals[place], random)
        for make, places in zip(KINDS.values(), sources, strict=True)
        for place in places
    ]
    images = np.concatenate([originals, planted])
    trained = train_autoencoder(images)
    print(f"{n} images of {arguments.dataset}, {EACH} of each kind planted; found (recall):\n")
    print(f"| bits | moved by | pixels alike | {' | '.join(KINDS)} | precision | others | wrong |")
    print("|---|---|---|" + "---|" * (len(KINDS) + 3))
    chosen = (BITS, REACH, ALIKE)
    ways = ((0, 0, -1), (0, 1, -1), (4, 0, -1), (4, 1, -1), (2, 1, ALIKE), (4, 1, 0.95))
    for bits, reach, alike in (*ways, chosen, (6, 1, ALIKE)):
        group = group_of(lambda some: codes(trained, some), images, bits, reach, alike)
        found = (group[n:] == group[sources.ravel()]).reshape(len(KINDS), EACH)
        # Pairs of originals that share a group: nobody planted these.
        others = n - len(np.unique(group[:n]))
        # Copies that were taken for those of another original.
        wrong = int((np.isin(group[n:], group[:n]) & ~found.ravel()).sum())
        precision = found.sum() / max(1, found.sum() + others + wrong)
        recall = " | ".join(f"{share:.3f}" for share in found.mean(axis=1))
        like = "" if alike < 0 else f"{alike:.2f}"
        row = f"{recall} | {precision:.3f} | {others} | {wrong}"
        print(f"| {bits} | {reach} | {like} | {row} |", flush=True)
        if (bits, reach, alike) == chosen:
            draw(originals, group[:n], HERE / f"{arguments.dataset}.png")
    return 0


def draw(images: np.ndarray, group: np.ndarray, path: pathlib.Path) -> None:
    """The first two of each group of originals, side by side, eight pairs a row."""
    pairs = [np.flatnonzero(group == one)[:2] for one in np.flatnonzero(np.bincount(group) > 1)]
    if pairs:
        shown = images[np.concatenate(pairs[:SHOWN])]
        sheet = Image.fromarray(grid(shown, 8).squeeze())
        sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    sys.exit(main())
