"""Convolutions with the values and gradients of `jax.lax`, in other forms where XLA is slow on the
CPU. The form depends on the shapes and the backend only."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Padding = str | Sequence[tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def transposed_padding(kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """The padding of the dilated input of a transposed convolution, along one axis.

    "SAME" gives an output of size input * stride, "VALID" one of (input - 1) * stride + kernel
    (at least input * stride), as `jax.lax.conv_transpose` does. PyTorch's and MXNet's padding p is
    the explicit (kernel - 1 - p, kernel - 1 - p).
    """
    if padding == "SAME":
        total = kernel + stride - 2
        before = kernel - 1 if stride > kernel - 1 else (total + 1) // 2
    elif padding == "VALID":
        total = kernel + stride - 2 + max(kernel - stride, 0)
        before = kernel - 1
    else:
        raise ValueError(f"padding is SAME, VALID or a list of pairs, not {padding!r}")
    return before, total - before


def conv_transpose(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding
) -> jax.Array:
    """A transposed (fractionally strided) convolution with a fast gradient for its kernel.

    Equal to `jax.lax.conv_transpose(x, kernel, strides, padding)`. XLA computes its kernel gradient
    as a convolution with a dilated operand, which is slow on the CPU (jax issues 23783 and 31662).
    Here it is the kernel gradient of the strided convolution that this one transposes (the 128->64
    layer of InfoGAN's generator, batch 64, 2 cores: 137 -> 11 ms). Differentiable in reverse mode
    any number of times.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: of the output, (vertical, horizontal).
      padding: "SAME", "VALID", or a pair (before, after) for each axis, counted on the dilated
        input.

    Returns:
      [B, H', W', C'].
    """
    if isinstance(padding, str):
        pairs = tuple(
            transposed_padding(k, s, padding)
            for k, s in zip(kernel.shape[:2], strides, strict=True)
        )
    else:
        pairs = tuple((int(a), int(b)) for a, b in padding)
    return _conv_transpose(x, kernel, tuple(strides), pairs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv_transpose(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    if _by_taps_pays(x, kernel, strides):
        first = tuple(
            before - (k - 1) for k, (before, _) in zip(kernel.shape, padding, strict=False)
        )
        sizes = tuple(
            (size - 1) * stride + before + after - k + 2
            for size, stride, k, (before, after) in zip(
                x.shape[1:3], strides, kernel.shape[:2], padding, strict=True
            )
        )
        return _by_taps(x, jnp.flip(kernel, (0, 1)), strides, first, sizes)
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, lhs_dilation=strides, dimension_numbers=_LAYOUT
    )


def _forward(x: Any, kernel: Any, strides: Any, padding: Any) -> Any:
    return _conv_transpose(x, kernel, strides, padding), (x, kernel)


def _backward(strides: Any, padding: Any, residuals: Any, output_gradient: Any) -> Any:
    x, kernel = residuals
    rows, columns = output_gradient.shape[1:3]
    pairs = []
    for size, out, k, stride, (before, _) in zip(
        x.shape[1:3], (rows, columns), kernel.shape[:2], strides, padding, strict=True
    ):
        # The strided convolution maps the output's size back to x's. Its padding in front mirrors
        # ours; the rest, cut off if negative, is behind.
        front = k - 1 - before
        pairs.append((front, (size - 1) * stride + k - front - out))

    def strided(output: jax.Array, kernel: jax.Array) -> jax.Array:
        mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
        return _by_rows(output, mirrored, strides, pairs)

    # <y', conv_transpose(x, k)> = <strided(y', k), x>
    x_gradient, pull_back = jax.vjp(strided, output_gradient, kernel)
    return x_gradient, pull_back(x)[1]


_conv_transpose.defvjp(_forward, _backward)


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding) -> jax.Array:
    """A convolution whose input gradient is fast for small maps.

    Equal to `jax.lax.conv_general_dilated(x, kernel, strides, padding)`. The input gradient is a
    transposed convolution; `_by_taps` says why small ones are slow.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: (vertical, horizontal).
      padding: "SAME", "VALID", or a pair (before, after) for each axis.

    Returns:
      [B, H', W', C'].
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return _conv(x, kernel, tuple(strides), tuple((int(a), int(b)) for a, b in padding))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    return _by_rows(x, kernel, strides, padding)


def _conv_forward(x: Any, kernel: Any, strides: Any, padding: Any) -> Any:
    return _conv(x, kernel, strides, padding), (x, kernel)


def _conv_backward(strides: Any, padding: Any, residuals: Any, output_gradient: Any) -> Any:
    x, kernel = residuals

    def plain(x: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)

    kernel_gradient = jax.vjp(lambda kernel: _by_rows(x, kernel, strides, padding), kernel)[1](
        output_gradient
    )[0]
    back = kernel.swapaxes(2, 3)
    if _by_taps_pays(output_gradient, back, strides):
        first = tuple(-before for before, _ in padding)
        x_gradient = _by_taps(output_gradient, back, strides, first, x.shape[1:3])
    elif strides == (1, 1):
        pairs = [(k - 1 - a, k - 1 - b) for k, (a, b) in zip(back.shape, padding, strict=False)]
        x_gradient = _by_rows(output_gradient, jnp.flip(back, (0, 1)), strides, pairs)
    else:
        x_gradient = jax.vjp(plain, x)[1](output_gradient)[0]
    return x_gradient, kernel_gradient


_conv.defvjp(_conv_forward, _conv_backward)


def _by_rows(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    """A convolution in parts, if many rows of the kernel would meet only padding.

    On the CPU, XLA multiplies the padding too: a seventh of the rows for a kernel of 4 on 7x7. One
    convolution for each run of output rows that meet the same kernel rows avoids that (a step of
    "infogan:mnist,document", two cores: 330 -> 310 ms). Doing the same for columns saves little
    more, because of its copies.
    """
    k, stride, (before, after) = kernel.shape[0], strides[0], padding[0]
    size = x.shape[1]
    runs: list[tuple[int, int, int, int]] = []
    for row in range((size + before + after - k) // stride + 1):
        first, last = max(0, before - row * stride), min(k, size + before - row * stride)
        if runs and runs[-1][2:] == (first, last):
            runs[-1] = (runs[-1][0], row + 1, first, last)
        else:
            runs.append((row, row + 1, first, last))
    met = sum((stop - start) * (last - first) for start, stop, first, last in runs)
    least = min(last - first for *_, first, last in runs)
    # Each part copies its kernel rows, which does not pay for few pixels.
    few = x.shape[0] * size * x.shape[2] < 1_000
    if not _pays(kernel) or few or met > 0.9 * k * runs[-1][1] or least < 1:
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)
    parts = []
    for start, stop, first, last in runs:
        begin = start * stride - before + first
        part = x[:, begin : (stop - 1) * stride - before + last]
        parts.append(
            lax.conv_general_dilated(
                part, kernel[first:last], strides, ((0, 0), padding[1]), dimension_numbers=_LAYOUT
            )
        )
    return jnp.concatenate(parts, axis=1)


def _by_taps_pays(x: Any, kernel: Any, strides: Any) -> bool:
    window, area = kernel.shape[0] * kernel.shape[1], x.shape[1] * x.shape[2]
    return _pays(kernel) and (window > area or (window == area and strides == (1, 1)))


def _pays(kernel: Any) -> bool:
    """Whether another form can be faster: on the CPU, for kernels that are not tiny."""
    return on_cpu() and kernel.shape[2] * kernel.shape[3] >= 1_000


def _by_taps(x: Any, kernel: Any, strides: Any, first: Any, sizes: Any) -> jax.Array:
    """A transposed convolution as one matrix product for each pixel t of the kernel:
    out[b, i * s + first + t] += x[b, i] @ kernel[t].

    On the CPU, XLA swaps kernel and image if the kernel is the larger one, and then has only a
    plain loop (5x5 on 4x4, 1,024 channels to 512, batch 8, in "dcgan:size=64": 13.5 s -> 67 ms). It
    also multiplies the padding, three times the map for a kernel of 4 on 4x4 (in "dcgan:mnist": 131
    -> 45 ms). For larger maps XLA is faster.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: s, (vertical, horizontal).
      first: index of the first output pixel; may be negative.
      sizes: of the result; the rest is cut off.

    Returns:
      [B, *sizes, C'].
    """
    zero = jnp.zeros((), x.dtype)
    out = jnp.zeros((x.shape[0], *sizes, kernel.shape[3]), x.dtype)
    for t in np.ndindex(kernel.shape[:2]):
        edges = [(0, 0, 0)]
        for place, begin, size, stride, length in zip(
            t, first, sizes, strides, x.shape[1:3], strict=True
        ):
            low = begin + place
            edges.append((low, size - low - ((length - 1) * stride + 1), stride - 1))
        out += lax.pad(x @ kernel[t], zero, [*edges, (0, 0, 0)])
    return out


def on_cpu() -> bool:
    """Whether the program will run on the CPU."""
    return jax.default_backend() == "cpu"
