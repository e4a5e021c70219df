"""Convolutions with fewer multiplications: Winograd's minimal filtering (Lavin and Gray 2016, "Fast
algorithms for convolutional neural networks").

m outputs of a filter with r taps take n = m + r - 1 multiplications instead of m r: with g the
filter and d the n inputs, y = A' [(G g) * (B' d)] (their eq. 6), nested for the two axes (eq. 8).
With channels, each of a tile's n n multiplications is a matrix product over all tiles. A
convolution of stride s is one of stride 1 on maps whose channels are the s s pixels of a block.

Whole step on one core, with the memory of its temporaries kept: infogan:mnist,document 485 ->
350 ms, dcgan:size=64 22.7 -> 16.1 s. The form depends on the batch, too (`_FEWEST_TILES`): the same
image in batches of 8 and of 64 may differ by rounding.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models.cpu import materialize

Pairs = Sequence[tuple[int, int]]

# The points at which polynomials of n coefficients are evaluated; the last, infinity, is left out.
# Of the small fractions that were tried these round least: in float32, 2e-6 of the result for
# m = r = 4, where direct sums have 3e-7 and a GPU's TensorFloat-32 5e-4.
_POINTS = {
    4: (0, 1, -1),
    5: (0, 1, -1, 2),
    6: (0, 1, -1, -2, 1 / 2),
    7: (0, 1, -1, 2, -3 / 2, 1 / 3),
}
# How many times fewer the multiplications must be to pay for the transforms. For 4x4 of stride 2
# from 14x14 it is 2.0, and the whole step of infogan:mnist,paper would take 1 to 5 % longer.
_LEAST_SAVING = 2.2
# With fewer channels the transforms take the time, with fewer tiles those of the kernel.
_FEWEST_CHANNELS, _FEWEST_TILES = 64, 64


class Tiling(NamedTuple):
    """How the output of a convolution is divided into tiles, after blocks have become channels.

    Attributes:
      outputs: m, a tile's outputs along each axis.
      taps: r, the kernel's size along each axis.
      stride: s, the size of the blocks.
      tiles: their numbers, (vertical, horizontal); the last ones may reach beyond the output.
    """

    outputs: int
    taps: int
    stride: int
    tiles: tuple[int, int]

    @property
    def points(self) -> int:
        """n, a tile's inputs and multiplications along each axis."""
        return self.outputs + self.taps - 1

    @property
    def input_sizes(self) -> tuple[int, int]:
        """Height and width of all tiles' inputs."""
        rows, columns = (tiles * self.outputs + self.taps - 1 for tiles in self.tiles)
        return rows, columns

    @property
    def multiplications(self) -> int:
        """For one image, input channel and output channel."""
        return self.tiles[0] * self.tiles[1] * (self.points * self.stride) ** 2


def conv_tiling(
    shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Pairs
) -> Tiling | None:
    """The tiling of a convolution's output, or None where this form does not pay off.

    Args:
      shape: of x, [B, H, W, C].
      kernel: its shape, [kh, kw, C, C'].
      strides: (vertical, horizontal).
      padding: (before, after) for each axis.
    """
    sizes = output_sizes(shape, kernel, strides, padding)
    return _find_tiling(shape[0], kernel, strides, sizes, sizes[0] * sizes[1])


def transposed_tiling(
    shape: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    first: Sequence[int],
    sizes: Sequence[int],
) -> Tiling | None:
    """The same for `transposed`; its arguments, with the shapes of x and of the kernel."""
    blocks = [_blocks(*axis)[1] for axis in zip(strides, first, sizes, strict=True)]
    return _find_tiling(shape[0], kernel, strides, blocks, shape[1] * shape[2])


