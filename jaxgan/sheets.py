"""What a run's sheets show: the same latents at every step and for every seed."""

from typing import NamedTuple

import jax
import numpy as np

from jaxgan.conditions import KnownPart, Label
from jaxgan.data.dataset import Dataset, to_network, to_uint8
from jaxgan.images import grid, scatter
from jaxgan.latents import Latent
from jaxgan.reading import Instruments
from jaxgan.rng import stream
from jaxgan.state import Gan, Variables

COLUMNS = 10


class Sheet(NamedTuple):
    """One sheet: what it is called beside the step ("" or "code_1"), what is drawn, how many images
    a row has, and pictures that stand before and after each row, uint8 [rows, H, W, C]."""

    name: str
    latent: Latent
    columns: int
    before: np.ndarray | None = None
    after: np.ndarray | None = None


def sheets(gan: Gan, dataset: Dataset) -> list[Sheet]:
    """The sheets of a run.

    With codes, one for each: `LatentSpec.traversal`. With labels, a row for each label and a
    column for each noise. With known parts, a row for each of ten unseen images: what is known,
    eight fillings, and the image itself. Otherwise a hundred independent samples.
    """
    key = stream(jax.random.key(0), "sheet")
    if gan.latent.codes:
        return [
            Sheet(f"code_{i}" if i else "", *gan.latent.traversal(key, i))
            for i in range(len(gan.latent.codes))
        ]
    if isinstance(gan.condition, Label):
        rows = len(gan.condition.members)
        latent = jax.tree.map(lambda x: np.tile(x, (rows, 1)), gan.latent.sample(key, COLUMNS))
        return [
            Sheet("", latent._replace(condition=gan.condition.every(COLUMNS, gan.dtype)), COLUMNS)
        ]
    if isinstance(gan.condition, KnownPart):
        return [_fillings(gan, gan.condition, dataset, key)]
    return [Sheet("", gan.latent.sample(key, COLUMNS**2), COLUMNS)]


def _fillings(gan: Gan, condition: KnownPart, dataset: Dataset, key: jax.Array) -> Sheet:
    unseen = dataset.validation if len(dataset.validation) else dataset.train
    images = unseen.first(COLUMNS).images
    told = condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
    fills = COLUMNS - 2
    latent = gan.latent.sample(key, len(images) * fills)
    known = to_uint8(told[..., :-1], gan.low)
    return Sheet(
        "", latent._replace(condition=np.repeat(told, fills, axis=0)), fills, known, images
    )


def draw(instruments: Instruments, generator: Variables, sheet: Sheet) -> np.ndarray:
    """The sheet as a picture, uint8 [H, W, C]."""
    samples = instruments.sample(generator, sheet.latent)
    gan = instruments.gan
    if gan.image_shape[:2] == (1, 1):
        return scatter(samples.reshape(len(samples), -1))
    images = to_uint8(samples, gan.low).reshape(-1, sheet.columns, *gan.image_shape)
    if sheet.before is not None and sheet.after is not None:
        images = np.concatenate([sheet.before[:, None], images, sheet.after[:, None]], axis=1)
    return grid(images.reshape(-1, *gan.image_shape), images.shape[1])
