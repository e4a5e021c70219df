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


# Walks of a sheet, and the images of each; frames of the GIF on the way there.
ROWS, COLUMNS, FRAMES = 10, 10, 24


# Examples among which concepts are looked for.
CANDIDATES = 1_000


def seed_in_names(run: Run) -> int | None:
    """The run's seed, or None where its files' names hold none."""
    return sheet_paths.seed_in_names(run.run_seed, run.config.seeds)


def training(workdir: str, run: Run) -> list[np.ndarray]:
    """The run's own sheets in the order of their steps, each under its step."""
    files = sheet_paths.sheets_of_seed(workdir, seed_in_names(run))
    return [titled(read_png(path), f"step {step:,}") for step, path in files.items()]


def walk(run: Run, draw: Draw, seed: int, way: str = "") -> tuple[np.ndarray, list[np.ndarray]]:
    """A sheet whose row i leads from noise i to noise i + 1, uint8 [H, W, C], and frames in which
    all rows walk there and back side by side. What else the generator is fed stands still in a
    row: its label (each in turn), its codes."""
    drawn, prior = run.latent(ROWS + 1, seed), run.gan.latent.noise_prior
    images = draw(interpolation.series(drawn, np.linspace(0, 1, COLUMNS), prior, way))
    there = draw(interpolation.series(drawn, np.linspace(0, 1, FRAMES), prior, way))
    steps = there.reshape(ROWS, FRAMES, *run.gan.image_shape).swapaxes(0, 1)
    side = run.gan.image_shape[0]
    frames = [enlarged(grid(one, 5), side) for one in steps]
    return grid(images, COLUMNS), [*frames, *frames[-2:0:-1]]


def candidates(
    run: Run, draw: Draw, seed: int, about: dict, workdir: str
) -> tuple[Latent, np.ndarray, tuple[str, ...]]:
    """Examples, what each of them shows (the label of its condition, or what the reference
    classifier reads), int [N], and the labels' names.

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
    """A - B + C: above each concept's three examples that of their mean, beside them the result in
    the middle of eight that are moved a little (figure 7 of the paper).

    Args:
      run: whose images they are.
      draw: its `drawer`.
      drawn, read, names: `candidates`.
      asked: three names, or none for the first three labels of which there are enough.
      seed: of the moves.

    Returns:
      What was calculated, and the sheet, uint8 [H, W, C]; "" and nothing where no concept was asked
      for and there are not three labels.

    Raises:
      UserError: if there is no such label, or it is not shown often enough.
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
    """What makes images of latents, uint8 [N, H, W, C]; compiled once."""
    instruments = NetworkFunctions(run.gan)
    return lambda latent: to_uint8(instruments.sample(run.networks.generator, latent), run.gan.low)
