"""Interpolation between noise vectors, and sums of noise vectors (Radford et al. 2016, sections 6.1
and 6.3.2), in a run on labelled images. README.md has the commands that train it.

TFDS_DATA_DIR=… python experiments/walks/walks.py --workdir=DIR [--n=2000]
"""

import argparse
import itertools
from collections.abc import Iterable

import jax
import numpy as np

import jaxgan
from jaxgan import data
from jaxgan.evaluation.features import RealFeatures
from jaxgan.inference import interpolation
from jaxgan.inference.trained_run import Run
from jaxgan.metrics.images.frechet import frechet_distance
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Latent
from jaxgan.reporting.latent_figures import drawer

# Frames of a walk from one noise vector to another, as in jaxgan.walk, and the number of walks.
FRAMES, WALKS = 24, 50
# Numbers of noise vectors in a mean, and how often each sum is taken with other ones.
EACH, TIMES = (1, 3, 10), 5


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--n", type=int, default=2000)
    arguments = parser.parse_args()
    run = jaxgan.load(arguments.workdir)
    dataset = data.load(run.config)
    classifier, draw = RealFeatures(dataset).classifier, drawer(run)
    compare_middles(run, draw, classifier, dataset.test.first(arguments.n).images, arguments.n)
    measure_steps(run, draw)
    compare_sums(run, draw, classifier)


def compare_middles(run: Run, draw, classifier, unseen: np.ndarray, n: int) -> None:
    """Compares the middle of walks with their ends."""
    prior = run.gan.latent.noise_prior
    drawn = run.latent(n + 1)
    real = classifier.features(unseen)
    print("| | length of the noise | Fréchet distance | confident | predicted as conditioned |")
    print("|---|---|---|---|---|")
    for name, way, fraction in (
        ("a draw", "linear", 0.0),
        ("middle, linear", "linear", 0.5),
        ("middle, spherical", "spherical", 0.5),
    ):
        latent = interpolation.series(drawn, np.array([fraction]), prior, way)
        images = draw(latent)
        length = np.linalg.norm(latent.noise, axis=1).mean()
        distance = frechet_distance(real, classifier.features(images))
        probabilities = classifier.probabilities(images)
        confident, accuracy = np.mean(probabilities.max(axis=1) > 0.9), "-"
        if isinstance(run.gan.condition, Label):
            labels = np.asarray(latent.condition).argmax(-1)
            accuracy = f"{np.mean(probabilities.argmax(1) == labels):.3f}"
        print(f"| {name} | {length:.2f} | {distance:.2f} | {confident:.3f} | {accuracy} |")


def measure_steps(run: Run, draw) -> None:
    """Prints the mean change of a pixel over a step of a walk and over the whole walk."""
    prior = run.gan.latent.noise_prior
    print(f"\n| way | a step of {FRAMES - 1} | the largest of a walk | from end to end |")
    print("|---|---|---|---|")
    for way in interpolation.WAYS:
        latent = interpolation.series(run.latent(WALKS + 1), np.linspace(0, 1, FRAMES), prior, way)
        images = draw(latent).reshape(WALKS, FRAMES, -1).astype(np.float32)
        steps = np.abs(np.diff(images, axis=1)).mean(-1)
        whole = np.abs(images[:, -1] - images[:, 0]).mean(-1)
        print(f"| {way} | {steps.mean():.2f} | {steps.max(1).mean():.2f} | {whole.mean():.2f} |")


def compare_sums(run: Run, draw, classifier) -> None:
    """How often a mean of noise vectors is classified as its label, A - A + C as C, and A - B + C
    as A or C (which enter it in the same way)."""
    drawn = run.latent(4000, seed=1)
    predicted = classifier.predict(draw(drawn))

    def classify(latents: Iterable[Latent]) -> np.ndarray:
        return classifier.predict(draw(jax.tree.map(lambda *x: np.concatenate(x), *latents)))

    print("\n| noises in a mean | mean as its label | A - A + C as C | A - B + C as A or C | B |")
    print("|---|---|---|---|---|")
    for each in EACH:
        means = _means(drawn, predicted, each)
        correct = classify(means.values()) == np.repeat(list(means), 2 * TIMES)

        def predict(kinds: list[tuple[int, int, int]], means=means):
            labels = classify([_sum(means, kind, i) for kind in kinds for i in range(TIMES)])
            return labels, np.repeat(kinds, TIMES, axis=0).T

        labels, (_, _, c) = predict([(a, a, c) for a, c in itertools.permutations(means, 2)])
        same = np.mean(labels == c)
        labels, (a, b, c) = predict([k for k in itertools.permutations(means, 3) if k[0] < k[2]])
        added, removed = np.mean((labels == a) | (labels == c)), np.mean(labels == b)
        print(f"| {each} | {correct.mean():.3f} | {same:.3f} | {added:.3f} | {removed:.3f} |")
    print(f"({TIMES} of each sum, {len(means)} labels)")


def _means(drawn: Latent, predicted: np.ndarray, each: int) -> dict[int, Latent]:
    """Twice `TIMES` means for each label that is frequent enough; no two means share an example."""
    means = {}
    for label in np.unique(predicted):
        indices = np.flatnonzero(predicted == label)[: 2 * TIMES * each]
        if len(indices) == 2 * TIMES * each:
            means[int(label)] = interpolation.means(drawn, indices.reshape(-1, each))
    return means


def _sum(means: dict[int, Latent], kind: tuple[int, int, int], i: int) -> Latent:
    """A - B + C of the labels' i-th means. B has other means than A, so that A - A + C subtracts no
    example from itself."""
    parts = zip(kind, (i, TIMES + i, i), strict=True)
    means_of_parts = [jax.tree.map(lambda x, at=at: x[at], means[label]) for label, at in parts]
    return interpolation.combined(jax.tree.map(lambda *x: np.stack(x), *means_of_parts))


if __name__ == "__main__":
    main()
