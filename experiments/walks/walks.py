"""What lies between two noises, and what sums of noises show (Radford et al. 2016, sections 6.1 and
6.3). Reads a run on labelled images (see the README beside this file).

TFDS_DATA_DIR=… python experiments/walks/walks.py --workdir=DIR [--n=2000]
"""

import argparse
import itertools

import jax
import numpy as np

import jaxgan
from jaxgan import data
from jaxgan.data.pixels import to_uint8
from jaxgan.evaluation.features import RealFeatures
from jaxgan.inference import interpolation
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.trained_run import Run
from jaxgan.metrics.images.frechet import frechet_distance
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Latent

# Frames of a walk from one noise to another, as in jaxgan.walk, and how many walks are looked at.
FRAMES, WALKS = 24, 50
# Noises in a mean, and how often each sum is taken, of other noises.
EACH, TIMES = (1, 3, 10), 5


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--n", type=int, default=2000)
    arguments = parser.parse_args()
    run = jaxgan.load(arguments.workdir)
    dataset = data.load(run.config)
    instruments = NetworkFunctions(run.gan)
    classifier = RealFeatures(dataset).classifier
    unseen = dataset.test.first(arguments.n)

    def draw(latent):
        return to_uint8(instruments.sample(run.networks.generator, latent), run.gan.low)

    between(run, draw, classifier, unseen.images, arguments.n)
    sums(run, draw, classifier)


def between(run: Run, draw, classifier, unseen: np.ndarray, n: int) -> None:
    """The middle of a walk beside its ends, and how large the steps of a walk are."""
    prior = run.gan.latent.noise_prior
    drawn = run.latent(n + 1)
    real = classifier.features(unseen)
    print("| | length of the noise | Fréchet distance | surely read | read as told |")
    print("|---|---|---|---|---|")
    for name, way, share in (
        ("a draw", "linear", 0.0),
        ("middle, linear", "linear", 0.5),
        ("middle, spherical", "spherical", 0.5),
    ):
        latent = interpolation.series(drawn, np.array([share]), prior, way)
        images = draw(latent)
        length = np.linalg.norm(latent.noise, axis=1).mean()
        distance = frechet_distance(real, classifier.features(images))
        probabilities = classifier.probabilities(images)
        sure = np.mean(probabilities.max(axis=1) > 0.9)
        told = "-"
        if isinstance(run.gan.condition, Label):
            asked = np.asarray(latent.condition).argmax(-1)
            told = f"{np.mean(probabilities.argmax(1) == asked):.3f}"
        print(f"| {name} | {length:.2f} | {distance:.2f} | {sure:.3f} | {told} |")
    print(f"\n| way | a step of {FRAMES - 1} | the largest of a walk | from end to end |")
    print("|---|---|---|---|")
    for way in interpolation.WAYS:
        latent = interpolation.series(run.latent(WALKS + 1), np.linspace(0, 1, FRAMES), prior, way)
        images = draw(latent).reshape(WALKS, FRAMES, -1).astype(np.float32)
        steps = np.abs(np.diff(images, axis=1)).mean(-1)
        whole = np.abs(images[:, -1] - images[:, 0]).mean(-1)
        print(f"| {way} | {steps.mean():.2f} | {steps.max(1).mean():.2f} | {whole.mean():.2f} |")


def sums(run: Run, draw, classifier) -> None:
    """How often a mean of noises is read as its label, A - A + C as C and A - B + C as A or C (the
    two stand in it alike)."""
    drawn = run.latent(4000, seed=1)
    read = classifier.predict(draw(drawn))
    print(
        "\n| noises in a mean | the mean as its label | A - A + C as C | A - B + C as A or C | B |"
    )
    print("|---|---|---|---|---|")
    for each in EACH:
        means = _means(drawn, read, each)
        every = jax.tree.map(lambda *x: np.concatenate(x), *means.values())
        right = classifier.predict(draw(every)) == np.repeat(list(means), 2 * TIMES)

        def shown(kinds: list[tuple[int, int, int]], means=means):
            made = [_sum(means, kind, i) for kind in kinds for i in range(TIMES)]
            labels = classifier.predict(draw(jax.tree.map(lambda *x: np.concatenate(x), *made)))
            return labels, np.repeat(kinds, TIMES, axis=0).T

        labels, (_, _, c) = shown([(a, a, c) for a, c in itertools.permutations(means, 2)])
        same = np.mean(labels == c)
        labels, (a, b, c) = shown([k for k in itertools.permutations(means, 3) if k[0] < k[2]])
        part, taken = np.mean((labels == a) | (labels == c)), np.mean(labels == b)
        print(f"| {each} | {right.mean():.3f} | {same:.3f} | {part:.3f} | {taken:.3f} |")
    print(f"({TIMES} of each sum, {len(means)} labels)")


def _means(drawn: Latent, read: np.ndarray, each: int) -> dict[int, Latent]:
    """Of each label that is shown often enough twice `TIMES` means, each of examples of its own."""
    means = {}
    for label in np.unique(read):
        places = np.flatnonzero(read == label)[: 2 * TIMES * each]
        if len(places) == 2 * TIMES * each:
            means[int(label)] = interpolation.means(drawn, places.reshape(-1, each))
    return means


def _sum(means: dict[int, Latent], kind: tuple[int, int, int], i: int) -> Latent:
    """A - B + C of the labels' i-th means; B's are others than A's, so that no example is taken off
    itself in A - A + C."""
    parts = zip(kind, (i, TIMES + i, i), strict=True)
    picked = [jax.tree.map(lambda x, at=at: x[at], means[label]) for label, at in parts]
    return interpolation.combined(jax.tree.map(lambda *x: np.stack(x), *picked))


if __name__ == "__main__":
    main()
