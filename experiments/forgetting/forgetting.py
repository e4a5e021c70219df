"""A generator forgets an object (Radford et al. 2016, section 6.2). Reads a run on colour images or
on digits (see the README beside this file).

python experiments/forgetting/forgetting.py --workdir=DIR [--mask=green,blue,dark] [--boxes=FILE]
    [--out=FILE.png]
"""

import argparse

import numpy as np
from scipy.ndimage import sobel, uniform_filter

import jaxgan
from jaxgan.inference import feature_map_ablation
from jaxgan.reporting.images import enlarged, grid, save_png

# Samples that are marked, as in the paper, and unseen ones that are looked at afterwards.
MARKED, UNSEEN = 150, 500
# How often as many maps are dropped at random.
CONTROLS = 5
# Of the sheet: columns, and so many times their unseen images are shown.
COLUMNS, TIMES = 10, 2


def green(images: np.ndarray) -> np.ndarray:
    """Pixels that are greener than red and blue by 15 of 255: uint8 [N, H, W, 3] -> bool."""
    red, own, blue = np.moveaxis(images.astype(int), -1, 0)
    return (own > red + 15) & (own > blue + 15)


def blue(images: np.ndarray) -> np.ndarray:
    """Pixels that are bluer than red by 10."""
    red, _, own = np.moveaxis(images.astype(int), -1, 0)
    return own > red + 10


def dark(images: np.ndarray) -> np.ndarray:
    """Pixels under 60 in the mean of their channels."""
    return np.asarray(images.mean(-1) < 60)


def horizontal(images: np.ndarray) -> np.ndarray:
    """Bright pixels whose surroundings, 5x5, change more downwards than sideways."""
    return _strokes(images, 1)


def vertical(images: np.ndarray) -> np.ndarray:
    """The same sideways."""
    return _strokes(images, 2)


def _strokes(images: np.ndarray, axis: int) -> np.ndarray:
    x = images.mean(-1)
    along, across = (uniform_filter(sobel(x, i) ** 2, (0, 5, 5)) for i in (axis, 3 - axis))
    return (x > 127) & (along > 1.5 * across)


MASKS = {one.__name__: one for one in (green, blue, dark, horizontal, vertical)}


def main() -> None:
    """Prints the table, and writes the sheet of the first mask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--mask", default="green", help=", ".join(MASKS))
    parser.add_argument("--boxes", help="CSV: sample,top,left,bottom,right, of sampled.png's noise")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    run = jaxgan.load(arguments.workdir)
    paint, generator = feature_map_ablation.AblatedGenerator(run.gan), run.networks.generator
    images, maps = paint(generator, run.latent(MARKED, seed=0))
    before, _ = paint(generator, run.latent(UNSEEN, seed=1))
    marks = {name: MASKS[name](images) for name in arguments.mask.split(",")}
    if arguments.boxes:
        shape = images.shape[:3]
        marks = {arguments.boxes: feature_map_ablation.read_boxes(arguments.boxes, *shape)}
    print("| marked | positions | told apart | maps dropped | share before | after | at random |")
    print("|---|---|---|---|---|---|---|")
    for name, marked in marks.items():
        boundary = feature_map_ablation.fit(maps, marked)

        def draw(dropped: np.ndarray) -> np.ndarray:
            return paint(generator, run.latent(UNSEEN, seed=1), dropped)[0]

        after = draw(boundary.dropped)
        others = [draw(at_random(boundary.dropped, seed)) for seed in range(CONTROLS)]
        shares = ["-"] * 3
        if name in MASKS:
            share = [np.mean(MASKS[name](one)) for one in (before, after, *others)]
            shares = [f"{one:.2%}" for one in (share[0], share[1], np.mean(share[2:]))]
        print(
            f"| {name} | {boundary.positives} | {boundary.accuracy:.3f} |"
            f" {boundary.dropped.sum()} of {paint.maps} | {' | '.join(shares)} |"
        )
        if name in MASKS:
            told = MASKS[name](before)
            for kind, one in (("these", after), ("at random", others[0])):
                moved = np.abs(one.astype(int) - before).mean(-1)
                print(f"({kind}: marked pixels move by {moved[told].mean():.0f} of 255,", end=" ")
                print(f"others by {moved[~told].mean():.0f})")
        if arguments.out and name == next(iter(marks)):
            there = MASKS[name](before).mean((1, 2)) > 0.05 if name in MASKS else slice(None)
            write(arguments.out, [one[there] for one in (before, after, others[0])])


def at_random(dropped: np.ndarray, seed: int) -> np.ndarray:
    """As many maps, drawn at random."""
    return np.random.default_rng(seed).permutation(dropped)


def write(path: str, rows: list[np.ndarray]) -> None:
    """Sheets one above the other, each row of images as it was drawn in each of the ways."""
    parts = []
    for i in range(TIMES):
        part = slice(i * COLUMNS, (i + 1) * COLUMNS)
        parts.append(grid(np.concatenate([one[part] for one in rows]), COLUMNS))
    save_png(path, enlarged(np.concatenate(parts), rows[0].shape[1]))


if __name__ == "__main__":
    main()
