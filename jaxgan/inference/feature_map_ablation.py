"""Removes an object from a generator's images by dropping feature maps (Radford et al. 2016,
section 6.3.1, which removes windows from bedrooms).

A logistic regression on the activations of the second-to-last convolution separates positions
inside marked regions from positions outside. Every feature map with a positive weight is dropped,
that is, set to zero at all positions. The generator then replaces the object by something else.

The activations are the input of the last convolution: after BatchNorm and the activation, and
after dropout where the config has it on in sampling. Dropping a map there equals setting the
weights that read it to zero.
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
    """A generator whose second-to-last convolution can have feature maps dropped; compiled once.

    Args:
      gan: a GAN whose generator ends in two convolutions, the second on the first one's maps alone.
      batch: batch size.

    Attributes:
      maps: number of feature maps of the second-to-last convolution.

    Raises:
      UserError: if the generator does not end like that.
    """

    def __init__(self, gan: Gan, batch: int = 100) -> None:
        self.gan, self.batch = gan, batch
        inputs, outputs = _channels(gan)
        if len(outputs) < 2 or inputs[-1] != outputs[-2]:
            what = "the generator does not end in two convolutions"
            raise UserError(what, "a DCGAN's does: configs/dcgan.py")
        self.maps = outputs[-2]
        self._run = jax.jit(gan.in_precision(functools.partial(_run, gan, len(outputs))))

    def __call__(
        self, generator: Variables, latent: Latent, dropped: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generates images.

        Args:
          generator: the generator's variables.
          latent: N latents.
          dropped: the maps to set to zero, bool [maps]; None drops none.

        Returns:
          Images, uint8 [N, H, W, C], and the activations before dropping, float32 [N, h, w, maps].
        """
        kept = np.ones(self.maps) if dropped is None else 1.0 - dropped
        images, maps = map_batches(
            lambda batch, _: self._run(generator, batch, kept), latent, self.batch
        )
        return to_uint8(images, self.gan.low), maps.astype(np.float32)


def _channels(gan: Gan) -> tuple[list[int], list[int]]:
    """The numbers of input and output channels of the generator's convolutions, in order."""
    inputs: list[int] = []
    outputs: list[int] = []

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        result = call(*args, **kwargs)
        if context.method_name == "__call__" and kernel_axes(context.module) == 4:
            inputs.append(args[0].shape[-1])
            outputs.append(result.shape[-1])
        return result

    def generate() -> Any:
        latent, _ = example_inputs(gan)
        key = jax.random.key(0)
        keys = {"params": key, "dropout": key}
        with nn.intercept_methods(record):
            return gan.generator.init(keys, latent, train=False)

    jax.eval_shape(generate)
    return inputs, outputs


def _run(
    gan: Gan, convolutions: int, generator: Variables, latent: Latent, kept: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Images in the network's range, and the input of the last convolution before dropping."""
    last_input: list[jax.Array] = []
    count = 0

    def drop(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        nonlocal count
        if context.method_name == "__call__" and kernel_axes(context.module) == 4:
            count += 1
            if count == convolutions:
                x, *rest = args
                last_input.append(x)
                args = (x * kept.astype(x.dtype)[None, None, None, :], *rest)
        return call(*args, **kwargs)

    with nn.intercept_methods(drop):
        images, _ = apply_network(
            gan.generator, generator, latent, train=False, dropout=jax.random.key(0)
        )
    return images, last_input[0]


# --- The classifier that selects the maps


class ObjectClassifier(NamedTuple):
    """A logistic regression that separates marked from unmarked positions.

    Attributes:
      weights: one for each map, float64 [maps].
      bias: the intercept.
      positives, negatives: numbers of positions that it was fitted on.
      accuracy: share of these positions that it classifies correctly.
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
    """Fits scikit-learn's logistic regression (default penalty) to the marked positions and as many
    random unmarked ones from the same images.

    Args:
      maps: activations, float32 [N, h, w, maps].
      marked: pixels, bool [N, H, W]; a position is marked if at least half of its pixels are.
      seed: seed of the random positions.

    Raises:
      UserError: if no position is marked, or all of them are.
    """
    from sklearn.linear_model import LogisticRegression

    positions = coarse(marked, *maps.shape[1:3])
    positive = maps[positions]
    unmarked = np.argwhere(~positions & positions.any((1, 2), keepdims=True))
    if not len(positive) or not len(unmarked):
        what = f"of {positions.size} positions {len(positive)} are marked"
        raise UserError(what, "mark a part of an image, not all of it")
    sampled = np.random.default_rng(seed).permutation(unmarked)[: len(positive)]
    negative = maps[tuple(sampled.T)]
    x = np.concatenate([positive, negative])
    y = np.arange(len(x)) < len(positive)
    fitted = LogisticRegression(max_iter=2_000).fit(x, y)
    weights, bias = fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0])
    accuracy = float(fitted.score(x, y))
    return ObjectClassifier(weights, bias, len(positive), len(negative), accuracy)


def coarse(marked: np.ndarray, height: int, width: int) -> np.ndarray:
    """Marks each position of a smaller map that has at least half of its pixels marked: bool
    [N, H, W] -> [N, height, width], whose height and width divide H and W."""
    n, rows, columns = marked.shape
    if rows % height or columns % width:
        raise ValueError(f"{rows}x{columns} pixels are no multiple of {height}x{width} positions")
    blocks = marked.reshape(n, height, rows // height, width, columns // width)
    return np.asarray(blocks.mean((2, 4)) >= 0.5)


def read_boxes(path: str, n: int, height: int, width: int) -> np.ndarray:
    """Reads boxes from a CSV file as marked pixels, bool [n, height, width].

    The header has `sample,top,left,bottom,right` in any order: the index of the image and pixel
    indices, all from 0; `bottom` and `right` are exclusive.

    Raises:
      UserError: if the file cannot be read, or a box is not inside an image.
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
                        f"{','.join(COLUMNS)} count from 0; bottom and right are exclusive",
                    )
                marked[sample, top:bottom, left:right] = True
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    return marked


def _pixel(path: str, line: int, text: str | None) -> int:
    if text is None or not text.strip().isdecimal():
        raise UserError(f"{path}, line {line}: {text!r} is not a whole number of at least 0")
    return int(text)
