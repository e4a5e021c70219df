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
from jaxgan.inference.pictures import grid
from jaxgan.inference.tagging import generated_tags
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables
from jaxgan.reporting.images import cut, scatter, strip, tag_sheet
from jaxgan.training.gan import Gan

# Images in a row of a sheet, and images on a sheet of tags.
COLUMNS, TAGGED = 10, 8
# Of a run's strip: number of steps, and images of each.
STRIP_ROWS, STRIP_COLUMNS = 10, 25


class Sheet(NamedTuple):
    """The inputs of one sheet.

    Attributes:
      name: part of the file name: "" or "code_1".
      latent: the latents of its images.
      columns: number of generated images in a row.
      before, after: real images at the ends of each row, uint8 [rows, H, W, C], or None.
      tagged: for a sheet of tags, the tagged images, a row for each.
    """

    name: str
    latent: Latent
    columns: int
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    tagged: tuple[Tags, Tagged] | None = None


def sheets(gan: Gan, dataset: Dataset) -> list[Sheet]:
    """The sheets of a run.

    With codes: a sheet for each code, by `LatentSpec.traversal`. With a label condition: a row for
    each label and a column for each noise vector. With masked images: a row for each of ten unseen
    images, which shows its known part, eight fillings, and the image. With tags: eight unseen
    images, each with its own and generated tags. Otherwise: a hundred independent samples.
    """
    key = stream(jax.random.key(0), "sheet")
    if gan.latent.codes:
        names = [f"code_{i}" if i else "" for i in range(len(gan.latent.codes))]
        return [Sheet(name, *gan.latent.traversal(key, i)) for i, name in enumerate(names)]
    if isinstance(gan.condition, Label):
        rows = len(gan.condition.members)
        latent = jax.tree.map(lambda x: np.tile(x, (rows, 1)), gan.latent.sample(key, COLUMNS))
        condition = gan.condition.every(COLUMNS, gan.dtype)
        return [Sheet("", latent._replace(condition=condition), COLUMNS)]
    if isinstance(gan.condition, MaskedImage):
        return [_fillings(gan, gan.condition, dataset, key)]
    latent, tagged = gan.latent.sample(key, COLUMNS**2), None
    if isinstance(gan.condition, Features):
        assert dataset.train.features is not None
        features = dataset.train.features.at(np.arange(COLUMNS**2) % len(dataset.train))
        latent = latent._replace(condition=features)
        if dataset.tags is not None:
            tagged = dataset.tags, dataset.tags.split("test")[1].first(TAGGED)
    return [Sheet("", latent, COLUMNS, tagged=tagged)]


def _fillings(gan: Gan, condition: MaskedImage, dataset: Dataset, key: jax.Array) -> Sheet:
    _, unseen = dataset.split("validation")
    images = unseen.first(COLUMNS).images
    known = condition.of(to_network(images, gan.low, gan.dtype), None, gan.dtype)
    fillings = COLUMNS - 2
    latent = gan.latent.sample(key, len(images) * fillings)
    latent = latent._replace(condition=np.repeat(known, fillings, axis=0))
    return Sheet("", latent, fillings, to_uint8(known[..., :-1], gan.low), images)


def draw(functions: NetworkFunctions, generator: Variables, sheet: Sheet) -> np.ndarray:
    """Draws a sheet: uint8 [H, W, C]."""
    if sheet.tagged is not None:
        return draw_tags(functions, generator, *sheet.tagged)
    gan = functions.gan
    if gan.image_shape[:2] == (1, 1):
        return scatter(functions.sample(generator, sheet.latent).reshape(-1, gan.image_shape[-1]))
    images = functions.sample_images(generator, sheet.latent)
    images = images.reshape(-1, sheet.columns, *gan.image_shape)
    if sheet.before is not None and sheet.after is not None:
        images = np.concatenate([sheet.before[:, None], images, sheet.after[:, None]], axis=1)
    return grid(images.reshape(-1, *gan.image_shape), images.shape[1])


def draw_tags(
    functions: NetworkFunctions, generator: Variables, tags: Tags, images: Tagged, seed: int = 0
) -> np.ndarray:
    """Draws images with their own and generated tags: uint8 [H, W, 3]. An image with a negative
    number has no picture."""
    words = tags.vocabulary.words
    made = generated_tags(functions, generator, tags.vocabulary, images.features, seed)
    return tag_sheet(
        [tags.picture(int(i)) if tags.picture and i >= 0 else None for i in images.numbers],
        [[words[i] for i in own] for own in images.tags],
        [[words[i] for i in listed] for listed in made],
    )


def even_steps(steps: Sequence[int], count: int = STRIP_ROWS) -> list[int]:
    """At most `count` of the steps, ascending, as evenly spaced as possible, including the first
    and the last."""
    known = np.unique(steps)
    targets = np.linspace(known[0], known[-1], count)
    nearest = np.abs(known[:, None] - targets).argmin(axis=0)
    return np.unique(known[nearest]).tolist()


def over_time(gan: Gan, sheet: Sheet, pictures: Mapping[int, np.ndarray]) -> np.ndarray:
    """One sheet at several steps: uint8 [H, W, C].

    A row shows the sheet's first images at one step, column by column, so that the sheet's rows
    (labels, values of a code) alternate. Points have a square for each step.

    Args:
      gan: networks and config.
      sheet: the run's first sheet.
      pictures: the sheet as drawn by `draw` at each step, by ascending step.
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
