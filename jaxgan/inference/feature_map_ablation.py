"""Has a generator forget an object (Radford et al. 2016, section 6.2: it drew bedrooms, and forgot
windows).

On the activations of its second-highest convolution a logistic regression tells positions inside
marks from positions outside. Every feature map whose weight is positive is dropped: it is zero at
all positions, and what the generator draws then has something else where the object stood.

The activations are what the last convolution is given: after BatchNorm and the activation, dropout
off. A map dropped there is the same as the weights that read it set to zero.
"""

import csv
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data.batches import map_batches
from jaxgan.data.pixels import to_uint8
from jaxgan.inference.feature_maps import kernel_axes
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import Gan, example_inputs

COLUMNS = ("sample", "top", "left", "bottom", "right")


class AblatedGenerator:
    """Draws with some feature maps dropped, and reads them; compiled once.

    Args:
      gan: its generator ends in two convolutions, the last of which sees nothing but the maps of
        the other.
      batch: images that go through the generator at once.

    Attributes:
      maps: how many feature maps the second-highest convolution has.

    Raises:
      UserError: if the generator is another one.
    """

    def __init__(self, gan: Gan, batch: int = 100) -> None:
        self.gan, self.batch = gan, batch
        made, given = _convolutions(gan)
        if len(made) < 2 or given[-1] != made[-2]:
            raise UserError(
                "the generator does not end in two convolutions", "a DCGAN's does: configs/dcgan.py"
            )
        self.maps = made[-2]
        self._run = jax.jit(functools.partial(_run, gan, len(made)))

    def __call__(
        self, generator: Variables, latent: Latent, dropped: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws.

        Args:
          generator: with its moving statistics.
          latent: N examples.
          dropped: bool [maps], the maps that are zero; None is none.

        Returns:
          Images, uint8 [N, H, W, C], and the activations as they were before any was dropped,
          float32 [N, h, w, maps].
        """
        kept = np.ones(self.maps) if dropped is None else 1.0 - dropped
        images, maps = map_batches(
            lambda batch, _: self._run(generator, batch, kept), latent, self.batch
        )
        return to_uint8(images, self.gan.low), maps.astype(np.float32)


def _convolutions(gan: Gan) -> tuple[list[int], list[int]]:
    """How many maps each convolution makes, and how many it is given."""
    made: list[int] = []
    given: list[int] = []

    def note(call: Any, arguments: Any, named: Any, context: Any) -> Any:
        result = call(*arguments, **named)
        if context.method_name == "__call__" and kernel_axes(context.module) == 4:
            made.append(result.shape[-1])
            given.append(arguments[0].shape[-1])
        return result

    def draw() -> Any:
        latent, _ = example_inputs(gan)
        variables = gan.generator.init(jax.random.key(0), latent, train=False)
        del made[:], given[:]
        with nn.intercept_methods(note):
            return gan.generator.apply(variables, latent, train=False)

    jax.eval_shape(draw)
    return made, given


def _run(
    gan: Gan, convolutions: int, generator: Variables, latent: Latent, kept: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Images in the network's range, and what the last of so many convolutions is given."""
    seen: list[jax.Array] = []
    passed = 0

    def drop(call: Any, arguments: Any, named: Any, context: Any) -> Any:
        nonlocal passed
        if context.method_name == "__call__" and kernel_axes(context.module) == 4:
            passed += 1
            if passed == convolutions:
                x, *rest = arguments
                seen.append(x)
                arguments = (x * kept.astype(x.dtype)[None, None, None, :], *rest)
        return call(*arguments, **named)

    with nn.intercept_methods(drop):
        images, _ = apply_network(
            gan.generator, generator, latent, train=False, dropout=jax.random.key(0)
        )
    return images, seen[0]


# --- The boundary


class ObjectClassifier(NamedTuple):
    """What tells marked positions from others.

    Attributes:
      weights: of the maps, float64 [maps].
      bias: at 0 both are equally likely.
      positives, negatives: positions that it was fitted on.
      accuracy: on them, a share.
    """

    weights: np.ndarray
    bias: float
    positives: int
    negatives: int
    accuracy: float

    @property
    def dropped(self) -> np.ndarray:
        """The maps with a positive weight, bool [maps]."""
        return self.weights > 0


def fit(maps: np.ndarray, marked: np.ndarray, seed: int = 0) -> ObjectClassifier:
    """Logistic regression (scikit-learn's, its own penalty) between marked positions and as many
    others, drawn at random from the unmarked ones of the images that have marks.

    Args:
      maps: activations, float32 [N, h, w, maps].
      marked: pixels, bool [N, H, W]; a position is marked where at least half of its pixels are.
      seed: of the random positions.

    Raises:
      UserError: if no position is marked, or none is not.
    """
    from sklearn.linear_model import LogisticRegression

    positions = coarse(marked, maps.shape[1], maps.shape[2])
    positive = maps[positions]
    others = np.argwhere(~positions & positions.any((1, 2), keepdims=True))
    if not len(positive) or not len(others):
        raise UserError(
            f"of {positions.size} positions {len(positive)} are marked",
            "mark some of an image, and not all",
        )
    chosen = np.random.default_rng(seed).permutation(others)[: len(positive)]
    negative = maps[tuple(chosen.T)]
    x = np.concatenate([positive, negative])
    y = np.arange(len(x)) < len(positive)
    fitted = LogisticRegression(max_iter=2_000).fit(x, y)
    return ObjectClassifier(
        fitted.coef_[0].astype(np.float64),
        float(fitted.intercept_[0]),
        len(positive),
        len(negative),
        float(fitted.score(x, y)),
    )


def coarse(marked: np.ndarray, height: int, width: int) -> np.ndarray:
    """The positions of a smaller map at least half of whose pixels are marked.

    Args:
      marked: bool [N, H, W].
      height, width: of the map; H and W are multiples of them.

    Returns:
      bool [N, height, width].
    """
    n, rows, columns = marked.shape
    if rows % height or columns % width:
        raise ValueError(f"{rows}x{columns} pixels are no multiple of {height}x{width} positions")
    blocks = marked.reshape(n, height, rows // height, width, columns // width)
    return np.asarray(blocks.mean((2, 4)) >= 0.5)


def read_boxes(path: str, n: int, height: int, width: int) -> np.ndarray:
    """The pixels inside the boxes of a file, bool [n, height, width].

    The file is CSV with the header `sample,top,left,bottom,right` in any order: the number of an
    image from 0 on, and its pixels from 0 on; `bottom` and `right` are the first ones outside.

    Raises:
      UserError: if the file is not there or not of that form, or a box is not inside an image.
    """
    marked = np.zeros((n, height, width), bool)
    try:
        with open(path, newline="") as file:
            rows = csv.DictReader(file)
            if sorted(rows.fieldnames or ()) != sorted(COLUMNS):
                raise UserError(f"{path}: the first line is not {','.join(COLUMNS)}")
            for row in rows:
                box = [_pixel(path, rows.line_num, row[name]) for name in COLUMNS]
                sample, top, left, bottom, right = box
                if not (sample < n and top < bottom <= height and left < right <= width):
                    raise UserError(
                        f"{path}, line {rows.line_num}: {','.join(map(str, box))} is no box in one"
                        f" of {n} images of {height}x{width}",
                        f"it is {','.join(COLUMNS)}, from 0 on, bottom and right outside",
                    )
                marked[sample, top:bottom, left:right] = True
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    return marked


def _pixel(path: str, line: int, text: str | None) -> int:
    if text is None or not text.strip().isdecimal():
        raise UserError(f"{path}, line {line}: {text!r} is not a number from 0 on")
    return int(text)
