"""The latent explorer of `report.html`: an atlas with a tile for each position of its controls.

The tiles are drawn in advance and not by the generator in the page, whose weights alone may be
seven times the page's limit (DCGAN for 64x64 images: 38 MB in half precision), and whose layers a
script would have to know. So an image is the generator's own, shown in the time of copying a tile.
"""

import base64
import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.inference import interpolation
from jaxgan.inference.pictures import grid, to_png
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Latent
from jaxgan.reporting.latent_figures import drawer

# Bytes of a report that its explorers may have: half of the 5 MB that fit into a message.
BUDGET = 2_500_000
# Pixels times channels of an atlas that has the whole budget: at about half a byte each as a PNG,
# and a third more in the page, they fit, and they bound the time of drawing.
_MOST_VALUES = 3_300_000
# Continuous codes go from -LIMIT to LIMIT, as on the sample sheets.
LIMIT = 2.0
# Number of noises, points on the path between two of them (its ends included), and positions of a
# continuous code (odd, so that 0 is one); the first that fits.
_SIZES = ((6, 9, 9), (4, 9, 9), (4, 5, 5), (2, 5, 5), (2, 3, 3))
# Pixels in a row of the atlas: browsers decode pictures of at most 16,384 a side.
_SIDE = 4_096


class Layout(NamedTuple):
    """The tiles of an atlas, in their order.

    For each choice there is first a block for each group: by noise, then by the positions of its
    codes, the last of which varies fastest. Then come the paths between two noises: by pair (0 1,
    0 2, …, 1 2, …), then by point. Codes that do not vary are at 0.

    Attributes:
      choices: number of labels, or of values of the first categorical code; 1 without either.
      noises: number of noises, at least 2.
      points: number of points on a path, its ends included.
      positions: number of positions of a continuous code.
      groups: the continuous codes that vary together, as indices among the continuous codes.
    """

    choices: int
    noises: int
    points: int
    positions: int
    groups: tuple[tuple[int, ...], ...]

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        varied = sum(self.positions ** len(group) for group in self.groups)
        return self.choices * (self.noises * varied + math.comb(self.noises, 2) * self.points)


class Explorer(NamedTuple):
    """What the page needs of one run.

    Attributes:
      note: which networks drew the images, and what varies with what, in sentences.
      choice: what the choice is of, such as "Label"; "" without one.
      options: the names of its values.
      codes: for each continuous code its name and the index of its group.
      layout: the atlas's description, for the script.
      uri: the atlas, a PNG as a data URI.
    """

    note: str
    choice: str
    options: list[str]
    codes: list[tuple[str, int]]
    layout: dict[str, Any]
    uri: str


