"""Figures of the latent space: walks, latent arithmetic, sheets over training."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.data.dataset import label_number
from jaxgan.evaluation.features import RealFeatures
from jaxgan.inference import interpolation
from jaxgan.inference.pictures import GROUND, enlarged, grid
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Latent
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.images import read_png, titled
from jaxgan.training import run_folder

Draw = Callable[[Latent], np.ndarray]
# Walks on a sheet, images of each, and frames of the GIF from one end to the other.
ROWS, COLUMNS, FRAMES = 10, 10, 24
# Number of samples that the examples of a concept are chosen from.
CANDIDATES = 1_000


def seed_in_names(run: Run) -> int | None:
    """The run's seed for file names, or None if the run has only one seed."""
    return sheet_paths.seed_in_names(run.run_seed, run.config.seeds)


def training(workdir: str, run: Run) -> list[np.ndarray]:
    """The run's readable sheets by ascending step, each with its step as the title."""
    files = sheet_paths.sheets_of_seed(workdir, seed_in_names(run))
    read = {step: read_png(path) for step, path in files.items()}
    return [titled(one, f"step {step:,}") for step, one in read.items() if one is not None]


def walk(run: Run, draw: Draw, seed: int, way: str = "") -> tuple[np.ndarray, list[np.ndarray]]:
    """Interpolates between noise vectors; the label (each in turn) and the codes are constant in a
    row.

    Returns:
      A sheet whose row i leads from noise i to noise i + 1, uint8 [H, W, C], and frames that show
      all rows side by side, from one noise to the next and back.
    """
    latent, prior = run.latent(ROWS + 1, seed), run.gan.latent.noise_prior
    images = draw(interpolation.series(latent, np.linspace(0, 1, COLUMNS), prior, way))
    forward = draw(interpolation.series(latent, np.linspace(0, 1, FRAMES), prior, way))
    steps = forward.reshape(ROWS, FRAMES, *run.gan.image_shape).swapaxes(0, 1)
    frames = [enlarged(grid(step, 5), run.gan.image_shape[0]) for step in steps]
    return grid(images, COLUMNS), [*frames, *frames[-2:0:-1]]


def candidates(
    run: Run, draw: Draw, seed: int, about: dict, workdir: str
) -> tuple[Latent, np.ndarray, tuple[str, ...]]:
    """Latents of examples, the class of each, int [N], and the names of the classes. The class is
    the label of the condition, or else the reference classifier's prediction.

    Raises:
      UserError: if there are no labels, or the classifier's dataset is missing.
    """
    drawn = run.latent(CANDIDATES, seed)
    if isinstance(run.gan.condition, Label):
        return drawn, np.asarray(drawn.condition).argmax(-1), run.label_names
    dataset = data.load(run.config)
    run_folder.check_same_data(workdir, about, dataset)
    classifier = RealFeatures(dataset).classifier
    if classifier is None:
        raise UserError(f"{dataset.name} has no labels that name a concept")
    return drawn, classifier.predict(draw(drawn)), dataset.whole.label_names


def arithmetic(
    run: Run,
    draw: Draw,
    drawn: Latent,
    read: np.ndarray,
    names: tuple[str, ...],
    asked: list[str],
    seed: int,
) -> tuple[str, np.ndarray]:
    """A - B + C on mean latents (Radford et al. 2016, figure 7). The sheet shows three examples and
    the mean of each concept, and the result, surrounded by eight perturbed ones.

    Args:
      run: the trained run.
      draw: the function from `drawer`.
      drawn, read, names: latents, classes and class names, from `candidates`.
      asked: three class names; if empty, the first three classes with enough examples are used.
      seed: seed of the perturbations.

    Returns:
      The formula, and the sheet, uint8 [H, W, C]; "" and an empty sheet if `asked` is empty and
      fewer than three classes have enough examples.

    Raises:
      UserError: if a class does not exist, or has too few examples.
    """
    frequent = [i for i in range(len(names)) if np.sum(read == i) >= interpolation.EACH]
    concepts = [_index(name, names) for name in asked] or frequent[:3]
    places = interpolation.pick(read, concepts) if len(concepts) == 3 else None
    if places is None and not asked:
        return "", np.zeros((0, 0, 1), np.uint8)
    if places is None:
        raise UserError(
            f"of {len(read)} examples too few show {', '.join(asked)}",
            f"there are: {', '.join(names[i] for i in frequent)}",
        )
    mean = interpolation.means(drawn, places)
    key = stream(jax.random.key(seed), "arithmetic")
    result = draw(interpolation.around(key, interpolation.combined(mean)))
    single = draw(jax.tree.map(lambda x: x[places.T.reshape(-1)], drawn))
    left = grid(np.concatenate([single, draw(mean)]), 3)
    right = grid(result, 3)
    right = np.pad(right, ((0, len(left) - len(right)), (4, 0), (0, 0)), constant_values=GROUND)
    sheet = enlarged(np.concatenate([left, right], axis=1), run.gan.image_shape[0])
    formula = "{} - {} + {}".format(*(names[i] for i in concepts))
    return formula, titled(sheet, formula)


def _index(name: str, names: tuple[str, ...]) -> int:
    index = label_number(name, names)
    if index < 0:
        raise UserError(f"--concepts: there is no {name}", f"there are: {', '.join(names)}")
    return index


def drawer(run: Run) -> Draw:
    """Returns a function from latents to images, uint8 [N, H, W, C]."""
    return functools.partial(run.functions.sample_images, run.networks.generator)
