"""Figures of the latent space: walks, arithmetic, training over time."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.data.pixels import to_uint8
from jaxgan.evaluation.features import RealFeatures
from jaxgan.inference import interpolation
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Latent
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.images import GROUND, enlarged, grid, read_png, titled
from jaxgan.training import run_folder

Draw = Callable[[Latent], np.ndarray]
# Walks on a sheet, images of each, and frames of the GIF from one end to the other.
ROWS, COLUMNS, FRAMES = 10, 10, 24
# Examples that concepts are chosen from.
CANDIDATES = 1_000


def seed_in_names(run: Run) -> int | None:
    """The run's seed, or None where its files' names hold none."""
    return sheet_paths.seed_in_names(run.run_seed, run.config.seeds)


def training(workdir: str, run: Run) -> list[np.ndarray]:
    """The run's sheets in the order of their steps, each with its step as the title."""
    files = sheet_paths.sheets_of_seed(workdir, seed_in_names(run))
    return [titled(read_png(path), f"step {step:,}") for step, path in files.items()]


def walk(run: Run, draw: Draw, seed: int, way: str = "") -> tuple[np.ndarray, list[np.ndarray]]:
    """Interpolates between noise vectors.

    Returns:
      A sheet whose row i leads from noise i to noise i + 1, uint8 [H, W, C], and frames in which
      all rows go there and back side by side. Labels (each in turn) and codes are constant in a
      row.
    """
    drawn, prior = run.latent(ROWS + 1, seed), run.gan.latent.noise_prior
    images = draw(interpolation.series(drawn, np.linspace(0, 1, COLUMNS), prior, way))
    forth = draw(interpolation.series(drawn, np.linspace(0, 1, FRAMES), prior, way))
    steps = forth.reshape(ROWS, FRAMES, *run.gan.image_shape).swapaxes(0, 1)
    side = run.gan.image_shape[0]
    frames = [enlarged(grid(one, 5), side) for one in steps]
    return grid(images, COLUMNS), [*frames, *frames[-2:0:-1]]


def candidates(
    run: Run, draw: Draw, seed: int, about: dict, workdir: str
) -> tuple[Latent, np.ndarray, tuple[str, ...]]:
    """Latents of examples, the class of each, int [N], and the classes' names. The class is the
    label of the condition, or what the reference classifier reads.

    Raises:
      UserError: if there are no labels, or the data of the classifier is not there.
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
    """A - B + C on mean latents: three examples and the mean of each concept, and the result in the
    middle of eight perturbed ones (Radford et al. 2016, figure 7).

    Args:
      run: of the images.
      draw: from `drawer`.
      drawn, read, names: from `candidates`.
      asked: three class names, or none for the first three classes with enough examples.
      seed: of the perturbations.

    Returns:
      The formula, and the sheet, uint8 [H, W, C]; "" and an empty sheet if no concept was asked for
      and there are not three classes.

    Raises:
      UserError: if there is no such class, or too few examples show it.
    """
    concepts = [_number(one, names) for one in asked] or [
        i for i in range(len(names)) if np.sum(read == i) >= interpolation.EACH
    ][:3]
    places = interpolation.pick(read, concepts) if len(concepts) == 3 else None
    if places is None and not asked:
        return "", np.zeros((0, 0, 1), np.uint8)
    if places is None:
        shown = [name for i, name in enumerate(names) if np.sum(read == i) >= interpolation.EACH]
        raise UserError(
            f"of {len(read)} examples too few show {', '.join(asked) or 'three labels'}",
            f"there are: {', '.join(shown)}",
        )
    mean = interpolation.means(drawn, places)
    key = stream(jax.random.key(seed), "arithmetic")
    result = draw(interpolation.around(key, interpolation.combined(mean)))
    single = draw(jax.tree.map(lambda x: x[places.T.reshape(-1)], drawn))
    left = grid(np.concatenate([single, draw(mean)]), 3)
    right = grid(result, 3)
    right = np.pad(right, ((0, len(left) - len(right)), (4, 0), (0, 0)), constant_values=GROUND)
    sheet = enlarged(np.concatenate([left, right], axis=1), run.gan.image_shape[0])
    said = "{} - {} + {}".format(*(names[one] for one in concepts))
    return said, titled(sheet, said)


def _number(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise UserError(f"--concepts: there is no {name}", f"there are: {', '.join(names)}")
    return names.index(name)


def drawer(run: Run) -> Draw:
    """A function from latents to images, uint8 [N, H, W, C], compiled once."""
    instruments = NetworkFunctions(run.gan)
    return lambda latent: to_uint8(instruments.sample(run.networks.generator, latent), run.gan.low)