def explorer(run: Run, budget: int = BUDGET) -> Explorer | None:
    """The explorer of a run, with as many noises and positions as fit.

    Args:
      run: the trained run.
      budget: bytes of the atlas in the page.

    Returns:
      The explorer; None where the examples are no images, the run is conditioned on more than a
      label, or the coarsest layout does not fit.
    """
    gan = run.gan
    if run.shows_no_images:
        return None
    choice, options = _choice(run)
    names = [f"Code {i}" for i, code in enumerate(gan.latent.codes) if not code.categorical]
    pairs = (range(i, min(i + 2, len(names))) for i in range(0, len(names), 2))
    groups = tuple(map(tuple, pairs))
    for sizes in _SIZES:
        layout = Layout(max(1, len(options)), *sizes, groups)
        if layout.tiles * math.prod(gan.image_shape) > _MOST_VALUES * budget / BUDGET:
            continue
        png, described = atlas(drawer(run)(latents(run, layout)), layout)
        uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        if len(uri) <= budget:
            codes = [(name, i // 2) for i, name in enumerate(names)]
            note = _note(run, [[names[i].lower() for i in group] for group in groups])
            return Explorer(note, choice, options, codes, described, uri)
    return None


def atlas(images: np.ndarray, layout: Layout) -> tuple[bytes, dict[str, Any]]:
    """Lays the images out row by row, without gaps.

    Args:
      images: uint8 [layout.tiles, H, W, C], C 1 or 3, in the layout's order.
      layout: what they show.

    Returns:
      The PNG, and its description as plain data: the layout's fields, the `limit` of a continuous
      code, `width` and `height` of a tile, and the number of `columns`.
    """
    count, height, width, _ = images.shape
    columns = min(count, max(1, _SIDE // width))
    sides = {"width": width, "height": height, "columns": columns}
    return to_png(grid(images, columns, gap=0)), layout._asdict() | {"limit": LIMIT} | sides


def latents(run: Run, layout: Layout) -> Latent:
    """The latents of a layout's tiles, in its order: [layout.tiles, ...].

    Categorical codes after the first have their value 0.
    """
    prior, condition = run.gan.latent, run.gan.condition
    noise, continuous = _of_a_choice(run, layout)
    chosen = np.repeat(np.arange(layout.choices), len(noise))
    columns = iter(np.tile(continuous, (layout.choices, 1)).astype(prior.dtype).T)
    # NumPy's arrays: JAX would compile a program for each of these little operations.
    codes: list[Any] = []
    free = not isinstance(condition, Label)
    for code in prior.codes:
        if code.categorical:
            value, free = chosen if free else 0 * chosen, False
            codes.append(np.eye(code.values, dtype=prior.dtype)[value])
        else:
            codes.append(next(columns)[:, None])
    labels = None
    if isinstance(condition, Label):
        members = np.array(condition.members)[chosen]
        labels = np.eye(condition.classes, dtype=run.gan.dtype)[members]
    return Latent(jnp.asarray(np.tile(noise, (layout.choices, 1))), tuple(codes), labels)


def _of_a_choice(run: Run, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """The noises [T, N] and the continuous codes [T, K] of one choice's T tiles."""
    drawn = run.latent(layout.noises).noise
    values = np.linspace(-LIMIT, LIMIT, layout.positions)
    count = sum(map(len, layout.groups))
    noise, continuous = [], []
    for group in layout.groups:
        shape = (layout.noises, *[layout.positions] * len(group))
        which, *places = np.indices(shape).reshape(len(shape), -1)
        of_group = np.zeros((len(which), count))
        of_group[:, group] = values[np.stack(places, axis=1)]
        noise.append(np.asarray(drawn)[which])
        continuous.append(of_group)
    first, second = np.array(list(itertools.combinations(range(layout.noises), 2))).T
    shares = jnp.linspace(0, 1, layout.points, dtype=drawn.dtype)
    between = functools.partial(interpolation.between, prior=run.gan.latent.noise_prior)
    paths = jax.jit(jax.vmap(between, (0, 0, None)))(drawn[first], drawn[second], shares)
    noise.append(np.asarray(paths).reshape(-1, drawn.shape[1]))
    continuous.append(np.zeros((len(noise[-1]), count)))
    return np.concatenate(noise), np.concatenate(continuous)


def _choice(run: Run) -> tuple[str, list[str]]:
    """What can be chosen, and the names of its values; "" and none without a label or code."""
    if isinstance(run.gan.condition, Label):
        return "Label", [run.label_names[i] for i in run.gan.condition.members]
    for i, code in enumerate(run.gan.latent.codes):
        if code.categorical:
            return f"Code {i}", [str(value) for value in range(code.values)]
    return "", []


def _note(run: Run, groups: list[list[str]]) -> str:
    sentences = [f"Images by {run.described}, drawn when this page was made."]
    if groups:
        sentences.append("Between two noises the continuous codes are 0.")
    if len(groups) > 1:
        together = "; ".join(" and ".join(group) for group in groups)
        sentences.append(f"These vary together, while the others are 0: {together}.")
    if run.config.sample_dropout:
        sentences.append("Each image has its own mask of dropout, which stays on in sampling.")
    return " ".join(sentences)