def _find_tiling(
    batch: int, kernel: Sequence[int], strides: Sequence[int], sizes: Sequence[int], pixels: int
) -> Tiling | None:
    """The tiling of `sizes` with the fewest multiplications, if it pays off; `pixels` are those of
    the smaller map, each of which meets the whole kernel."""
    (size, width), (stride, other) = kernel[:2], strides
    taps = -(-size // stride)
    if size != width or stride != other or stride > 2 or taps < 2:
        return None
    if min(kernel[2:]) < _FEWEST_CHANNELS or min(sizes) < 1:
        return None
    tilings = [
        Tiling(m, taps, stride, (-(-sizes[0] // m), -(-sizes[1] // m)))
        for m in (2, 3, 4)
        if m + taps - 1 in _POINTS
    ]
    best = min(tilings, key=lambda tiling: tiling.multiplications, default=None)
    if best is None or batch * best.tiles[0] * best.tiles[1] < _FEWEST_TILES:
        return None
    return best if pixels * size * size >= _LEAST_SAVING * best.multiplications else None


def output_sizes(
    shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Pairs
) -> list[int]:
    """Height and width of a convolution's output; the arguments are those of `conv_tiling`."""
    return [
        (size + sum(pair) - k) // stride + 1
        for size, k, stride, pair in zip(shape[1:3], kernel[:2], strides, padding, strict=True)
    ]


# --- The convolution, its kernel's gradient and the transposed convolution


def conv(x: jax.Array, kernel: jax.Array, padding: Pairs, tiling: Tiling) -> jax.Array:
    """A convolution: [B, H, W, C] * [k, k, C, C'] -> [B, H', W', C']."""
    stride = tiling.stride
    height, width = output_sizes(x.shape, kernel.shape, (stride, stride), padding)
    y = _conv(_folded_image(x, padding, tiling), _folded_kernel(kernel, stride), tiling)
    return y[:, :height, :width]


def kernel_gradient(
    x: jax.Array, y: jax.Array, size: int, padding: Pairs, tiling: Tiling
) -> jax.Array:
    """The gradient of the kernel of `conv`, [k, k, C, C'], from that of its output.

    Args:
      x: [B, H, W, C].
      y: [B, H', W', C'].
      size: k.
      padding: as in `conv`.
      tiling: of y.
    """
    stride, taps = tiling.stride, tiling.taps
    gradient = _kernel_gradient(_folded_image(x, padding, tiling), y, tiling)
    gradient = gradient.reshape(taps, taps, stride, stride, -1, y.shape[3]).swapaxes(1, 2)
    gradient = gradient.reshape(taps * stride, taps * stride, -1, y.shape[3])
    return gradient[:size, :size]


def transposed(
    x: jax.Array, kernel: jax.Array, first: Sequence[int], sizes: Sequence[int], tiling: Tiling
) -> jax.Array:
    """A transposed convolution: out[b, i * s + first + t] += x[b, i] @ kernel[t].

    Args:
      x: [B, H, W, C].
      kernel: [k, k, C, C'].
      first: position of the kernel's first tap at the first pixel; may be negative.
      sizes: height and width of the result; what lies outside is cut off.
      tiling: of the result.

    Returns:
      [B, *sizes, C'].
    """
    stride, taps, features = tiling.stride, tiling.taps, kernel.shape[3]
    # Each block of the result is a convolution of x with the mirrored kernel.
    folded = _folded_kernel(kernel.swapaxes(2, 3), stride)
    folded = jnp.flip(folded, (0, 1)).swapaxes(2, 3)
    begins = [_blocks(stride, *axis)[0] for axis in zip(first, sizes, strict=True)]
    y = _conv(
        _placed(x, [taps - 1 - begin for begin in begins], tiling.input_sizes), folded, tiling
    )
    (rows, columns), batch = y.shape[1:3], len(x)
    y = y.reshape(batch, rows, columns, stride, stride, features).swapaxes(2, 3)
    y = y.reshape(batch, rows * stride, columns * stride, features)
    starts = [start + begin * stride for start, begin in zip(first, begins, strict=True)]
    return _placed(y, starts, sizes)


def _blocks(stride: int, start: int, size: int) -> tuple[int, int]:
    """The first block of a transposed convolution's result, and the number of its blocks."""
    begin = -start // stride
    return begin, -((start - size) // stride) - begin


def _folded_image(x: jax.Array, padding: Pairs, tiling: Tiling) -> jax.Array:
    """[B, H, W, C] -> [B, *tiling.input_sizes, s s C]."""
    (rows, columns), stride, channels = tiling.input_sizes, tiling.stride, x.shape[3]
    x = _placed(x, [before for before, _ in padding], (rows * stride, columns * stride))
    x = x.reshape(len(x), rows, stride, columns, stride, channels).swapaxes(2, 3)
    return x.reshape(len(x), rows, columns, stride * stride * channels)


def _folded_kernel(kernel: jax.Array, stride: int) -> jax.Array:
    """[k, k, C, C'] -> [r, r, s s C, C'], with zeros where s does not divide k."""
    size, taps = kernel.shape[0], -(-kernel.shape[0] // stride)
    beyond = (0, taps * stride - size)
    kernel = jnp.pad(kernel, (beyond, beyond, (0, 0), (0, 0)))
    kernel = kernel.reshape(taps, stride, taps, stride, *kernel.shape[2:]).swapaxes(1, 2)
    return kernel.reshape(taps, taps, -1, kernel.shape[5])


def _placed(x: jax.Array, starts: Sequence[int], sizes: Sequence[int]) -> jax.Array:
    """The maps from `starts` on in maps of `sizes`: zeros around, and what lies outside cut off."""
    edges = [
        (start, size - start - length, 0)
        for start, size, length in zip(starts, sizes, x.shape[1:3], strict=True)
    ]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


# --- Stride 1, all tiles


@functools.cache
def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A [n, m], G [n, r] and B' [n, n], in float64. A and G evaluate polynomials; B' is the
    transposed interpolation. The largest value in each row of A and of B' is 1."""

    def evaluation(coefficients: int) -> np.ndarray:
        powers = np.vander(_POINTS[m + r - 1], coefficients, increasing=True)
        return np.vstack([powers, np.eye(coefficients)[-1]])  # At infinity: the last coefficient.

    a, g, b = evaluation(m), evaluation(r), np.linalg.inv(evaluation(m + r - 1)).T
    of_a, of_b = (np.abs(rows).max(axis=1, keepdims=True) for rows in (a, b))
    return a / of_a, g * of_a * of_b, b / of_b


def _conv(x: jax.Array, kernel: jax.Array, tiling: Tiling) -> jax.Array:
    """[B, *tiling.input_sizes, C] * [r, r, C, C'] -> [B, m rows, m columns, C']."""
    m, r, _, (rows, columns) = tiling
    (a, g, _), n, batch, features = matrices(m, r), tiling.points, len(x), kernel.shape[3]
    kernels = _both_axes(g, x.dtype) @ kernel.reshape(r * r, -1)
    kernels = kernels.reshape(n * n, -1, features)
    products = lax.dot_general(_transformed(x, tiling), kernels, (((2,), (1,)), ((0,), (0,))))
    products = products.reshape(n, n, batch, rows, columns, features)
    y = materialize(_combine(a.T, list(products)))
    y = _combine(a.T, [y[:, i] for i in range(n)])  # [m down, m across, B, rows, columns, C']
    return y.transpose(2, 3, 0, 4, 1, 5).reshape(batch, rows * m, columns * m, features)


def _kernel_gradient(x: jax.Array, y: jax.Array, tiling: Tiling) -> jax.Array:
    """[B, *tiling.input_sizes, C], [B, H', W', C'] -> [r, r, C, C']."""
    m, r, _, (rows, columns) = tiling
    (a, g, _), features = matrices(m, r), y.shape[3]
    outputs = materialize(_placed(y, (0, 0), (rows * m, columns * m)))
    outputs = materialize(_combine(a, [outputs[:, i::m] for i in range(m)]))
    outputs = _combine(a, [outputs[:, :, :, i::m] for i in range(m)])
    outputs = outputs.reshape(tiling.points**2, -1, features)
    # As [n n, C', C]: for [n n, C, C'] XLA's product takes twice as long.
    products = lax.dot_general(outputs, _transformed(x, tiling), (((1,), (1,)), ((0,), (0,))))
    gradient = _both_axes(g, x.dtype).T @ products.reshape(tiling.points**2, -1)
    return gradient.reshape(r, r, features, x.shape[3]).swapaxes(2, 3)


def _transformed(x: jax.Array, tiling: Tiling) -> jax.Array:
    """B' d B of every tile: [n n (across, down), B rows columns, C]."""
    m, n = tiling.outputs, tiling.points
    _, _, b = matrices(m, tiling.taps)
    height, width = ((tiles - 1) * m + 1 for tiles in tiling.tiles)  # From the first to the last.
    x = materialize(x)
    d = materialize(_combine(b, [x[:, i : i + height : m] for i in range(n)]))
    d = _combine(b, [d[:, :, :, i : i + width : m] for i in range(n)])
    # Stored, because XLA's product is slower together with the operations in front of it.
    return materialize(d.reshape(n * n, -1, x.shape[3]))


def _combine(matrix: np.ndarray, parts: list[jax.Array]) -> jax.Array:
    """sum over i of matrix[:, i] * parts[i]: [rows, *part].

    One loop over the result, because XLA concatenates separate sums on the CPU slowly: for 49
    arrays of 256 x 512, 18 -> 12 ms.
    """
    columns = matrix.T.reshape(*matrix.T.shape, *[1] * parts[0].ndim)
    pairs = zip(columns.astype(parts[0].dtype), parts, strict=True)
    return functools.reduce(jnp.add, [column * part[None] for column, part in pairs])


def _both_axes(matrix: np.ndarray, dtype: Any) -> jax.Array:
    """The matrix for both axes: [rows rows (across, down), columns columns (down, across)]."""
    both = np.einsum("aj,di->adij", matrix, matrix)
    return jnp.asarray(both.reshape(len(matrix) ** 2, -1), dtype)
