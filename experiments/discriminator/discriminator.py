"""What a trained and an untrained discriminator respond to, by guided backpropagation (Radford et
al. 2016, section 6.2, figure 5). README.md has the commands that train the run.

TFDS_DATA_DIR=… python experiments/discriminator/discriminator.py --workdir=DIR [--out=FILE.png]
"""

import argparse

import jax
import numpy as np
from scipy.ndimage import maximum_filter

import jaxgan
from jaxgan import data
from jaxgan.inference.feature_maps import convolution_maps
from jaxgan.inference.guided_backprop import GuidedGradients, shown
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.pictures import enlarged, grid
from jaxgan.models.variables import Variables
from jaxgan.reporting.images import save_png
from jaxgan.training.gan import Gan
from jaxgan.training.state import initialise, networks

# Training images that recalibrate BatchNorm; unseen images; rows of the sheet; maps of each image.
STATISTICS, UNSEEN, ROWS, MAPS = 2_000, 1_000, 10, 6


def main() -> None:
    """Prints the table, and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--checkpoint", default="last")
    parser.add_argument("--out", default="discriminator.png")
    arguments = parser.parse_args()
    run = jaxgan.load(arguments.workdir, arguments.checkpoint)
    dataset = data.load(run.config)
    functions, guided_gradients = NetworkFunctions(run.gan), GuidedGradients(run.gan, MAPS)
    train, unseen = dataset.train.first(STATISTICS).images, dataset.test.first(UNSEEN)
    fresh = jax.jit(lambda: networks(initialise(run.gan, jax.random.key(1))))()
    print("| discriminator | gradient on strokes | strokes around | label by the top map | maps |")
    print("|---|---|---|---|---|")
    sheets = []
    for name, raw in (("trained", run.networks.discriminator), ("untrained", fresh.discriminator)):
        discriminator = functions.recalibrate_discriminator(raw, train)
        _, gradients = guided_gradients(discriminator, unseen.images[:100])
        on, around = "-", "-"
        if unseen.images.shape[-1] == 1:
            on, around = (f"{x:.3f}" for x in strokes(unseen.images[:100], gradients))
        top = most_active(run.gan, discriminator, unseen.images)
        correct = "-" if len(dataset.classes) < 2 else f"{label_by_map(top, unseen.labels):.3f}"
        print(f"| {name} | {on} | {around} | {correct} | {len(np.unique(top))} |")
        sheets.append(sheet(shown(gradients[:ROWS])))
    images = grid(unseen.images[:ROWS], 1)
    space = np.full((len(images), 4, images.shape[-1]), images[0, 0, 0])
    whole = np.concatenate([images, space, sheets[0], space, sheets[1]], axis=1)
    save_png(arguments.out, enlarged(whole, unseen.images.shape[1]))


def sheet(gradients: np.ndarray) -> np.ndarray:
    """A row for each image and a column for each map, from uint8 [N, maps, H, W, C]."""
    return grid(gradients.reshape(-1, *gradients.shape[2:]), gradients.shape[1])


def strokes(images: np.ndarray, gradients: np.ndarray) -> tuple[float, float]:
    """The share of the squared gradient on bright pixels (above 127) and their neighbours, and the
    share of such pixels in the bounding box of the gradient."""
    bright = maximum_filter(images.mean(-1) > 127, (0, 3, 3))[:, None]
    squared = np.square(gradients).sum(-1)
    on = (squared * bright).sum((2, 3)) / np.maximum(squared.sum((2, 3)), 1e-30)
    nonzero = squared > 0
    box = _span(nonzero.any(3))[..., :, None] & _span(nonzero.any(2))[..., None, :]
    active = nonzero.any((2, 3))
    around = (box & bright).sum((2, 3)) / np.maximum(box.sum((2, 3)), 1)
    return float(on[active].mean()), float(around[active].mean())


def _span(flags: np.ndarray) -> np.ndarray:
    """True from the first to the last True of the last axis."""
    first = np.maximum.accumulate(flags, axis=-1)
    return first & np.maximum.accumulate(flags[..., ::-1], axis=-1)[..., ::-1]


def most_active(gan: Gan, discriminator: Variables, images: np.ndarray) -> np.ndarray:
    """Each image's most active map of the last convolution, int [N], after the activity of each map
    is standardised over the images."""
    activity = jax.jit(lambda x: convolution_maps(gan, discriminator, x)[-1].max((1, 2)))
    active = np.concatenate([activity(images[i : i + 250]) for i in range(0, len(images), 250)])
    return ((active - active.mean(0)) / (active.std(0) + 1e-6)).argmax(1)


def label_by_map(top: np.ndarray, labels: np.ndarray) -> float:
    """The share of images in the second half whose label is the commonest one of the images in the
    first half with the same most active map."""
    half, correct = len(top) // 2, 0
    for one, label in zip(top[half:], labels[half:], strict=True):
        votes = labels[:half][top[:half] == one]
        correct += len(votes) > 0 and np.bincount(votes).argmax() == label
    return correct / (len(top) - half)


if __name__ == "__main__":
    main()
