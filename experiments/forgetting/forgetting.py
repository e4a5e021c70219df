"""Makes a generator forget an object (Radford et al. 2016, section 6.3.1), in a run on colour
images or on digits. README.md has the commands that train it.

python experiments/forgetting/forgetting.py --workdir=DIR [--mask=green,blue,dark] [--boxes=FILE]
    [--out=FILE.png]
"""

import argparse

import numpy as np
from scipy.ndimage import sobel, uniform_filter

import jaxgan
from jaxgan.inference import feature_map_ablation
from jaxgan.inference.pictures import enlarged, grid
from jaxgan.reporting.images import save_png

# Marked samples, as many as in the paper; other samples; random choices of maps as a control.
MARKED, UNSEEN, CONTROLS = 150, 500, 5
# Of the sheet: columns, and groups of rows.
COLUMNS, GROUPS = 10, 2


def green(images: np.ndarray) -> np.ndarray:
    """Pixels with more green than red and blue, by 15 of 255: uint8 [N, H, W, 3] -> bool."""
    red, own, blue = np.moveaxis(images.astype(int), -1, 0)
    return (own > red + 15) & (own > blue + 15)


def blue(images: np.ndarray) -> np.ndarray:
    """Pixels with more blue than red, by 10."""
    red, _, own = np.moveaxis(images.astype(int), -1, 0)
    return own > red + 10


def dark(images: np.ndarray) -> np.ndarray:
    """Pixels whose channels have a mean below 60."""
    return images.mean(-1) < 60


def horizontal(images: np.ndarray) -> np.ndarray:
    """Bright pixels whose 5x5 neighbourhood changes more vertically than horizontally."""
    return _strokes(images, 1)


def vertical(images: np.ndarray) -> np.ndarray:
    """Bright pixels whose 5x5 neighbourhood changes more horizontally than vertically."""
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
    ablated, generator = feature_map_ablation.AblatedGenerator(run.gan), run.networks.generator
    images, maps = ablated(generator, run.latent(MARKED, seed=0))
    before, _ = ablated(generator, run.latent(UNSEEN, seed=1))
    marks = {name: MASKS[name](images) for name in arguments.mask.split(",")}
    if arguments.boxes:
        shape = images.shape[:3]
        marks = {arguments.boxes: feature_map_ablation.read_boxes(arguments.boxes, *shape)}
    print("| marked | positions | accuracy | maps dropped | share before | after | at random |")
    print("|---|---|---|---|---|---|---|")
    for name, marked in marks.items():
        boundary = feature_map_ablation.fit(maps, marked)

        def draw(dropped: np.ndarray) -> np.ndarray:
            return ablated(generator, run.latent(UNSEEN, seed=1), dropped)[0]

        after = draw(boundary.dropped)
        generators = [np.random.default_rng(seed) for seed in range(CONTROLS)]
        controls = [draw(one.permutation(boundary.dropped)) for one in generators]
        shares, large = ["-"] * 3, slice(None)
        if name in MASKS:
            share = [np.mean(MASKS[name](one)) for one in (before, after, *controls)]
            shares = [f"{one:.2%}" for one in (share[0], share[1], np.mean(share[2:]))]
        print(
            f"| {name} | {boundary.positives} | {boundary.accuracy:.3f} |"
            f" {boundary.dropped.sum()} of {ablated.maps} | {' | '.join(shares)} |"
        )
        if name in MASKS:
            mask = MASKS[name](before)
            large = mask.mean((1, 2)) > 0.05
            for kind, one in (("these", after), ("at random", controls[0])):
                moved = np.abs(one.astype(int) - before).mean(-1)
                print(f"({kind}: marked pixels move by {moved[mask].mean():.0f} of 255,", end=" ")
                print(f"others by {moved[~mask].mean():.0f})")
        if arguments.out and name == next(iter(marks)):
            write(arguments.out, [one[large] for one in (before, after, controls[0])])


def write(path: str, versions: list[np.ndarray]) -> None:
    """Writes groups of rows; a group shows the same images in each of their versions."""
    groups = []
    for i in range(GROUPS):
        part = slice(i * COLUMNS, (i + 1) * COLUMNS)
        groups.append(grid(np.concatenate([one[part] for one in versions]), COLUMNS))
    save_png(path, enlarged(np.concatenate(groups), versions[0].shape[1]))


if __name__ == "__main__":
    main()
