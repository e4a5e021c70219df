"""A run's sample sheets: the same latents at every step and for every seed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.dataset import Dataset
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.data.tagging.types import Tagged, Tags
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.tagging import generated_tags
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables
from jaxgan.reporting.images import cut, grid, scatter, strip, tag_sheet
from jaxgan.training.gan import Gan

COLUMNS = 10
# Images on a sheet of tags.
TAGGED = 8
# Of a run's strip: sheets, and images of each.
STRIP_ROWS, STRIP_COLUMNS = 10, 25


class Sheet(NamedTuple):
    """One sheet.

    Attributes:
      name: in its file's name, "" or "code_1".
      latent: of its images.
      columns: images in a row.
      before, after: images at the ends of each row, uint8 [rows, H, W, C], or None.
      tagged: for a sheet of tags, the images that are tagged, a row for each.
    """

    name: str
    latent: Latent
    columns: int
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    tagged: tuple[Tags, Tagged] | None = None


def sheets(gan: Gan, dataset: Dataset) -> list[Sheet]:
    """The sheets of a run.

    With codes, one for each code: `LatentSpec.traversal`. With a label condition, a row for each
    label and a column for each noise vector. With masked images, a row for each of ten unseen
    images: its known part, eight fillings, and the image. Of tags, eight unseen images with their
    own tags and generated ones. Otherwise a hundred independent samples.
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
    if isinstance(gan.condition, MaskedImage):
        return [_fillings(gan, gan.condition, dataset, key)]
    latent = gan.latent.sample(key, COLUMNS**2)
    if isinstance(gan.condition, Features):
        assert dataset.train.features is not None
        features = dataset.train.features.at(np.arange(COLUMNS**2) % len(dataset.train))
        sheet = Sheet("", latent._replace(condition=features), COLUMNS)
        if dataset.tags is not None:
            unseen = dataset.tags.split("test")[1].first(TAGGED)
            sheet = sheet._replace(tagged=(dataset.tags, unseen))
        return [sheet]
    return [Sheet("", latent, COLUMNS)]


def _fillings(gan: Gan, condition: MaskedImage, dataset: Dataset, key: jax.Array) -> Sheet:
    _, unseen = dataset.split("validation")
    images = unseen.first(COLUMNS).images
    given = condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
    fills = COLUMNS - 2
    latent = gan.latent.sample(key, len(images) * fills)
    known = to_uint8(given[..., :-1], gan.low)
    return Sheet(
        "", latent._replace(condition=np.repeat(given, fills, axis=0)), fills, known, images
    )


def draw(instruments: NetworkFunctions, generator: Variables, sheet: Sheet) -> np.ndarray:
    """The sheet as a picture, uint8 [H, W, C]."""
    if sheet.tagged is not None:
        return draw_tags(instruments, generator, *sheet.tagged)
    samples = instruments.sample(generator, sheet.latent)
    gan = instruments.gan
    if gan.image_shape[:2] == (1, 1):
        return scatter(samples.reshape(len(samples), -1))
    images = to_uint8(samples, gan.low).reshape(-1, sheet.columns, *gan.image_shape)
    if sheet.before is not None and sheet.after is not None:
        images = np.concatenate([sheet.before[:, None], images, sheet.after[:, None]], axis=1)
    return grid(images.reshape(-1, *gan.image_shape), images.shape[1])


def draw_tags(
    instruments: NetworkFunctions, generator: Variables, tags: Tags, images: Tagged, seed: int = 0
) -> np.ndarray:
    """Images with their own tags and generated ones: uint8 [H, W, 3]. An image whose number is
    negative has no picture."""
    words = tags.vocabulary.words
    made = generated_tags(instruments, generator, tags.vocabulary, images.features, seed)
    return tag_sheet(
        [tags.picture(int(i)) if tags.picture and i >= 0 else None for i in images.numbers],
        [[words[i] for i in own] for own in images.tags],
        [[words[i] for i in listed] for listed in made],
    )


def even_steps(steps: Sequence[int], count: int = STRIP_ROWS) -> list[int]:
    """At most `count` of the steps, ascending, as evenly spaced as possible, with the first and the
    last."""
    known = np.unique(steps)
    targets = np.linspace(known[0], known[-1], count)
    nearest = np.abs(known[:, None] - targets).argmin(axis=0)
    return np.unique(known[nearest]).tolist()


def over_time(gan: Gan, sheet: Sheet, pictures: Mapping[int, np.ndarray]) -> np.ndarray:
    """One sheet at several steps: a row for each step with the sheet's first images, column by
    column, so that its rows (labels, codes) alternate. Points have a square for each step.

    Args:
      gan: of the run.
      sheet: of the run.
      pictures: from `draw`, by step, ascending.

    Returns:
      uint8 [H, W, C].
    """
    if gan.image_shape[:2] == (1, 1):
        return grid(np.stack(list(pictures.values())), 2 if sheet.tagged else 5)
    rows = []
    for picture in pictures.values():
        images = cut(picture, *gan.image_shape[:2])
        if sheet.before is not None:
            images = images[:, 1:-1]
        by_column = images.swapaxes(0, 1).reshape(-1, *gan.image_shape)
        rows.append(by_column[:STRIP_COLUMNS])
    return strip(rows, [f"step {step}" for step in pictures])
